package fallback

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// Record is what a store keeps under an id.
type Record struct {
	// Revision says which state of the record this is. It is never zero.
	Revision Revision

	// Data is sealed: at most [MaxRecord] bytes, maybe none.
	Data []byte

	// Expires is when the record is gone, between 1970 and 9999.
	Expires time.Time

	// Pinned asks a store that drops records to make room not to drop this one
	// before it expires: it is the marker of a logout or a revocation, whose
	// absence would let something back in. It is for Save only. A store that
	// drops nothing before its time ignores it, and Load may not give it back.
	Pinned bool
}

// Revision names one state of a record: a number that grows by one with each
// write, and 16 random bytes, so that no two writers ever make the same one.
// The zero Revision means that the record does not exist yet.
type Revision struct {
	Number uint64 // 1 to MaxNumber
	Tag    [16]byte
}

// IsZero reports whether r means a record that does not exist yet.
func (r Revision) IsZero() bool { return r == Revision{} }

// Next makes the revision of a state that follows r.
func (r Revision) Next() Revision {
	next := Revision{Number: r.Number + 1}
	rand.Read(next.Tag[:]) // never fails
	return next
}

// The years that a store must be able to hold, in milliseconds since 1970.
const (
	minExpiry = 1
	maxExpiry = 253402300799999
)

// CheckID says what is wrong with an id. It is for those who write a store;
// the mistake is the caller's, so that no sentinel is needed.
func CheckID(id string) error {
	if len(id) == 0 || len(id) > MaxID {
		return fmt.Errorf("fallback: an id has 1 to %d bytes, not %d", MaxID, len(id))
	}
	return nil
}

// CheckExpiry says what is wrong with the time at which a record is to expire.
// One that has passed is not wrong.
func CheckExpiry(expires time.Time) error {
	if ms := expires.UnixMilli(); ms < minExpiry || ms > maxExpiry {
		return errors.New("fallback: a record expires at a time between 1970 and 9999; give it one")
	}
	return nil
}

// CheckSave says what is wrong with the arguments of a Save. It is for those
// who write a store: all that the other arguments of a Save can be is then
// known to fit. The error is ErrTooLarge for data of more than [MaxRecord]
// bytes, and otherwise a mistake of the caller's.
func CheckSave(id string, old Revision, new Record) error {
	if err := CheckID(id); err != nil {
		return err
	}
	if err := CheckExpiry(new.Expires); err != nil {
		return err
	}
	switch r := new.Revision; {
	case r.Number == 0 || r.Number > MaxNumber || old.Number > MaxNumber:
		return errors.New("fallback: the number of a revision is 1 to 2^63-1; use Revision.Next")
	case r.Tag == old.Tag:
		return errors.New("fallback: a new revision needs a tag of its own; use Revision.Next")
	case len(new.Data) > MaxRecord:
		return fmt.Errorf("%w: it has %d bytes and may have %d", ErrTooLarge, len(new.Data), MaxRecord)
	}
	return nil
}
