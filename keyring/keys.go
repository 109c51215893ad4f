package keyring

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Keys is a live ring that follows its [Source] without a goroutine of its
// own. It is a [Resolver] and safe for concurrent use.
type Keys struct {
	ring atomic.Pointer[Ring]
	next atomic.Int64 // when Ring reads again, in nanoseconds since start

	src   Source
	opt   options
	start time.Time

	mu       sync.Mutex    // guards the next four fields; not held while the source is read
	fetching chan struct{} // closed when the current fetch ends; nil if there is none
	good     int64         // when the last successful read began, in nanoseconds since start
	extra    extraReads
	checks   []func(*Ring) error

	// Only the caller that fetches uses these fields.
	last     sourceRead        // without its text
	sum      [sha256.Size]byte // of the last text, as the source has it
	failures int
	busy     <-chan outcome // an abandoned read, or nil
}

// outcome is the result of a read.
type outcome struct {
	sourceRead                   // its text is unwrapped, if it is new
	sum        [sha256.Size]byte // of the text as the source has it
	same       bool              // nothing changed since the last read
	err        error
}

// Open reads a ring from src and returns the Keys that follow it. It fails if
// the source has no valid ring; ctx limits how long it waits. After that, Keys
// always has a ring: if a reload fails, the last good ring stays in use and
// [OnReload] is called.
func Open(ctx context.Context, src Source, list ...Option) (*Keys, error) {
	if src.read == nil {
		return nil, errors.New("keyring: no source; use keyring.File, Env, FS, Func or Wrapped")
	}
	k := &Keys{src: src, opt: newOptions(src, list)}
	k.start = k.opt.clock()
	out := k.read(ctx, true)
	if out.err != nil {
		return nil, k.explain(src.advise(out.err))
	}
	if _, _, err := k.install(out); err != nil {
		return nil, err
	}
	k.next.Store(int64(k.opt.every))
	if k.opt.logs {
		slog.Info("keyring: opened", "source", src.name, "ring", k.ring.Load().Fingerprint())
	}
	if err := src.warn(out.sourceRead); err != nil {
		k.opt.report(ReloadEvent{Source: src.name, Fingerprint: k.ring.Load().Fingerprint(), Warning: err})
	}
	return k, nil
}

// Require adds a check that every later ring must pass, for example that the
// program has the formats of all keys. It returns the result of check for the
// ring in use; if that is an error, the check is not added. A reloaded ring
// that fails the check counts as one that cannot be read: the last good ring
// stays in use and [OnReload] is called. check must be quick and must not call
// methods of k.
func (k *Keys) Require(check func(*Ring) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := check(k.ring.Load()); err != nil {
		return err
	}
	k.checks = append(slices.Clip(k.checks), check)
	return nil
}

// Ephemeral returns a ring with one new key that exists only in this process,
// and logs a warning. Sessions do not survive a restart and are not shared
// with other replicas. Use it for development.
func Ephemeral() *Keys {
	ring, err := Generate(time.Now())
	if err != nil {
		panic(err) // the clock is not between 1970 and 9999
	}
	ring.ephemeral = true
	slog.Warn("keyring: ephemeral key: sessions end with this process and are not shared with other replicas; make a ring with: carryon keys init FILE")
	k := &Keys{src: Source{name: "ephemeral"}, opt: newOptions(Source{every: -1}, nil)}
	k.ring.Store(ring)
	return k
}

// Ring returns the ring to use now; it is never nil. If the last read is older
// than [ReloadEvery], one caller reads the source and waits for it, at most
// [ReloadTimeout]. All other callers get the current ring at once.
func (k *Keys) Ring(ctx context.Context) *Ring {
	if k.opt.every < 0 || k.src.read == nil {
		return k.ring.Load()
	}
	next, now := k.next.Load(), k.elapsed()
	// After the clock was set back, next would lie far in the future.
	due := now >= next || now < next-int64(k.opt.every)
	if due && k.next.CompareAndSwap(next, now+int64(k.opt.every)) {
		if done := k.beginFetch(); done != nil {
			k.fetchRing(ctx, false, done)
		}
	}
	return k.ring.Load()
}

// beginFetch starts a fetch. It returns nil if one is already running.
func (k *Keys) beginFetch() chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fetching != nil {
		return nil
	}
	k.fetching = make(chan struct{})
	return k.fetching
}

func (k *Keys) endFetch(done chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fetching = nil
	close(done)
}

// fetchRing reads the source and puts a new ring in use. The reload serves all
// requests, so the end of this request does not end it; only the time limit
// does.
func (k *Keys) fetchRing(ctx context.Context, force bool, done chan struct{}) (changed bool, err error) {
	defer k.endFetch(done)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.opt.timeout)
	defer cancel()
	began := k.elapsed()
	out := k.read(ctx, force)
	var lost []ID
	switch {
	case out.err != nil:
		err = k.explain(out.err)
	case out.replaced:
		err = k.explain(errOrphan)
	case !out.same:
		changed, lost, err = k.install(out)
	}
	if err == nil {
		k.noteRead(began, changed)
	}
	k.tell(changed, lost, err)
	return changed, err
}

// noteRead records a successful read. A new ring invalidates what is known
// about absent ids.
func (k *Keys) noteRead(began int64, changed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.good = began
	if changed {
		k.extra.absent = nil
	}
}

func (k *Keys) tell(changed bool, lost []ID, err error) {
	recovered := err == nil && k.failures > 0
	if err != nil {
		k.failures++
		k.last = sourceRead{} // ignore time stamps at the next read
	} else {
		k.failures = 0
	}
	if changed || recovered || err != nil {
		k.opt.report(ReloadEvent{
			Source: k.src.name, Fingerprint: k.ring.Load().Fingerprint(),
			Changed: changed, Lost: lost, Failures: k.failures, Err: err,
		})
	}
}

// read reads the source, and abandons the read when ctx ends. At most one read
// is pending, so a source that hangs costs one goroutine, not one per second.
func (k *Keys) read(ctx context.Context, force bool) outcome {
	if k.busy != nil {
		select {
		case <-k.busy: // the abandoned read has ended; its result is outdated
			k.busy = nil
		default:
			return outcome{err: errors.New("the source has still not answered an earlier read")}
		}
	}
	answer := make(chan outcome, 1)
	last, sum, now := k.last, k.sum, k.opt.clock()
	go func() {
		if !force && k.src.fresh != nil && k.src.fresh(last) {
			answer <- outcome{same: true}
			return
		}
		out := k.src.fetch(ctx, sum)
		out.at = now
		answer <- out
	}()
	select {
	case out := <-answer:
		return out
	case <-ctx.Done():
		k.busy = answer
		return outcome{err: fmt.Errorf("the source did not answer in time: %w", ctx.Err())}
	}
}

// install puts a ring in use unless the text is unchanged. It keeps only a
// hash of the text, because the text contains the secrets.
func (k *Keys) install(out outcome) (changed bool, lost []ID, err error) {
	old := k.ring.Load()
	if old == nil || out.sum != k.sum {
		ring, err := Parse(out.text)
		if err == nil {
			err = k.replace(ring)
		}
		if err != nil {
			return false, nil, fmt.Errorf("%w (in the %s)", err, k.src.name)
		}
		changed = old == nil || old.Fingerprint() != ring.Fingerprint()
		lost = old.lost(ring, k.opt.clock())
	}
	k.sum, k.last = out.sum, sourceRead{info: out.info, at: out.at}
	return changed, lost, nil
}

// replace puts a ring in use if it passes all checks.
func (k *Keys) replace(ring *Ring) error {
	k.mu.Lock() // no check can be added in between
	defer k.mu.Unlock()
	for _, check := range k.checks {
		if err := check(ring); err != nil {
			return err
		}
	}
	k.ring.Store(ring)
	return nil
}

// explain adds the name of the source to an error.
func (k *Keys) explain(err error) error {
	return fmt.Errorf("keyring: cannot read the ring from the %s: %w", k.src.name, withoutPath(err))
}

func (k *Keys) elapsed() int64 { return int64(k.opt.clock().Sub(k.start)) }
