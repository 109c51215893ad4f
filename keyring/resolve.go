package keyring

import (
	"context"
	"slices"
	"time"
)

const (
	// refreshEvery is the least time between two reads that unknown key ids
	// cause, for all callers together.
	refreshEvery = time.Second

	// defaultBackoff is the most that this grows to, and how long a read counts
	// as recent, where a source has no interval of its own.
	defaultBackoff = time.Minute

	// absentFor is the least time for which an id that a read did not find
	// causes no further read.
	absentFor = time.Minute

	// maxAbsent bounds how many such ids are remembered: anyone can invent some.
	maxAbsent = 1024
)

// A Verdict says what a [Resolver] found out about key ids that the ring at
// hand did not have.
type Verdict uint8

const (
	// Undecided means that an id is unknown and that the ring may be out of
	// date: the source could not be read. The id may be that of a newer key, so
	// nothing may be done that hides or loses what that key sealed.
	Undecided Verdict = iota

	// Known means that the ring has all of the ids, some perhaps as dead.
	Known

	// Foreign means that the ring is current, and does not have one of the
	// ids at least: that key belongs to another program, or to a ring that was
	// replaced. It relies on keys being staged before they seal.
	Foreign
)

var verdictNames = [...]string{"undecided", "known", "foreign"}

// String returns the verdict's name in lower case.
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return "invalid"
}

// A Resolver is a [Provider] that can find out whether a key id that its ring
// does not have belongs to a newer ring. A *[Ring] and *[Keys] are resolvers.
// Resolve must bound how often and how long it works: anyone can send an
// unknown id.
type Resolver interface {
	Provider

	// Resolve returns the ring to use from then on, and what is known of the
	// ids by that ring.
	Resolve(ctx context.Context, ids ...ID) (*Ring, Verdict)
}

// Resolve returns r itself. A fixed ring is always current, so ids that it
// does not have are [Foreign].
func (r *Ring) Resolve(_ context.Context, ids ...ID) (*Ring, Verdict) {
	if len(r.unknown(ids, time.Time{})) > 0 {
		return r, Foreign
	}
	return r, Known
}

// Resolve says what the key ids are that a cookie carries and that the ring
// does not have. It returns the ring to use from then on, and the verdict over
// all of the ids by that ring:
//
//   - [Known]: the ring has all of them, perhaps since it was just reloaded.
//   - [Foreign]: it lacks one, and is current: the source was read successfully
//     after this call began, or no longer ago than [ReloadEvery] (a second at
//     least; a minute where that is never). An id that a read after an earlier
//     call with it did not find stays Foreign while it is remembered, even if
//     the source cannot be read any more.
//   - [Undecided]: it lacks one, and the source cannot be read.
//
// An id that is new to Resolve makes it read the source, before its time. Since
// anyone can send such an id, there are limits for all callers together. One
// caller reads; those that come meanwhile wait for it, at most [ReloadTimeout].
// The next read may begin a second later. While such reads change nothing, that
// grows to two seconds, four and so on, up to ReloadEvery, or a minute where
// that is never.
//
// An id that a read did not find is remembered, and causes no other read as long
// as the source is read in its usual interval: one forgotten cookie costs a
// secret manager one fetch. Where that interval is never, it is looked for again
// after a minute. Resolve remembers up to 1,024 ids, until the ring changes.
//
// What is Foreign rests on an assumption: a key is in the source, and staged,
// for longer than a replica may take to read it before it seals anything
// ([Policy].ActivateIn). "carryon keys rotate" and "carryon keys check" refuse a
// ring that breaks it.
func (k *Keys) Resolve(ctx context.Context, ids ...ID) (*Ring, Verdict) {
	unknown := k.ring.Load().unknown(ids, k.opt.clock())
	if len(unknown) > 0 && k.worthReading(unknown) && k.refresh(ctx) {
		k.remember(unknown)
	}
	// In this order: the ring is at least as new as the read that makes it current.
	current := k.isCurrent(unknown)
	ring := k.ring.Load()
	switch {
	case len(ring.unknown(ids, k.opt.clock())) == 0:
		return ring, Known
	case current:
		return ring, Foreign
	}
	return ring, Undecided
}

// Refresh reads the source now, within the limits of [Keys.Resolve], and
// returns the ring to use then.
func (k *Keys) Refresh(ctx context.Context) *Ring {
	if k.src.read != nil {
		k.refresh(ctx)
	}
	return k.ring.Load()
}

// unknown returns those of the ids that the ring never heard of.
func (r *Ring) unknown(ids []ID, now time.Time) (list []ID) {
	for _, id := range ids {
		if _, state := r.Find(id, now); state == Unknown {
			list = append(list, id)
		}
	}
	return list
}

// extraReads limits the reads that unknown key ids cause. Its times are in
// nanoseconds since the start of the Keys. The zero value is ready.
type extraReads struct {
	began  bool         // there was one
	at     int64        // when the last one began
	wait   int64        // how long the next one has to wait after that
	absent map[ID]int64 // ids that a read did not find, and when that read ended
}

// refresh reports whether the source was read for this caller, and well.
func (k *Keys) refresh(ctx context.Context) bool {
	mine, others := k.mayRefresh()
	switch {
	case mine != nil:
		changed, err := k.look(ctx, true, mine)
		k.backOff(changed)
		return err == nil
	case others != nil:
		select {
		case <-others:
		case <-ctx.Done():
		}
	}
	return false
}

// mayRefresh returns a fetch of the caller's own, or another caller's to wait
// for, or neither if the last one is too recent.
func (k *Keys) mayRefresh() (mine, others chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fetching != nil {
		return nil, k.fetching
	}
	now, e := k.elapsed(), &k.extra
	since := now - e.at
	if since < 0 || since >= 2*int64(k.maxBackoff()) {
		e.wait = 0 // the clock was set back, or it was quiet for long
	}
	if e.began && since < max(e.wait, int64(refreshEvery)) && since >= 0 {
		return nil, nil
	}
	e.began, e.at = true, now
	k.fetching = make(chan struct{})
	return k.fetching, nil
}

// backOff sets when the next extra read may begin.
func (k *Keys) backOff(changed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := &k.extra
	if changed {
		e.wait = 0
		return
	}
	e.wait = min(2*max(e.wait, int64(refreshEvery)), int64(k.maxBackoff()))
}

// maxBackoff is the longest time between two extra reads, and how long a read
// counts as recent.
func (k *Keys) maxBackoff() time.Duration {
	if k.opt.every < 0 {
		return defaultBackoff
	}
	return max(k.opt.every, refreshEvery)
}

// worthReading reports whether one of the ids is not remembered as absent, or
// was not confirmed to be by a read for too long.
func (k *Keys) worthReading(ids []ID) bool {
	if k.src.read == nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.elapsed()
	return slices.ContainsFunc(ids, func(id ID) bool {
		at, ok := k.extra.absent[id]
		since := now - max(at, k.good)
		return !ok || since < 0 || since >= int64(max(absentFor, k.opt.every))
	})
}

// isCurrent reports whether the ring is current as far as these ids go. The
// ring of a source that cannot be read is.
func (k *Keys) isCurrent(ids []ID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	since := k.elapsed() - k.good
	if k.src.read == nil || since >= 0 && since <= int64(k.maxBackoff()) {
		return true
	}
	return !slices.ContainsFunc(ids, func(id ID) bool {
		_, ok := k.extra.absent[id]
		return !ok
	})
}

// remember keeps the ids that the ring still does not have. When there is no
// room, one of the others goes.
func (k *Keys) remember(ids []ID) {
	ids = k.ring.Load().unknown(ids, k.opt.clock())
	k.mu.Lock()
	defer k.mu.Unlock()
	e, now := &k.extra, k.elapsed()
	if e.absent == nil {
		e.absent = make(map[ID]int64)
	}
	for _, id := range ids {
		if _, ok := e.absent[id]; !ok && len(e.absent) >= maxAbsent {
			for other := range e.absent {
				delete(e.absent, other)
				break
			}
		}
		e.absent[id] = now
	}
}
