package records

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/internal/core"
)

// The content of a row while a replica replaces the value, and after it has failed.
// Once it has succeeded, the row holds the sealed new value.
const (
	leaseData = "carryon lease"
	freeData  = "carryon lease released"
)

// lease is a replica's claim to replace a value. It is a row of the store whose
// revision the holder changes again and again. Others take over if the revision stays
// the same for leaseTime, which each measures by its own clock: the replicas' clocks
// need not agree.
type lease struct {
	access *Access
	id     core.OnceID
	time   time.Duration
	rev    fallback.Revision // of the row when this replica last read or saved it
	since  time.Time         // the row has had that revision since then, as far as this replica knows
}

// errStoreFails is returned by acquire if the store cannot say who has the lease.
var errStoreFails = errors.New("the store fails")

// once calls do under the lease, or returns the value that another replica has made.
func (l *lease) once(ctx context.Context, do func(context.Context) ([]byte, error)) (core.Replacement, error) {
	value, known, err := l.acquire(ctx)
	switch {
	case err == nil && known:
		return core.Replacement{Value: value, Known: true}, nil
	case err == nil:
		return l.hold(ctx, do)
	case errors.Is(err, errStoreFails):
		value, err := do(ctx) // still once in this process
		return core.Replacement{Value: value}, err
	}
	return core.Replacement{}, err
}

// acquire waits until this replica has the lease, or until another one has published
// the new value, which acquire returns.
//
// If the store fails before acquire has seen another replica's lease, the error is
// errStoreFails. After that, the other replica probably replaces the value at this
// moment. So acquire goes on asking for the lease time, and then returns the store's
// error.
func (l *lease) acquire(ctx context.Context) (value []byte, known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, onceLimit)
	defer cancel()
	l.since = time.Now()
	var failed error // of the last look
	for try := 0; ; try++ {
		if l.rev.IsZero() || failed == nil && l.expired() {
			if err := l.take(ctx); !errors.Is(err, fallback.ErrConflict) {
				return nil, false, err
			}
		}
		value, known, failed = l.look(ctx)
		switch {
		case known:
			return value, true, nil
		case failed != nil && l.rev.IsZero():
			return nil, false, errStoreFails
		case failed != nil && l.expired():
			return nil, false, failed
		case l.expired():
			continue
		}
		if err := l.pause(ctx, try); err != nil {
			return nil, false, err
		}
	}
}

// expired reports whether another replica's lease has ended.
func (l *lease) expired() bool { return time.Since(l.since) >= l.time }

// take takes the lease. The error is fallback.ErrConflict if another replica was faster.
func (l *lease) take(ctx context.Context) error {
	next := l.rev.Next()
	switch err := l.save(ctx, l.rev, next, []byte(leaseData)); {
	case err == nil:
		l.rev = next
		return nil
	case errors.Is(err, fallback.ErrConflict):
		return err
	}
	return errStoreFails
}

// look looks at another replica's lease, or at the new value.
func (l *lease) look(ctx context.Context) (value []byte, known bool, err error) {
	row, err := l.access.loadRow(ctx, l.row())
	if err != nil && !errors.Is(err, fallback.ErrNotFound) {
		return nil, false, err
	}
	if value, known := l.open(row); known {
		return value, true, nil
	}
	if row.Revision != l.rev {
		l.rev, l.since = row.Revision, time.Now()
	}
	if string(row.Data) != leaseData { // released, or overwritten by another program
		l.since = time.Time{}
	}
	return nil, false, nil
}

// pause waits before the next look at another replica's lease.
func (l *lease) pause(ctx context.Context, try int) error {
	longest := min(leasePoll, 10*time.Millisecond<<min(try, 8))
	timer := time.NewTimer(longest/2 + rand.N(longest/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return Down(ctx.Err())
	}
}

// hold calls do, renews the lease meanwhile, and then saves the result.
func (l *lease) hold(ctx context.Context, do func(context.Context) ([]byte, error)) (r core.Replacement, err error) {
	stop := l.keep(ctx)
	returned := false
	defer func() {
		if !returned { // do has panicked
			stop()
			l.release(ctx)
		}
	}()
	r.Value, err = do(ctx)
	returned = true
	r.Alone = stop()
	if err != nil {
		l.release(ctx)
		return r, err
	}
	return l.publish(ctx, r), nil
}

// keep renews the lease until stop is called. stop reports whether no other replica
// can have taken over.
func (l *lease) keep(ctx context.Context) (stop func() (held bool)) {
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	renewed, held := time.Now(), true
	done.Go(func() {
		ticker := time.NewTicker(l.time / 4)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			began, next := time.Now(), l.rev.Next()
			switch err := l.save(ctx, l.rev, next, []byte(leaseData)); {
			case errors.Is(err, fallback.ErrConflict):
				held = false
				return
			case err == nil:
				held = held && began.Sub(renewed) < l.time
				l.rev, renewed = next, began
			}
		}
	})
	return func() bool {
		cancel()
		done.Wait()
		return held && time.Since(renewed) < l.time
	}
}

// release gives up the lease, so that another replica need not wait for its end.
func (l *lease) release(ctx context.Context) {
	_ = l.save(ctx, l.rev, l.rev.Next(), []byte(freeData))
}

// publish saves a new value for the other replicas. If another replica took over
// the lease and has published a value, publish returns that one: all replicas then
// go on with the same value. If the store fails, publish goes on in the background for
// the lease time, because other replicas wait that long before they take over.
func (l *lease) publish(ctx context.Context, r core.Replacement) core.Replacement {
	got, err := l.tryPublish(ctx, r)
	if err != nil {
		go l.publishLate(context.WithoutCancel(ctx), r)
	}
	return got
}

func (l *lease) publishLate(ctx context.Context, r core.Replacement) {
	ctx, cancel := context.WithTimeout(ctx, l.time)
	defer cancel()
	for try := 0; l.pause(ctx, try) == nil; try++ {
		if _, err := l.tryPublish(ctx, r); err == nil {
			return
		}
	}
}

// tryPublish does what publish does. The error is the store's.
func (l *lease) tryPublish(ctx context.Context, r core.Replacement) (core.Replacement, error) {
	for range MaxTries {
		next := l.rev.Next()
		data, err := codec.SealRecord(nil, l.key(), codec.RecordBinding{ID: l.row(), Number: next.Number, Tag: next.Tag}, r.Value)
		if err != nil {
			return r, nil // no later try would succeed
		}
		if err = l.save(ctx, l.rev, next, data); !errors.Is(err, fallback.ErrConflict) {
			return r, err
		}
		r.Alone = false
		row, err := l.access.loadRow(ctx, l.row())
		if err != nil && !errors.Is(err, fallback.ErrNotFound) {
			return r, err
		}
		if value, ok := l.open(row); ok {
			return core.Replacement{Value: value, Known: true}, nil
		}
		l.rev = row.Revision
	}
	return r, nil
}

func (l *lease) save(ctx context.Context, old, next fallback.Revision, data []byte) error {
	rec := fallback.Record{Revision: next, Data: data, Expires: l.access.Client.Clock().Add(onceKept), Kind: fallback.KindLogin}
	return l.access.saveRow(ctx, l.row(), old, rec)
}

// open opens a row. ok reports whether it holds a new value.
func (l *lease) open(row fallback.Record) (value []byte, ok bool) {
	b := codec.RecordBinding{ID: l.row(), Number: row.Revision.Number, Tag: row.Revision.Tag}
	value, err := codec.OpenRecord(nil, l.key(), b, row.Data)
	return value, err == nil
}

// row returns the id of the lease's row. It reveals nothing of the value.
func (l *lease) row() string {
	return "o" + base64.RawURLEncoding.EncodeToString(l.derive("carryon once row")[:24])
}

// key returns the secret that seals the new value. Only who has the old value has
// it.
func (l *lease) key() []byte { return l.derive("carryon once key") }

func (l *lease) derive(label string) []byte {
	key, err := hkdf.Key(sha256.New, l.id[:], nil, label, codec.RecordSecretSize)
	if err != nil {
		panic("carryon: deriving a lease's key: " + err.Error()) // fails only for more than 255 hashes of output
	}
	return key
}
