package keyring

import (
	"context"
	"slices"
	"time"
)

const (
	// refreshEvery is how long an unknown key id, from whomever, waits after
	// the last reload that one caused, as long as such reloads find something.
	refreshEvery = time.Second

	// refreshSeldom is the most that this grows to where a source has no
	// interval of its own.
	refreshSeldom = time.Minute

	// absentFor is how long an id is not looked for that was nowhere, where
	// the source is looked at more often than that.
	absentFor = time.Minute

	// maxAbsent bounds how many such ids are remembered: anyone can invent some.
	maxAbsent = 1024
)

// extra limits the reloads that unknown key ids cause. Its times are in
// nanoseconds since the start of the Keys. The zero value is ready.
type extra struct {
	looked bool         // there was one
	at     int64        // when the last one began
	wait   int64        // how long the next one has to wait after that
	absent map[ID]int64 // ids that a look did not find, and when that was
}

// Seek reads the source now, because a cookie carries key ids that the ring
// does not know, and returns the ring to use then. Anyone can send such a
// cookie, so there are limits, for all callers together. One reads, those who
// come while it does wait for it, at most [ReloadTimeout]. A second later the
// next one may; if the reads change nothing, that grows to two seconds, four, …
// up to [ReloadEvery], or a minute where that is never. Who comes in between
// gets the ring as it is: so a good key that is newer than the last read can
// stay unknown for that long. And an id that was not there does not cause a
// read again for [ReloadEvery], at least a minute: one forgotten cookie costs a
// secret manager next to nothing.
func (k *Keys) Seek(ctx context.Context, ids ...ID) *Ring {
	if k.src.read == nil || !k.missing(ids) {
		return k.ring.Load()
	}
	if k.refresh(ctx) {
		k.remember(ids)
	}
	return k.ring.Load()
}

// Refresh is [Keys.Seek] for who does not know which id is missing: it reads
// the source, within the same limits for all callers together.
func (k *Keys) Refresh(ctx context.Context) *Ring {
	if k.src.read != nil {
		k.refresh(ctx)
	}
	return k.ring.Load()
}

// refresh reports whether the source was read for this caller, and well.
func (k *Keys) refresh(ctx context.Context) bool {
	mine, others := k.mayRefresh()
	switch {
	case mine != nil:
		changed, err := k.look(ctx, true, mine)
		k.pace(changed)
		return err == nil
	case others != nil:
		select {
		case <-others:
		case <-ctx.Done():
		}
	}
	return false
}

// mayRefresh returns a flight of the caller's own, or somebody else's to wait
// for, or neither if the last one is too recent.
func (k *Keys) mayRefresh() (mine, others chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.flight != nil {
		return nil, k.flight
	}
	now, e := k.elapsed(), &k.extra
	since := now - e.at
	if since < 0 || since >= 2*int64(k.seldom()) {
		e.wait = 0 // the clock was set back, or it was quiet for long
	}
	if e.looked && since < max(e.wait, int64(refreshEvery)) && since >= 0 {
		return nil, nil
	}
	e.looked, e.at = true, now
	k.flight = make(chan struct{})
	return k.flight, nil
}

// pace says when the next extra reload may be.
func (k *Keys) pace(changed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := &k.extra
	if changed {
		e.wait, e.absent = 0, nil
		return
	}
	e.wait = min(2*max(e.wait, int64(refreshEvery)), int64(k.seldom()))
}

// seldom is the longest time between two extra reloads.
func (k *Keys) seldom() time.Duration {
	if k.opt.every < 0 {
		return refreshSeldom
	}
	return max(k.opt.every, refreshEvery)
}

// missing reports whether one of the ids is unknown and worth a look.
func (k *Keys) missing(ids []ID) bool {
	ring := k.ring.Load()
	now := k.opt.clock()
	unknown := func(id ID) bool {
		_, state := ring.Find(id, now)
		return state == Unknown
	}
	if !slices.ContainsFunc(ids, unknown) {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	elapsed := k.elapsed()
	return slices.ContainsFunc(ids, func(id ID) bool { return unknown(id) && !k.isAbsent(id, elapsed) })
}

// isAbsent reports whether the id was looked for not long ago.
func (k *Keys) isAbsent(id ID, elapsed int64) bool {
	at, ok := k.extra.absent[id]
	return ok && at <= elapsed && elapsed-at < int64(max(absentFor, k.opt.every))
}

// remember keeps the ids that the ring still does not know.
func (k *Keys) remember(ids []ID) {
	ring := k.ring.Load()
	k.mu.Lock()
	defer k.mu.Unlock()
	e, now := &k.extra, k.elapsed()
	if e.absent == nil {
		e.absent = make(map[ID]int64)
	}
	for _, id := range ids {
		if ring.find(id) != (entry{}) {
			continue
		}
		if len(e.absent) >= maxAbsent {
			for old := range e.absent {
				if !k.isAbsent(old, now) {
					delete(e.absent, old)
				}
			}
		}
		if len(e.absent) < maxAbsent {
			e.absent[id] = now
		}
	}
}
