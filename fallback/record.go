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

	// Kind says who can create such a record and what its loss would mean. It
	// is for Save only. A store that drops nothing before its time ignores it,
	// and Load need not return it.
	Kind Kind

	// Pinned is the older form of Kind: a pinned record whose Kind is
	// KindSession counts as KindLoginEnd.
	Pinned bool
}

// Kind says who can create a record, and what its loss would mean. A store that
// makes room by dropping records uses it to decide which ones: see [Memory].
type Kind uint8

// The kinds of records.
const (
	// KindSession is a session that is bound to no subject. Anybody can begin
	// one.
	KindSession Kind = iota
	// KindEnd marks the end of a session that was bound to no subject. Anybody
	// can make one, by beginning a session and logging out. If it is lost, a
	// copy of that session works again.
	KindEnd
	// KindLogin is a session that is bound to a subject.
	KindLogin
	// KindLoginEnd marks the end of a session that was bound to a subject, or
	// that a login has replaced. If it is lost, a stolen copy works again.
	KindLoginEnd
	// KindRevocation is the program's own word that a session, or all sessions
	// of a subject, are over.
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

// kind is the kind that counts.
func (r Record) kind() Kind {
	if r.Kind == KindSession && r.Pinned {
		return KindLoginEnd
	}
	return r.Kind
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
	if new.Kind >= kinds {
		return fmt.Errorf("fallback: there is no kind of record %d", new.Kind)
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
