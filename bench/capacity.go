package bench

import (
	"errors"
	"fmt"
)

// Capacity is the largest session, in bytes of its JSON, that a contestant keeps
// in one cookie that browsers take. It is 0 where the data are on the server, and
// where there is no cookie.
func Capacity(c Contestant) (Size, error) {
	fits := func(size Size) (bool, error) {
		d, err := newData(size)
		if err != nil {
			return false, err
		}
		return fitsOne(c, d)
	}
	low, high := Size(smallestFull), Size(64_000) // low fits, high does not
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

// fitsOne logs a visitor in and looks at the cookies.
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
