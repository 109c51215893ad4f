package fallback

import (
	"context"
	"errors"
	"time"
)

// The limits that callers keep. A store need not accept more.
const (
	MaxID     = 64      // bytes of an id
	MaxRecord = 1 << 20 // bytes of a record's data: 1 MiB
	MaxNumber = 1<<63 - 1
)

var (
	// ErrNotFound is returned by Load and Touch for a record that does not
	// exist, was deleted, or has expired.
	ErrNotFound = errors.New("fallback: no such record")

	// ErrConflict is returned by Save if the record is not at the revision
	// that the caller saw: another caller has saved, created or deleted it, or
	// it has expired. Load the record again, reapply the change and retry.
	ErrConflict = errors.New("fallback: the record has changed; load it again")

	// ErrTooLarge is returned by Save for data of more than [MaxRecord] bytes,
	// or of more than the engine accepts.
	ErrTooLarge = errors.New("fallback: the record is too large for the store")

	// ErrFull is returned by Save if a bounded store has no space that it may
	// free. Only [Memory] returns it. The previous record is unchanged.
	ErrFull = errors.New("fallback: the store is full")
)

// Store keeps records. Its methods are safe for concurrent use by many
// goroutines, and many processes may use stores over the same records.
//
// An id is any string of 1 to [MaxID] bytes; it need not be text. An error
// other than the sentinels named here means that the state of the record is
// unknown: the engine is down, or ctx has ended. In the latter case
// errors.Is(err, ctx.Err()) is true.
//
// A record whose Expires is not after now does not exist, even if the engine
// has not removed it; the store checks when it reads. Times have a resolution
// of one millisecond, rounded down.
type Store interface {
	// Load returns the record, or ErrNotFound. The caller owns its Data. Load
	// sees every Save that was acknowledged before it began.
	Load(ctx context.Context, id string) (Record, error)

	// Save stores a record atomically if the current record is at revision
	// old. The zero old means that no record exists. Otherwise Save changes
	// nothing and returns ErrConflict. A Save with an old revision never
	// revives an expired or deleted record. Of any number of callers with the
	// same old, exactly one succeeds.
	//
	// A Save whose new.Revision is already stored has happened before: Save
	// returns nil. So a caller or a driver can safely repeat a Save whose
	// result is unknown.
	//
	// Save may also return ErrTooLarge and ErrFull; see [CheckSave].
	Save(ctx context.Context, id string, old Revision, new Record) error

	// Touch sets the record's expiry, earlier or later, and keeps its
	// revision. It returns ErrNotFound if there is no record; it never revives
	// one.
	Touch(ctx context.Context, id string, expires time.Time) error

	// Delete removes the record at any revision. A missing record is no error.
	Delete(ctx context.Context, id string) error
}

// Counter is a [Store] that can count its records. Counting may read every
// record, so use it only for diagnostics and dashboards.
type Counter interface {
	// Len counts the records that have not expired. It returns
	// errors.ErrUnsupported if the engine cannot list its records.
	Len(ctx context.Context) (int, error)
}

// Clearer is a [Store] that can be emptied.
type Clearer interface {
	// Clear removes all records, including markers of logouts and revocations.
	// It returns errors.ErrUnsupported if the engine cannot list its records.
	Clear(ctx context.Context) error
}

// Sweeper is a [Store] whose engine does not remove expired records. Such a
// store removes some during Save. Call Sweep to remove them at a time of your
// choice.
type Sweeper interface {
	// Sweep removes at most limit expired records and returns their number;
	// fewer than limit means that no more are left. Sweep may keep records
	// that expired within the last minute, for replicas whose clocks are
	// behind. A limit below 1 removes none.
	Sweep(ctx context.Context, limit int) (int, error)
}
