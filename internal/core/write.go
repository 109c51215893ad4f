package core

import (
	"slices"
	"strings"
)

// Op is what a request does to one name.
type Op struct {
	Name  string
	Value []byte // the new value as CBOR; nil deletes
	Taken Stamp  // of a Pop: the stamp of the value it took; else zero
}

// spares tells whether a Pop leaves what is there: it was set anew since, by who
// wrote the record meanwhile.
func (op *Op) spares(have Entry) bool {
	return op.Value == nil && !op.Taken.IsZero() && op.Taken.Compare(have.Stamp) < 0
}

// Changes is what a request does to its session, in the order: destroy, renew,
// clear, then the operations.
type Changes struct {
	Ops       []Op // by name, each once
	Cleared   bool
	Renewed   bool
	Destroyed bool
	Root      Root   // of the generation that these changes begin, where they begin one
	Subject   []byte // nil, or whom that generation is bound to
	Terms     Terms  // of that generation
}

// Terms are what a session is told of its own end; what is zero stays as it is.
type Terms struct {
	Lifetime int64 // ms, from the write on
	Idle     int64 // ms; NoIdle: no limit
	Browser  int8  // positive: it ends with the browser; negative: it does not
}

// NoIdle is the idle timeout of a session that has none.
const NoIdle = MaxTime

// apply gives the terms to a generation that begins.
func (t Terms) apply(f *Fragment, w Write) {
	if t.Lifetime != 0 {
		f.End = w.Now + min(t.Lifetime, max(w.MaxLifetime, w.Lifetime))
	}
	if t.Idle != 0 {
		f.Idle = t.Idle
	}
	if t.Browser != 0 {
		f.Browser = t.Browser > 0
	}
}

// Write is what the changes are written with.
type Write struct {
	Now         int64  // ms
	ID          uint32 // the request's write id
	Lifetime    int64  // ms, of a session that begins
	MaxLifetime int64  // ms, the longest that Terms may ask for; 0: Lifetime
	Browser     bool   // a session that begins ends with the browser
	Bound       int64  // ms, of a generation that is bound to a subject
}

// Begins tells whether the changes start a new generation: where there is no
// session, or the one there is was renewed or destroyed.
func (c *Changes) Begins(v *View) bool { return v.Head == nil || c.Renewed || c.Destroyed }

// Stamp is the stamp of all that w writes: above everything in the jar.
func (v *View) Stamp(w Write) Stamp { return Stamp{At: max(w.Now, v.MaxAt+1), ID: w.ID} }

func (v *View) birth(w Write) Stamp { return Stamp{At: max(w.Now, v.MaxBorn+1), ID: w.ID} }

// header is the part of a new fragment that all of its generation share.
func (v *View) header(c *Changes, w Write) Fragment {
	if c.Begins(v) {
		return v.beginning(c, w)
	}
	f := *v.Head
	f.Suffix, f.Kind, f.Entries, f.Needs, f.Stored = "", Data, nil, nil, false
	f.written = written{}
	f.Floor, f.Horizon, f.Seen = v.State.Floor, v.State.Horizon, w.Now
	f.Number, f.ETag, f.Moved = v.Collected, [16]byte{}, v.Moved
	return f
}

// beginning is the header of a new generation.
func (v *View) beginning(c *Changes, w Write) Fragment {
	f := Fragment{Kind: Data, Root: c.Root, Born: v.birth(w), Seen: w.Now}
	if v.Head != nil && !c.Destroyed {
		f.Family = FamilyOf(v.Head)
		f.Created, f.End, f.Browser = v.Head.Created, v.Head.End, v.Head.Browser
		f.Idle, f.Subject, f.Bound = v.Head.Idle, v.Head.Subject, v.Head.Bound
	} else {
		f.Created, f.End, f.Browser = w.Now, w.Now+w.Lifetime, w.Browser
		f.Orphan = !v.Any() && !c.Renewed
	}
	c.Terms.apply(&f, w)
	if c.Subject != nil {
		f.Subject, f.Bound = c.Subject, max(w.Bound, w.Now)
	}
	return f
}

// changed is the state that the changes leave.
func (v *View) changed(c *Changes, w Write) State {
	stamp := v.Stamp(w)
	var s State
	if v.Head != nil && !c.Destroyed {
		s = v.State
	}
	if c.Cleared {
		s = State{Floor: stamp, Horizon: s.Horizon}
	}
	own := c.entries(nil, stamp, w.Now, s)
	if c.Begins(v) {
		s = restamped(s, stamp)
	}
	s.Entries = overlay(s.Entries, own)
	return s
}

// overlay is base with the entries of top in place of those of the same names.
// It does not compare stamps: in a new generation all are of the same write.
func overlay(base, top []Entry) []Entry {
	out := make([]Entry, 0, len(base)+len(top))
	for len(base) > 0 && len(top) > 0 {
		c := strings.Compare(base[0].Name, top[0].Name)
		if c < 0 {
			out, base = append(out, base[0]), base[1:]
			continue
		}
		if c == 0 {
			base = base[1:]
		}
		out, top = append(out, top[0]), top[1:]
	}
	return append(append(out, base...), top...)
}

// restamped is s as a new generation carries it: nothing of the old one can
// land beside it, so that neither tombstones nor floors are needed, and all
// entries are of the one write that began it.
func restamped(s State, stamp Stamp) State {
	var out State
	for _, e := range s.Entries {
		if !e.Dead() {
			e.Stamp = stamp
			out.Entries = append(out.Entries, e)
		}
	}
	return out
}

// entries are the writes that the operations amount to on the state s.
// Deleting what is not there is nothing.
func (c *Changes) entries(room []Entry, stamp Stamp, now int64, s State) []Entry {
	out := roomFor(room, len(c.Ops))
	for _, op := range c.Ops {
		have, ok := s.Find(op.Name)
		switch {
		case op.Value != nil:
			out = append(out, Entry{Name: op.Name, Stamp: stamp, Value: op.Value})
		case !ok || have.Dead():
		case op.spares(have):
		case op.Taken == have.Stamp:
			out = append(out, Entry{Name: op.Name, Stamp: have.Stamp, Gone: max(now, have.Stamp.At)})
		default:
			out = append(out, Entry{Name: op.Name, Stamp: stamp, Gone: stamp.At})
		}
	}
	return out
}

// Snapshot is the whole state after the changes, as one fragment. Tombstones
// are collected only where nothing unknown is in the jar. It has no name yet:
// of several drafts one is sent.
func (v *View) Snapshot(c *Changes, w Write) *Fragment {
	f := v.header(c, w)
	s := v.changed(c, w)
	if c.Begins(v) {
		s.Entries = slices.DeleteFunc(s.Entries, Entry.Dead)
	} else {
		v.retell(&s, w.Now)
		if v.Unopened == 0 && !v.Frozen && v.Count(Torn) == 0 {
			s.collect(v.Loaded)
		}
	}
	f.Entries, f.Floor, f.Horizon = s.Entries, s.Floor, s.Horizon
	return &f
}

// retell dates the tombstones of which a record tells the cookies as new ones. The
// response that was to tell of them got lost; others may build on the same cookies
// until theirs have landed, as beside any deletion. What it costs goes by the cookies,
// which are bounded more narrowly than a record is.
func (v *View) retell(s *State, now int64) {
	if !slices.ContainsFunc(v.Fragments, func(f *Fragment) bool { return f.Stored && f.Snapshot() }) {
		return
	}
	for i, f := range v.Fragments {
		if f.Stored || v.Fates[i] != Accepted && v.Fates[i] != Covered {
			continue
		}
		for j := range f.Entries {
			if f.Entries[j].Dead() {
				continue
			}
			if k, ok := position(s.Entries, f.Entries[j].Name); ok && s.Entries[k].Dead() {
				s.Entries[k].Gone = max(s.Entries[k].Gone, now)
			}
		}
	}
}

// mostHeader is how long a plaintext of data is at most, beside its subject and
// its entries: kind, root, family, ten times, four stamps and numbers, two flags and
// the heads of the lists.
const mostHeader = 256

// mostEntry is what an entry takes at most beside its name and value: their heads,
// its reference to the stamp table, and a stamp of its own there.
const mostEntry = 3 + 9 + 5 + 9 + 5

// SnapshotLen bounds the length of the plaintext of a Snapshot of changes to a session that
// goes on, in bytes, without making it.
func (v *View) SnapshotLen(c *Changes) (least, most int) {
	least, most = LeastData, mostHeader
	add := func(name string, value []byte) {
		if value != nil {
			least += len(name) + len(value)
		}
		most += len(name) + len(value) + mostEntry
	}
	for _, op := range c.Ops {
		add(op.Name, op.Value)
	}
	if v.Head != nil {
		most += len(v.Head.Subject)
	}
	if c.Cleared {
		return least, most
	}
	for i := range v.State.Entries {
		e := &v.State.Entries[i]
		if j, ok := findOp(c.Ops, e.Name); !ok || c.Ops[j].spares(*e) {
			add(e.Name, e.Value)
		}
	}
	return least, most
}

// Delta is the changes alone, as a fragment that builds on the state that the
// request saw. It has no name yet.
func (v *View) Delta(c *Changes, w Write) *Fragment {
	made := &struct { // in one allocation, where the session is a usual one
		Fragment
		entries [1]Entry
		needs   [6]Need
	}{Fragment: v.header(c, w)}
	f := &made.Fragment
	if c.Cleared {
		f.Floor = v.Stamp(w)
	}
	f.Entries = c.entries(made.entries[:0], v.Stamp(w), w.Now, v.State)
	if !c.Cleared {
		f.Needs = v.State.needs(made.needs[:0], f.Entries)
	}
	if !f.Snapshot() {
		f.Moved, f.Number = 0, 0 // only who knows the whole state can say that it has moved
	}
	return f
}

// Joined is the whole state as the request found it, as one fragment: all who
// saw the same jar at about the same time write the same content and name.
func (v *View) Joined(w Write) *Fragment {
	f := v.Snapshot(&Changes{}, w)
	f.Name()
	return f
}

// Restated is the whole state under a name that it has not had: its horizon moves
// up to what nothing in flight can contradict any more. The name is the old one
// where the horizon is there already, or must not move.
func (v *View) Restated(w Write) *Fragment {
	f := v.Snapshot(&Changes{}, w)
	if h := settled(v.Loaded); v.Unopened == 0 && !v.Frozen && v.Count(Torn) == 0 && h > max(f.Horizon, f.Created) {
		f.Horizon = h
	}
	f.Name()
	return f
}

// needs lists what own does not replace, in the room given where that suffices.
func (s *State) needs(room []Need, own []Entry) []Need {
	needs := roomFor(room, len(s.Entries))
	for _, e := range s.Entries {
		if _, ok := position(own, e.Name); !ok {
			needs = append(needs, Need{Name: e.Name, Stamp: e.Stamp, Gone: e.Dead()})
		}
	}
	return needs
}

// Farewell is the fragment that says that the session was destroyed: a
// generation of its own, so that whatever of the old one lands later is dead.
func (v *View) Farewell(root Root, w Write) *Fragment {
	f := &Fragment{Kind: Logout, Root: root, Born: v.birth(w), Created: w.Now, End: w.Now + w.Lifetime, Seen: w.Now}
	if v.Head != nil {
		f.End = max(v.Head.End, w.Now+Settled)
	}
	f.Name()
	return f
}

// Fresh is f as it was before it was named or weighed, to be changed.
func (f *Fragment) Fresh() *Fragment {
	g := *f
	g.Suffix, g.written = "", written{}
	return &g
}

// Weight is about how many bytes f's entries take, before they are written.
func (f *Fragment) Weight() (n int) {
	for i := range f.Entries {
		n += len(f.Entries[i].Name) + len(f.Entries[i].Value)
	}
	return n
}

// Refer is the fragment that stands for snapshot in the cookies, when it is in
// the store at a revision.
func (snapshot *Fragment) Refer(r Revision) *Fragment {
	f := snapshot.Fresh()
	f.Kind, f.Entries, f.Needs, f.Stored = Reference, nil, nil, false
	f.Floor, f.Horizon, f.Moved = Stamp{}, 0, 0
	f.Number, f.ETag = r.Number, r.Tag
	f.Name()
	return f
}

// Gone is what stands in the record of f's generation, until end, after a logout
// or a renewal: whoever loads it finds that the session is over.
func (f *Fragment) Gone(end, now int64) *Fragment {
	return &Fragment{Kind: Logout, Root: f.Root, Family: f.Family, Born: f.Born, Orphan: f.Orphan,
		Created: f.Created, End: end, Browser: f.Browser, Seen: max(now, f.Seen)}
}

// Vacated is what stands in the record of f's generation when the state has
// moved into cookies for good: as much as nothing, under a number that goes on.
func (f *Fragment) Vacated(r Revision, now int64) *Fragment {
	return &Fragment{Kind: Reference, Root: f.Root, Family: f.Family, Born: f.Born, Orphan: f.Orphan,
		Created: f.Created, End: max(now, f.Created), Browser: f.Browser, Number: r.Number, ETag: r.Tag, Seen: max(now, f.Seen)}
}

// Touched is f with a newer last-seen time: the same content, so the same name.
func (f *Fragment) Touched(now int64) *Fragment {
	t := *f
	t.Seen, t.written = max(now, f.Seen), written{}
	return &t
}

// Reseen is the idle clock of v's session at now.
func (v *View) Reseen(now int64) *Fragment {
	h := v.Head
	f := &Fragment{Kind: SeenMark, Root: h.Root, Family: h.Family, Born: h.Born, Orphan: h.Orphan,
		Created: h.Created, End: h.End, Browser: h.Browser, Idle: h.Idle,
		Subject: h.Subject, Bound: h.Bound, Seen: max(now, v.Seen)}
	f.Name()
	return f
}
