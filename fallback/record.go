package fallback

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// Record is a store's entry under an id.
type Record struct {
	// Revision identifies this state of the record. It is never zero.
	Revision Revision

	// Data is sealed. It has 0 to [MaxRecord] bytes.
	Data []byte

	// Expires is when the record ends, between the years 1970 and 9999.
	Expires time.Time

	// Kind tells Save how to treat the record when space runs out. A store
	// that never evicts records ignores it, and Load need not return it.
	Kind Kind
}

// Kind classifies a record by its possible creators and by the consequence of
// its loss. A store that evicts records uses it to choose which ones: see
// [Memory].
type Kind uint8

// The kinds of records.
const (
	// KindSession is a session without a subject. Anyone can create one.
	KindSession Kind = iota
	// KindEnd marks the end of a session without a subject. Anyone can create
	// one, by starting a session and logging out. If the mark is lost, a copy
	// of that session works again.
	KindEnd
	// KindLogin is a session with a subject.
	KindLogin
	// KindLoginEnd marks the end of a session with a subject. If the mark is
	// lost, a stolen copy works again.
	KindLoginEnd
	// KindRevocation records that the program revoked a session, or all
	// sessions of a subject.
	KindRevocation

	kinds = 5
)

var kindNames = [kinds]string{"session", "end of a session", "login", "end of a login", "revocation"}

// String returns the kind's name in English.
func (k Kind) String() string {
	if k >= kinds {
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
	return kindNames[k]
}

// Revision identifies one state of a record. It consists of a number that
// grows by one with each write, and of 16 random bytes, so that no two writers
// create the same one. The zero Revision means that the record does not exist.
type Revision struct {
	Number uint64 // 1 to MaxNumber
	Tag    [16]byte
}

// IsZero reports whether r means that no record exists.
func (r Revision) IsZero() bool { return r == Revision{} }

// Next returns a new revision for the state that follows r.
func (r Revision) Next() Revision {
	next := Revision{Number: r.Number + 1}
	rand.Read(next.Tag[:]) // never fails
	return next
}

// The range of expiry times that a store must support, in milliseconds since
// 1970.
const (
	minExpiry = 1
	maxExpiry = 253402300799999
)

// CheckID returns an error if an id is invalid. It is for authors of stores.
// The error is a programming mistake, so there is no sentinel for it.
func CheckID(id string) error {
	if len(id) == 0 || len(id) > MaxID {
		return fmt.Errorf("fallback: an id has 1 to %d bytes, not %d", MaxID, len(id))
	}
	return nil
}

// CheckExpiry returns an error if a record's expiry is out of range. A time in
// the past is valid.
func CheckExpiry(expires time.Time) error {
	if ms := expires.UnixMilli(); ms < minExpiry || ms > maxExpiry {
		return errors.New("fallback: a record expires at a time between 1970 and 9999; give it one")
	}
	return nil
}

// CheckSave returns an error if the arguments of a Save are invalid. It is for
// authors of stores, who need no further checks. The error is ErrTooLarge for
// data of more than [MaxRecord] bytes, and a programming mistake otherwise.
func CheckSave(id string, old Revision, new Record) error {
	if err := CheckID(id); err != nil {
		return err
	}
	if err := CheckExpiry(new.Expires); err != nil {
		return err
	}
	if new.Kind >= kinds {
		return fmt.Errorf("fallback: there is no kind of record %d", new.Kind)
	}
	switch r := new.Revision; {
	case r.Number == 0 || r.Number > MaxNumber || old.Number > MaxNumber:
		return errors.New("fallback: a revision number must be 1 to 2^63-1; use Revision.Next")
	case r.Tag == old.Tag:
		return errors.New("fallback: a new revision needs a new tag; use Revision.Next")
	case len(new.Data) > MaxRecord:
		return fmt.Errorf("%w: it has %d bytes, the limit is %d", ErrTooLarge, len(new.Data), MaxRecord)
	}
	return nil
}
