package fallback

import (
	"context"
	"errors"
	"time"
)

// The bounds of what a store is given. A store need not take more.
const (
	MaxID     = 64      // bytes of an id
	MaxRecord = 1 << 20 // bytes of a record's data: 1 MiB
	MaxNumber = 1<<63 - 1
)

var (
	// ErrNotFound is what Load and Touch answer for a record that is not
	// there, was deleted, or has expired.
	ErrNotFound = errors.New("fallback: no such record")

	// ErrConflict is what Save answers where the record does not stand at the
	// revision that the caller saw: somebody else has written, created,
	// deleted it, or it has expired. Load it again and decide anew.
	ErrConflict = errors.New("fallback: the record has changed; load it again")

	// ErrTooLarge is what Save answers for data of more than [MaxRecord]
	// bytes, or of more than the engine takes.
	ErrTooLarge = errors.New("fallback: the record is too large for the store")

	// ErrFull is what Save answers where a bounded store has no room left that
	// it may free. Only [Memory] does. What stood there before still stands.
	ErrFull = errors.New("fallback: the store is full")
)

// Store keeps records. Its methods may be called by many goroutines, and many
// processes may hold stores over the same records.
//
// An id is any string of 1 to [MaxID] bytes, which need not be text. An error
// other than the sentinels named here means that the store cannot tell: it is
// down, or ctx has ended; then errors.Is(err, ctx.Err()) holds.
//
// A record whose Expires is not after now is as good as absent, whether the
// engine has removed it or not; the store checks when it reads. Times count to
// the millisecond, rounded down.
type Store interface {
	// Load gives the record, whose Data is the caller's own; or ErrNotFound.
	// It sees every Save that was acknowledged before it began.
	Load(ctx context.Context, id string) (Record, error)

	// Save puts the record there if what stands there is at revision old, in
	// one step that no other call can divide. The zero old says that nothing
	// stands there. If it is otherwise, nothing changes and the answer is
	// ErrConflict: a record that has expired or was deleted is never revived
	// by a Save with an old revision, and of any number of callers with the
	// same old exactly one succeeds.
	//
	// A Save whose new.Revision already stands there is one that has happened
	// before: the answer is nil. So a caller, or a driver, that does not know
	// whether a Save arrived can send the same one again.
	//
	// It answers ErrTooLarge and ErrFull as they say, and see [CheckSave].
	Save(ctx context.Context, id string, old Revision, new Record) error

	// Touch gives the record a new expiry, earlier or later, and leaves its
	// revision as it is; or ErrNotFound: it never revives.
	Touch(ctx context.Context, id string, expires time.Time) error

	// Delete removes the record at whatever revision. It is no error if there
	// is none.
	Delete(ctx context.Context, id string) error
}

// Counter is a [Store] that can say how many records it has. It may look at
// every one of them: it is for people and dashboards.
type Counter interface {
	// Len counts the records that have not expired. The error is
	// errors.ErrUnsupported if the engine cannot list its records.
	Len(ctx context.Context) (int, error)
}

// Clearer is a [Store] that can be emptied.
type Clearer interface {
	// Clear removes all records, markers of logouts and revocations too. The
	// error is errors.ErrUnsupported if the engine cannot list its records.
	Clear(ctx context.Context) error
}

// Sweeper is a [Store] whose engine does not remove expired records by itself.
// Such a store does it in passing; who wants it done at a quiet hour calls
// Sweep.
type Sweeper interface {
	// Sweep removes at most limit expired records and says how many it was;
	// fewer than limit means that there are no more. It may leave those that
	// expired within the last minute, for replicas whose clocks are behind.
	// A limit below 1 removes none.
	Sweep(ctx context.Context, limit int) (int, error)
}
