package core

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
)

// Fate is what the merge made of one fragment.
type Fate byte

const (
	// Accepted fragments make up the state.
	Accepted Fate = iota + 1
	// Covered fragments are accepted and add nothing to another that is.
	Covered
	// Dead fragments belong to a generation that lost for ever.
	Dead
	// Late fragments contradict what another knows to be dead.
	Late
	// Torn fragments need a write that is not there (yet).
	Torn
	// Ended fragments are past their absolute lifetime.
	Ended
	// Idle fragments have not been used for longer than the idle timeout.
	Idle
)

// Verdict says what was found, in one word of the list that session.Reason is.
type Verdict byte

const (
	// Present: there is a session.
	Present Verdict = iota
	// Absent: there is nothing of ours that could be opened.
	Absent
	// ExpiredIdle and ExpiredEnd: there was one.
	ExpiredIdle
	ExpiredEnd
	// LoggedOut: it was destroyed.
	LoggedOut
	// Incomplete: parts of it are missing.
	Incomplete
	// Revoked: it was ended from elsewhere.
	Revoked
	// Unstored: it lives in a record that is not among the fragments.
	Unstored
	// StoreDown: it lives in a record, and the store could not tell.
	StoreDown
)

// View is a merged jar: one session's state, and what each fragment is worth.
type View struct {
	Verdict   Verdict
	Frozen    bool        // more is missing that may come back: nothing may be collected
	Imported  bool        // it is another library's session, of which none of our cookies knows yet
	Head      *Fragment   // of the winning generation: its header fields; nil where there is no session
	State     State       // of the session
	Fragments []*Fragment // all that were opened, in the order of the merge
	Fates     []Fate      // what each is worth

	Seen     int64  // when the visitor was last seen
	IdleEnd  int64  // when the session ends if it is not used before; 0: never
	MaxAt    int64  // the highest clock value in the jar
	MaxBorn  int64  // the highest birth in the jar
	Unopened int    // cookies of ours that could not be opened, but may be by another replica
	Closed   string // why the last of the cookies that did not open did not
	Loaded   int64  // when the jar was read

	Ref       *Fragment // the reference that counts: the state lives in a record; nil where it does not
	Moved     uint64    // references up to this number are dead
	Collected uint64    // up to here the moved record has been collected
	Record    Revision  // of the record that was merged; zero where none was
}

// Revision names one state of a record, as the store does.
type Revision struct {
	Number uint64
	Tag    [16]byte
}

// Any tells whether the request carried anything of ours that opened.
func (v *View) Any() bool { return len(v.Fragments) > 0 }

// Count is how many fragments have one of the fates.
func (v *View) Count(fates ...Fate) (n int) {
	for _, f := range v.Fates {
		if slices.Contains(fates, f) {
			n++
		}
	}
	return n
}

// Continues tells whether what was decided on the session as seen shows it may be
// written on top of v. It may not where a part has been dropped since, be it late
// or put back: that part may have been a restriction.
func (v *View) Continues(seen *View) bool {
	if v.Head == nil || seen.Head == nil || v.Head.Root != seen.Head.Root {
		return true // a generation begins, whole
	}
	return v.State.shows(&seen.State)
}

// Room is memory for the merge of a usual jar.
type Room struct {
	fates       [8]Fate
	generations [1]generation
}

// Merge makes one state of the fragments of a jar. Their order does not matter.
// idle is the idle timeout in milliseconds (0: none), unopened the number of
// fragments of ours that are present but closed to this replica.
func Merge(fragments []*Fragment, unopened int, now, idle int64) View {
	var v View
	v.Merge(fragments, unopened, now, idle, &Room{}, nil)
	return v
}

// Merge is the function of that name, into memory of the caller's. The entries of
// the state of several fragments are put into entries where that suffices.
func (v *View) Merge(fragments []*Fragment, unopened int, now, idle int64, room *Room, entries []Entry) {
	*v = View{Fragments: fragments, Unopened: unopened, Loaded: now, Verdict: Absent, Fates: room.fates[:]}
	if len(fragments) > len(room.fates) {
		v.Fates = make([]Fate, len(fragments))
	}
	v.Fates = v.Fates[:len(fragments)]
	if len(fragments) > 1 {
		slices.SortFunc(v.Fragments, inOrder)
	}
	for _, f := range fragments {
		v.MaxAt = max(v.MaxAt, f.highest())
		v.MaxBorn = max(v.MaxBorn, f.Born.At)
	}
	if winner := v.elect(room.generations[:0], now, idle); winner != nil {
		v.merge(winner, entries)
		if winner.Idle != 0 {
			idle = winner.Idle
		}
		if idle > 0 && idle < NoIdle {
			v.IdleEnd = v.Seen + idle
		}
	}
}

// inOrder is any total order that all replicas share.
func inOrder(a, b *Fragment) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), strings.Compare(a.Suffix, b.Suffix), cmp.Compare(b.Seen, a.Seen))
}

// merge computes the state of the winning generation: what contradicts a
// horizon is dropped whole, then what is not closed, until nothing changes.
func (v *View) merge(winner *Fragment, room []Entry) {
	v.dropLate()
	for v.join(room) {
	}
	v.refer()
	switch {
	case v.Ref != nil && !v.hasRecord():
		v.Verdict = Unstored // the rest is an older state, which must not pass for the present one
	case !v.hasSnapshot():
		v.Verdict = Incomplete
	default:
		v.Verdict, v.Head = Present, winner
		v.markCovered()
		return
	}
	v.State = State{}
}

// refer finds the reference that counts. A snapshot in the cookies that says
// that the state has moved there knows all that the record held up to then. In
// the record itself it tells of an earlier move: the state has gone back since.
func (v *View) refer() {
	dead := uint64(0)
	for i, f := range v.Fragments {
		if v.counts(i) && f.Snapshot() {
			v.Moved, v.Collected = max(v.Moved, f.Moved), max(v.Collected, f.Number)
			if !f.Stored {
				dead = max(dead, f.Moved)
			}
		}
	}
	for i, f := range v.Fragments {
		if v.Fates[i] == Accepted && f.Kind == Reference && !f.Stored && f.Number > dead &&
			(v.Ref == nil || f.outranks(v.Ref)) {
			v.Ref = f
		}
	}
}

// outranks orders references: who loads the record of a higher number finds in
// it all that was in one of a lower.
func (f *Fragment) outranks(g *Fragment) bool {
	if f.Number != g.Number {
		return f.Number > g.Number
	}
	return bytes.Compare(f.ETag[:], g.ETag[:]) > 0
}

func (v *View) hasRecord() bool {
	return slices.ContainsFunc(v.Fragments, func(f *Fragment) bool {
		return f.Stored && f.Kind == Data && f.Root == v.Ref.Root
	})
}

func (v *View) counts(i int) bool { return v.Fates[i] == Accepted && v.Fragments[i].Kind == Data }

func (v *View) hasSnapshot() bool {
	for i, f := range v.Fragments {
		if v.counts(i) && f.Snapshot() {
			return true
		}
	}
	return false
}

// dropLate lets the snapshots with a horizon, highest first, throw out whole
// what contradicts them: what holds a write that they know to be dead, or knows
// a write to be dead that they hold. With the assumptions of SPEC.md nothing is
// ever thrown out: by the time a horizon rises over a write, all that builds on
// that write has been seen.
func (v *View) dropLate() {
	var judges []int
	for i, f := range v.Fragments {
		if v.counts(i) && f.Snapshot() && f.Horizon != 0 {
			judges = append(judges, i)
		}
	}
	slices.SortStableFunc(judges, func(a, b int) int {
		return cmp.Compare(v.Fragments[b].Horizon, v.Fragments[a].Horizon)
	})
	for at, j := range judges {
		if v.Fates[j] != Accepted {
			continue
		}
		x := v.Fragments[j]
		for i, f := range v.Fragments {
			if v.counts(i) && !slices.Contains(judges[:at+1], i) && (contradicts(x, f) || contradicts(f, x)) {
				v.Fates[i] = Late
			}
		}
	}
}

// contradicts tells whether f holds a write that x, or what x builds on, says is
// dead: a horizon is a number, and two pasts may have come to the same one.
func contradicts(x, f *Fragment) bool {
	for _, e := range f.Entries {
		// A Pop's tombstone has the stamp of the value, but is as new as it is.
		if max(e.Stamp.At, e.Gone) > x.Horizon || e.Stamp.Compare(x.Floor) < 0 {
			continue
		}
		known, ok := x.knows(e)
		if ok && newer(known, e) < 0 || !ok && !e.Dead() {
			return true
		}
	}
	return false
}

// knows is what f says of e's name: its own entry, or the one that it needs,
// which stands for e itself where it is the same write.
func (f *Fragment) knows(e Entry) (Entry, bool) {
	if own, ok := f.Find(e.Name); ok {
		return own, true
	}
	for _, n := range f.Needs {
		if n.Name != e.Name {
			continue
		}
		known := Entry{Name: n.Name, Stamp: n.Stamp, Value: e.Value}
		if n.Gone {
			known.Gone = max(n.Stamp.At, e.Gone)
		}
		return known, true
	}
	return Entry{}, false
}

// join makes the state of all that is accepted and marks as torn what it does
// not support; it reports whether anything was.
func (v *View) join(room []Entry) (changed bool) {
	horizon := int64(0)
	var parts []*Fragment
	for i, f := range v.Fragments {
		if !v.counts(i) {
			continue
		}
		if f.Snapshot() {
			horizon = max(horizon, f.Horizon)
		}
		if len(v.Fragments) == 1 && f.Snapshot() {
			v.State = f.state()
			return false
		}
		parts = append(parts, f)
	}
	v.State = joinAll(room, parts)
	for i, f := range v.Fragments {
		if v.counts(i) && !f.Snapshot() && !v.State.supports(f, horizon) {
			v.Fates[i], changed = Torn, true
		}
	}
	return changed
}

// supports tells whether s, whose snapshots reach up to horizon, shows all that
// the delta f builds on, or something newer in its place.
func (s *State) supports(f *Fragment, horizon int64) bool {
	if f.Horizon > horizon {
		return false
	}
	for _, n := range f.Needs {
		if n.Stamp.Compare(s.Floor) < 0 {
			continue // cleared since
		}
		e, ok := s.Find(n.Name)
		switch {
		case n.Gone && n.Stamp.At <= horizon && (!ok || e.Dead()):
			// Collected; an older tombstone may outlast it in a cookie that is covered.
		case !ok, e.Stamp.Compare(n.Stamp) < 0, n.Gone && e.Stamp == n.Stamp && !e.Dead():
			return false
		}
	}
	return true
}

// markCovered finds what another accepted snapshot, or a higher reference, makes
// superfluous.
func (v *View) markCovered() {
	for i, f := range v.Fragments {
		if v.Fates[i] == Accepted && f.Kind == Reference && f != v.Ref {
			v.Fates[i] = Covered
		}
		if !v.counts(i) {
			continue
		}
		for j, x := range v.Fragments {
			if i != j && v.Fates[j] == Accepted && x.Snapshot() && x.covers(f) &&
				!(f.Snapshot() && f.covers(x) && i < j) {
				v.Fates[i] = Covered
				break
			}
		}
	}
}

// covers tells whether the snapshot x says at least what f says.
func (x *Fragment) covers(f *Fragment) bool {
	if f.Root != x.Root || f.Floor.Compare(x.Floor) > 0 || f.Horizon > x.Horizon {
		return false
	}
	for _, e := range f.Entries {
		if e.Stamp.Compare(x.Floor) < 0 {
			continue
		}
		known, ok := x.Find(e.Name)
		if ok && newer(known, e) < 0 || !ok && (!e.Dead() || e.Stamp.At > x.Horizon) {
			return false
		}
	}
	return true
}
