package keyring

import (
	"context"
	"slices"
	"time"
)

const (
	// refreshEvery is the minimum time between two reads that unknown key ids
	// cause, for all callers together.
	refreshEvery = time.Second

	// defaultBackoff is the maximum of that time, and how long a read counts
	// as recent, for sources without a reload interval.
	defaultBackoff = time.Minute

	// absentFor is the minimum time for which an id that a read did not find
	// causes no further read.
	absentFor = time.Minute

	// maxAbsent limits how many such ids are remembered, because anyone can
	// make up ids.
	maxAbsent = 1024
)

// A Verdict is what a [Resolver] found out about key ids that its ring did not
// have.
type Verdict uint8

const (
	// Undecided means that an id is unknown and that the ring may be out of
	// date, because the source could not be read. The id may belong to a newer
	// key, so the caller must not hide or delete what that key sealed.
	Undecided Verdict = iota

	// Known means that the ring lists all of the ids, some of them perhaps as
	// dead.
	Known

	// Foreign means that the ring is current and lacks at least one of the
	// ids. That key belongs to another program, or to a ring that was
	// replaced. This verdict is correct only if keys are staged before they
	// seal.
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

// A Resolver is a [Provider] that can find out whether an unknown key id
// belongs to a newer ring. A *[Ring] and *[Keys] are resolvers. Resolve must
// limit how often and how long it works, because anyone can send an unknown
// id.
type Resolver interface {
	Provider

	// Resolve returns the ring to use from then on, and that ring's verdict on
	// the ids.
	Resolve(ctx context.Context, ids ...ID) (*Ring, Verdict)
}

// Resolve returns r itself. A fixed ring is always current, so an id that it
// does not have is [Foreign].
func (r *Ring) Resolve(_ context.Context, ids ...ID) (*Ring, Verdict) {
	if len(r.unknown(ids, time.Time{})) > 0 {
		return r, Foreign
	}
	return r, Known
}

// Resolve finds out where unknown key ids of a cookie come from. It returns
// the ring to use from then on, and that ring's verdict on all of the ids:
//
//   - [Known]: the ring has all of the ids, perhaps after a reload.
//   - [Foreign]: the ring is current and lacks one. It is current if the source
//
// was read successfully after this call began, or within [ReloadEvery] (at
// least a second; a minute if there is no interval). An id that a read after
// an earlier call did not find stays Foreign while it is remembered, even if
// the source can no longer be read.
//   - [Undecided]: the ring lacks one, and the source cannot be read.
//
// A new id makes Resolve read the source at once. Anyone can send such an id,
// so there are limits for all callers together. One caller reads; concurrent
// callers wait for that read, at most [ReloadTimeout]. The next read may begin
// a second later. While such reads change nothing, the wait doubles each time,
// up to ReloadEvery, or up to a minute if there is no interval.
//
// Resolve remembers up to 1,024 ids that a read did not find, until the ring
// changes. A remembered id causes no further read as long as the source is
// read at its usual interval: one forgotten cookie costs one fetch from a
// secret manager. If there is no interval, Resolve looks for the id again
// after a minute.
//
// Foreign rests on one assumption: before a key seals, it is in the source and
// staged for longer than any replica takes to read it ([Policy].ActivateIn).
// "carryon keys rotate" and "carryon keys check" refuse a ring that breaks
// this rule.
func (k *Keys) Resolve(ctx context.Context, ids ...ID) (*Ring, Verdict) {
	unknown := k.ring.Load().unknown(ids, k.opt.clock())
	if len(unknown) > 0 && k.worthReading(unknown) && k.refresh(ctx) {
		k.remember(unknown)
	}
	// The order matters: the ring must be at least as new as the read that
	// makes it current.
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
// returns the ring to use from then on.
func (k *Keys) Refresh(ctx context.Context) *Ring {
	if k.src.read != nil {
		k.refresh(ctx)
	}
	return k.ring.Load()
}

// unknown returns those ids that the ring does not list.
func (r *Ring) unknown(ids []ID, now time.Time) (list []ID) {
	for _, id := range ids {
		if _, state := r.Find(id, now); state == Unknown {
			list = append(list, id)
		}
	}
	return list
}

// extraReads limits the reads that unknown key ids cause. Its times are in
// nanoseconds since the start of the Keys. The zero value is ready to use.
type extraReads struct {
	began  bool         // there was an extra read
	at     int64        // when the last extra read began
	wait   int64        // minimum time between that and the next one
	absent map[ID]int64 // ids that a read did not find, with the end of that read
}

// refresh reports whether this call read the source successfully.
func (k *Keys) refresh(ctx context.Context) bool {
	mine, others := k.mayRefresh()
	switch {
	case mine != nil:
		changed, err := k.fetchRing(ctx, true, mine)
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

// mayRefresh returns a new fetch for the caller, another caller's fetch to
// wait for, or neither if the last one was too recent.
func (k *Keys) mayRefresh() (mine, others chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fetching != nil {
		return nil, k.fetching
	}
	now, e := k.elapsed(), &k.extra
	since := now - e.at
	if since < 0 || since >= 2*int64(k.maxBackoff()) {
		e.wait = 0 // the clock was set back, or there were no extra reads for a while
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

// maxBackoff returns the longest wait between two extra reads. It is also how
// long a read counts as recent.
func (k *Keys) maxBackoff() time.Duration {
	if k.opt.every < 0 {
		return defaultBackoff
	}
	return max(k.opt.every, refreshEvery)
}

// worthReading reports whether one of the ids is new, or was last confirmed as
// absent too long ago.
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

// isCurrent reports whether the ring is current with respect to the ids. A
// ring without a readable source is always current.
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

// remember records the ids that the ring still lacks. If there is no space
// left, it drops another id.
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
