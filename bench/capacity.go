package bench

import (
	"errors"
	"fmt"
)

// Capacity returns the size of the largest session, in bytes of JSON, that a
// contestant can store in one cookie that browsers accept. It is 0 for
// contestants that store sessions on the server or use no cookie.
func Capacity(c Contestant) (Size, error) {
	fits := func(size Size) (bool, error) {
		d, err := newData(size)
		if err != nil {
			return false, err
		}
		return fitsOne(c, d)
	}
	low, high := Size(smallestFull), Size(64_000) // low fits, high does not fit
	if ok, err := fits(low); !ok || err != nil {
		return 0, err
	}
	for high-low > 1 {
		middle := (low + high) / 2
		ok, err := fits(middle)
		if err != nil {
			return 0, err
		}
		if ok {
			low = middle
		} else {
			high = middle
		}
	}
	return low, nil
}

// fitsOne logs a visitor in, and reports whether the login set one cookie of an
// acceptable size.
func fitsOne(c Contestant, d Data) (bool, error) {
	site, err := c.Build(d)
	if err != nil || site.Login == nil || site.Stored {
		return false, err
	}
	v, err := newVisitor()
	if err != nil {
		return false, err
	}
	v.visit(site.Login, Change)
	if v.err != nil && !v.tooLong {
		return false, fmt.Errorf("bench: %s: %w", c.Name, v.err)
	}
	if v.set == 0 && !v.tooLong {
		return false, errors.New("bench: the login set no cookie")
	}
	return v.set == 1 && !v.tooLong, nil
}
