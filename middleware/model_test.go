package middleware

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/session"
)

// The model: one browser's jar, requests in flight on replicas whose clocks
// and rings differ, and the production merge and plan between them. Seals are
// left out (a cookie is its plaintext and the number of its key); everything
// else is what production runs. Run it longer with
//
//	go test ./middleware -run TestModel -rapid.checks=100000

// world says what may happen in a run, beyond reads and writes.
type world struct {
	deletes  bool // Delete, Pop and Clear
	renewals bool // Renew, Destroy and beginning anew
	skew     bool // replicas' clocks are off by up to s
	late     bool // responses land later than W (A1 broken)
	evict    bool // the browser drops cookies (A4 broken)
	replay   bool // cookies of the past are put back (A4 broken)
	stale    bool // a replica lacks the newest key
	foreign  bool // requests without any cookie of ours (cross-site)
	crowd    int  // most requests in flight; 0: ten
	limits   Limits
	store    bool // there is one
	mode     Mode
	lost     bool // responses may never land
	wrecked  bool // the store loses rows, or puts back old ones
	outages  bool // the store is down, or does what it is asked and its answers are lost
	lifetime int64
	idle     int64 // ms; a touch is due after half of it
}

// kept tells whether the assumptions of the guarantee hold in w.
func (w world) kept() bool { return !w.late && !w.evict && !w.replay && !w.wrecked }

type modelCookie struct {
	plain []byte
	key   int
}

// flight is one request between its Cookie header and the landing of its response.
type flight struct {
	id       int
	start    int64 // when the header was built
	jar      map[string]modelCookie
	replica  int
	op       string
	name     string
	value    []byte // what it sets, if it does
	stage    int    // 0 built, 1 loaded, 2 committed
	core     core.Core
	view     *core.View
	frags    []*core.Fragment
	unopened int
	loaded   int64 // by the replica's clock
	plan     plan
	out      []landing
	promised map[string]promise // what must be visible to it, by generation
	used     int64              // the model's, when the header was built
}

type landing struct {
	suffix string
	cookie modelCookie
}

func (f *flight) Load(context.Context) (*core.View, error)               { return f.view, nil }
func (f *flight) Save(context.Context, core.Outcome) (*core.View, error) { return nil, nil }
func (f *flight) LateRead()                                              {}
func (f *flight) LateChange(string)                                      {}
func (f *flight) String() string                                         { return fmt.Sprintf("#%d %s %s", f.id, f.op, f.name) }

// promise is what landed responses have promised about one generation.
type promise map[string]core.Entry

// modelWrite is one write with all that its request saw.
type modelWrite struct {
	root core.Root
	past []core.Entry
}

type model struct {
	world
	t        *rapid.T
	now      int64
	next     int
	jar      map[string]modelCookie
	history  []landing
	flights  []*flight
	skews    [3]int64
	key      int // the newest key
	stale    bool
	peak     int // most writers in flight since the jar was last alone, and inside its limits
	promised map[core.Root]promise
	floors   map[core.Root]core.Stamp // of landed Clears
	beaten   map[core.Root]bool       // sessions that nobody asked for, beside an earlier one: see lose
	ended    core.Stamp               // the greatest birth that has landed by Renew or Destroy
	writes   map[core.Stamp]modelWrite
	graves   map[string][]core.Entry // every tombstone ever written, by root and name
	values   int

	rows   map[string]modelRow
	before []modelRow // every state that a row ever had
	broken breakage
	used   int64 // when the last of the requests that have landed had loaded a session
}

// breakage is what is wrong with the store.
type breakage int

const (
	working breakage = iota
	down
	deaf // what it is asked is done, and the answer never comes
)

// modelRow is one row of the store.
type modelRow struct {
	id       string
	plain    []byte
	revision core.Revision
	expires  int64
}

func newModel(t *rapid.T, w world) *model {
	m := &model{world: w, t: t, now: 1_800_000_000_000, jar: map[string]modelCookie{},
		promised: map[core.Root]promise{}, floors: map[core.Root]core.Stamp{}, beaten: map[core.Root]bool{},
		writes: map[core.Stamp]modelWrite{}, graves: map[string][]core.Entry{},
		rows: map[string]modelRow{}}
	if w.skew {
		for i := range m.skews {
			m.skews[i] = rapid.Int64Range(-core.Skew, core.Skew).Draw(t, "skew")
		}
	}
	m.lifetime = cmp.Or(m.lifetime, 1<<36)
	if m.limits == (Limits{}) {
		m.limits, _ = GoServer.Limits()
		m.limits.Cookies, m.limits.Parallel = 150, 6
	}
	return m
}

func (m *model) ops() []string {
	ops := []string{"read", "read", "set", "set", "set"}
	if m.deletes {
		ops = append(ops, "delete", "delete", "pop", "clear")
	}
	if m.renewals {
		ops = append(ops, "renew", "destroy", "restart", "login")
	}
	return ops
}

// build starts a request: its Cookie header is what the jar holds now.
func (m *model) build(t *rapid.T) {
	if len(m.flights) >= cmp.Or(m.crowd, 10) {
		t.Skip("enough in flight")
	}
	f := &flight{id: m.next, start: m.now, used: m.used, jar: maps.Clone(m.jar), op: rapid.SampledFrom(m.ops()).Draw(t, "op"),
		name: rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "name"), replica: rapid.IntRange(0, 2).Draw(t, "replica")}
	m.next++
	if m.foreign && rapid.IntRange(0, 9).Draw(t, "cross-site") == 0 {
		f.jar, f.op = map[string]modelCookie{}, "set"
	}
	f.promised = map[string]promise{}
	for root, p := range m.promised {
		if m.beaten[root] {
			continue
		}
		f.promised[string(root[:])] = maps.Clone(p)
	}
	m.flights = append(m.flights, f)
	m.peak = max(m.peak, m.writers())
}

// writers are the requests in flight, by what each may add to the jar: a renewal counts for two.
func (m *model) writers() int {
	n := len(m.flights)
	for _, f := range m.flights {
		if f.renews() {
			n++
		}
	}
	return n
}

func (m *model) clock(f *flight) int64 { return m.now + m.skews[f.replica] }

// load opens and merges on the replica, and checks what it shows.
func (m *model) load(f *flight) {
	m.open(f)
	f.view, f.stage = m.merge(f, nil), 1
	switch {
	case f.view.Ref == nil:
	case m.broken == working:
		f.view = m.merge(f, f.view.Ref)
	default: // as in follow
		f.view = m.merge(f, nil)
		f.view.Verdict, f.view.Frozen = core.StoreDown, true
	}
	f.core.Init(f)
	_ = f.core.Load(context.Background())
	m.checkClosed(f)
	if len(f.jar) > 0 && f.unopened == 0 {
		m.checkPromises(f)
	}
	m.act(f)
}

// merge is the session as the cookies show it, with the record of f's generation.
func (m *model) merge(f *flight, of *core.Fragment) *core.View {
	all, v := slices.Clone(f.frags), &core.View{}
	var revision core.Revision
	if of != nil {
		if row, ok := m.rows[of.Root.RecordID()]; ok {
			frag, err := core.Decode(slices.Clone(row.plain))
			if err != nil {
				m.t.Fatalf("a record of ours does not decode: %v", err)
			}
			revision, frag.Stored = row.revision, true
			if frag.Kind != core.Reference {
				all = append(all, frag)
			}
		}
	}
	v.Merge(all, f.unopened, f.loaded, m.idle, &core.Room{}, nil)
	v.Record = revision
	return v
}

// save is the store's compare-and-swap, if anybody hears of it.
func (m *model) save(frag *core.Fragment, old, new core.Revision) (done bool, err error) {
	id := frag.Root.RecordID()
	if done = m.broken != down && m.rows[id].revision == old; done {
		end := frag.End
		if m.idle > 0 && frag.Kind != core.Logout {
			end = min(end, frag.Seen+m.idle)
		}
		m.rows[id] = modelRow{id, slices.Clone(frag.Plaintext()), new, end + core.Settled}
		m.before = append(m.before, m.rows[id])
	}
	if m.broken != working {
		return false, session.ErrStoreDown
	}
	return done, nil
}

// prolong is the store's touch.
func (m *model) prolong(ref *core.Fragment) bool {
	row, ok := m.rows[ref.Root.RecordID()]
	if ok && m.broken != down {
		row.expires = max(row.expires, min(ref.End, ref.Seen+m.idle)+core.Settled)
		m.rows[row.id] = row
	}
	return ok && m.broken == working
}

// settle is what settle.go does, at once: conflicts come from the time between
// the load and the commit.
func (m *model) settle(f *flight, o core.Outcome, facts *facts) (plan, error) {
	o.View = f.view
	for {
		p, err := decide(o, facts)
		if err != nil || p.record == nil {
			if p.touched != nil && !m.prolong(p.touched) {
				return plan{}, nil
			}
			return p, err
		}
		m.note(f, p.record) // it may stand there though nobody is told
		if done, err := m.save(p.record, p.old, p.new); err != nil || done {
			return p, err
		}
		again := m.merge(f, p.record)
		switch {
		case again.Verdict == core.LoggedOut:
			return plan{}, nil
		case again.Head == nil:
			facts.stranded = true
		case !again.Continues(o.View):
			if m.kept() {
				m.t.Fatalf("%v: what it saw has been dropped inside the assumptions", f)
			}
			return plan{}, errDropped
		default:
			f.view, o.View = again, again
		}
	}
}

// clear is what a request leaves to the store when its response has gone.
func (m *model) clear(f *flight, p plan) {
	over := p.left
	if p.gone != nil {
		over = append(over, p.gone)
	}
	for _, ref := range over {
		row := m.rows[ref.Root.RecordID()]
		next := core.Revision{Number: max(row.revision.Number, ref.Number) + 1, Tag: [16]byte{byte(m.next), byte(m.next >> 8)}}
		_, _ = m.save(ref.Gone(ref.End, m.clock(f)), row.revision, next)
	}
	if p.moved != nil {
		row, ok := m.rows[p.moved.Root.RecordID()]
		if ok && row.revision.Number <= p.moved.Moved {
			next := core.Revision{Number: row.revision.Number + 1, Tag: [16]byte{byte(m.next), byte(m.next >> 8)}}
			_, _ = m.save(p.moved.Vacated(next, m.clock(f)), row.revision, next)
		}
	}
}

// open reads the jar as the replica can.
func (m *model) open(f *flight) {
	f.loaded = m.clock(f)
	for _, suffix := range slices.Sorted(maps.Keys(f.jar)) {
		c := f.jar[suffix]
		if m.stale && f.replica == 2 && c.key == m.key && c.key > 0 {
			f.unopened++
			continue
		}
		frag, err := core.Decode(slices.Clone(c.plain))
		if err != nil {
			m.t.Fatalf("a fragment of ours does not decode: %v", err)
		}
		frag.Suffix = suffix
		f.frags = append(f.frags, frag)
	}
}

func (m *model) act(f *flight) {
	m.values++
	value := []byte(fmt.Sprintf("v%d", m.values))
	switch f.name {
	case "c": // large beside the others, so that they are written as deltas
		value = append(value, make([]byte, 700)...)
	case "d", "e": // of a size that fits or not by what is there
		value = append(value, make([]byte, 400)...)
	}
	f.value = value
	switch f.op {
	case "set":
		f.core.Set(f.name, value)
	case "delete":
		f.core.Delete(f.name)
	case "pop":
		f.core.Pop(f.name)
	case "clear":
		f.core.Clear()
	case "renew":
		f.core.Renew()
	case "destroy":
		f.core.Destroy()
	case "login":
		f.core.Renew()
		f.core.Set(f.name, value)
	case "restart":
		f.core.Destroy()
		f.core.Set(f.name, value)
	}
}

// commit runs the plan and notes what was written.
func (m *model) commit(f *flight) {
	f.stage = 2
	_ = f.core.Commit(func(o core.Outcome) (*core.View, error) {
		id := uint32(m.next*1000 + f.id)
		m.next++
		facts := &facts{write: core.Write{Now: m.clock(f), ID: id, Lifetime: m.lifetime}, idle: m.idle, touch: m.idle / 2, limits: m.limits,
			scale: scale{base: 25, attributes: 80, cookie: m.limits.CookieBytes}, store: m.world.store, mode: m.mode}
		binary.BigEndian.PutUint32(facts.tag[:], id)
		key := m.key
		if m.stale && f.replica == 2 && key > 0 {
			key--
		}
		for suffix, c := range f.jar {
			facts.jar = append(facts.jar, held{suffix: suffix, weight: weight{1, 25 + len(c.plain)*4/3, 0}, aging: c.key < key})
		}
		slices.SortFunc(facts.jar, func(a, b held) int { return slices.Compare([]byte(a.suffix), []byte(b.suffix)) })
		if o.Changes != nil && o.Changes.Root != (core.Root{}) {
			o.Changes.Root = modelRoot(id) // not a random one, so that a seed repeats its run
		}
		facts.farewell = modelRoot(id + 1<<30)
		p, err := m.settle(f, o, facts)
		if err != nil {
			return nil, nil // refused before the header: nothing changes
		}
		f.plan = p
		m.clear(f, p)
		if slices.Contains([]string{"set", "restart", "login"}, f.op) && p.changes {
			own := p.record
			if own == nil {
				own = p.set[len(p.set)-1]
			}
			if e, ok := own.Find(f.name); !ok || !slices.Equal(e.Value, f.value) {
				m.t.Fatalf("%v: set %.9s and wrote %.9s", f, f.value, e.Value)
			}
		}
		for _, s := range p.set {
			m.note(f, s)
			f.out = append(f.out, landing{s.Suffix, modelCookie{slices.Clone(s.Plaintext()), key}})
		}
		return nil, nil
	})
}

func modelRoot(id uint32) core.Root { return sha256.Sum256(binary.BigEndian.AppendUint32(nil, id)) }

// note remembers, for each write in a fragment, what its request had seen.
func (m *model) note(f *flight, s *core.Fragment) {
	for _, e := range s.Entries {
		if e.Dead() {
			k := string(s.Root[:]) + e.Name
			m.graves[k] = append(m.graves[k], e)
		}
		if _, known := m.writes[e.Stamp]; !known {
			w := modelWrite{root: s.Root}
			if f.view.Head != nil && f.view.Head.Root == s.Root {
				w.past = f.view.State.Entries
			}
			m.writes[e.Stamp] = w
		}
	}
}

// land applies a response to the jar and takes it at its word.
func (m *model) land(f *flight) {
	m.flights = slices.DeleteFunc(m.flights, func(o *flight) bool { return o == f })
	if f.view.Head != nil {
		m.used = max(m.used, f.start)
	}
	before := m.oracle()
	defer func() {
		after := m.oracle()
		m.checkReplaced(f, before, after)
		m.lose(after)
	}()
	for _, l := range f.out {
		m.jar[l.suffix] = l.cookie
		m.history = append(m.history, l)
	}
	for _, suffix := range f.plan.expire {
		delete(m.jar, suffix)
	}
	for _, l := range f.out {
		frag, err := core.Decode(slices.Clone(l.cookie.plain))
		if err != nil {
			m.t.Fatalf("%v: sent what does not decode: %v", f, err)
		}
		m.promise(f, frag)
	}
	if f.plan.record != nil {
		m.promise(f, f.plan.record)
	}
}

// oracle is the session as somebody sees it now who has every key and a store
// that answers.
func (m *model) oracle() *core.View {
	f := &flight{loaded: m.now}
	for _, suffix := range slices.Sorted(maps.Keys(m.jar)) {
		frag, err := core.Decode(slices.Clone(m.jar[suffix].plain))
		if err != nil {
			m.t.Fatalf("a fragment of ours does not decode: %v", err)
		}
		f.frags = append(f.frags, frag)
	}
	v := m.merge(f, nil)
	if v.Ref != nil {
		v = m.merge(f, v.Ref)
	}
	return v
}

// checkReplaced: the response of a request that neither renews nor ends a session
// never puts another one in its place, unless it saw that there was none. (Of
// sessions that nobody asked for the first one stays.)
func (m *model) checkReplaced(f *flight, before, after *core.View) {
	ended := []core.Verdict{core.Absent, core.LoggedOut, core.ExpiredEnd, core.ExpiredIdle}
	if !m.kept() || before.Head == nil || before.Head.Orphan || f.renews() || f.view.Head == nil && slices.Contains(ended, f.view.Verdict) {
		return
	}
	if f.sawEnd(before.Head, m.now) {
		return // by a clock that is ahead, as a replica's may be: what was begun beside it may show then
	}
	if m.isOver(before.Head) {
		return // by a request whose response is still on its way, or lost: its cookies did not know yet
	}
	if after.Head == nil || after.Head.Root != before.Head.Root {
		m.t.Fatalf("%v: has put another session in the place of the one that was there; it saw verdict %d", f, f.view.Verdict)
	}
}

// sawEnd tells whether a session had rightly ended by the clock that f was served by.
func (f *flight) sawEnd(head *core.Fragment, now int64) bool {
	return now >= head.End-core.Skew && slices.ContainsFunc(f.view.Fragments, func(frag *core.Fragment) bool {
		return frag.Root == head.Root && f.loaded >= frag.End
	})
}

// lose notes the sessions that lost against an earlier one: of those that nobody
// asked for only the first stays. Whoever sees both expires what there is of the
// others, though some of it may still be on its way. It shows again when the first
// one has ended, which may be a moment sooner; nothing was promised of it.
func (m *model) lose(v *core.View) {
	if v.Head == nil || !v.Head.Orphan {
		return
	}
	for i, frag := range v.Fragments {
		if v.Fates[i] == core.Dead && frag.Orphan {
			m.beaten[frag.Root] = true
		}
	}
}

// isOver tells whether the row of a generation says that it was renewed or logged out.
func (m *model) isOver(head *core.Fragment) bool {
	row, ok := m.rows[head.Root.RecordID()]
	if !ok {
		return false
	}
	frag, err := core.Decode(slices.Clone(row.plain))
	return err == nil && frag.Kind == core.Logout
}

func (f *flight) renews() bool {
	return slices.Contains([]string{"renew", "destroy", "restart", "login"}, f.op)
}

func (m *model) promise(f *flight, frag *core.Fragment) {
	if f.renews() && (f.view.Head == nil || f.view.Head.Root != frag.Root) {
		if frag.Born.Compare(m.ended) > 0 {
			m.ended = frag.Born
		}
	}
	p := m.promised[frag.Root]
	if p == nil {
		p = promise{}
		m.promised[frag.Root] = p
	}
	for _, e := range frag.Entries {
		if old, ok := p[e.Name]; !ok || old.Stamp.Compare(e.Stamp) < 0 || old.Stamp == e.Stamp && e.Dead() {
			p[e.Name] = e
		}
	}
	if frag.Floor.Compare(m.floors[frag.Root]) > 0 {
		m.floors[frag.Root] = frag.Floor
	}
}

// checkPromises: what landed before this request's header was built is visible.
func (m *model) checkPromises(f *flight) {
	if !m.kept() {
		return
	}
	v := f.view
	if v.Head == nil {
		switch {
		case v.Verdict == core.StoreDown && m.broken != working:
			return
		case v.Verdict == core.ExpiredIdle && m.now-f.used >= m.idle-m.idle/2-core.Window-2*core.Skew:
			return
		}
		if v.Verdict != core.LoggedOut && v.Verdict != core.Absent && v.Verdict != core.ExpiredEnd {
			m.t.Fatalf("%v: the session is gone: verdict %d, fates %v", f, v.Verdict, v.Fates)
		}
		return
	}
	for i, fate := range v.Fates {
		if fate != core.Late && fate != core.Torn || v.Record != (core.Revision{}) {
			continue // a record is seen before the response that expires what it was made of; the promises below tell
		}
		m.t.Fatalf("%v: fragment %s has fate %d inside the assumptions", f, v.Fragments[i].Suffix, fate)
	}
	for name, want := range f.promised[string(v.Head.Root[:])] {
		if want.Stamp.Compare(v.State.Floor) < 0 {
			continue
		}
		have, ok := v.State.Find(name)
		switch {
		case ok && have.Stamp.Compare(want.Stamp) >= 0:
		case (!ok || have.Dead()) && m.buried(v, name, want.Stamp):
		default:
			m.t.Fatalf("%v: %s was promised %v (%.9s) and shows %v (%.9s) %v", f, name, want.Stamp, want.Value, have.Stamp, have.Value, ok)
		}
	}
}

// buried tells whether some tombstone, collected since, explains an absence.
func (m *model) buried(v *core.View, name string, at core.Stamp) bool {
	return slices.ContainsFunc(m.graves[string(v.Head.Root[:])+name], func(e core.Entry) bool {
		return e.Stamp.Compare(at) >= 0 && e.Stamp.At <= v.State.Horizon
	})
}

// checkClosed: whatever the jar went through, the visible state holds, for
// each write that it shows, all that the writing request had seen, or newer.
func (m *model) checkClosed(f *flight) {
	v := f.view
	if v.Head == nil {
		return
	}
	for _, e := range v.State.Entries {
		w, ok := m.writes[e.Stamp]
		if !ok || w.root != v.Head.Root {
			continue
		}
		for _, past := range w.past {
			have, ok := v.State.Find(past.Name)
			gone := !ok || have.Dead() // a tombstone shows as much as nothing does
			switch {
			case past.Stamp.Compare(v.State.Floor) < 0:
			case ok && have.Stamp.Compare(past.Stamp) >= 0:
			case gone && past.Dead():
			case gone && m.buried(v, past.Name, past.Stamp):
			default:
				m.t.Fatalf("%v: mixed: shows %s=%.9s %v, whose writer had seen %s=%.9s %v, but shows %.9s %v (horizon %d)",
					f, e.Name, e.Value, e.Stamp, past.Name, past.Value, past.Stamp, have.Value, have.Stamp, v.State.Horizon)
			}
		}
	}
}

// wait lets time pass. Inside the assumptions a response lands before its
// request is W old, so those that are due are brought home first.
func (m *model) wait(t *rapid.T) {
	d := rapid.SampledFrom([]int64{1, 500, 2500, 60_000, core.Window / 2, core.Window, core.Settled + core.Window}).Draw(t, "wait")
	for m.kept() || !m.late {
		due := slices.IndexFunc(m.flights, func(f *flight) bool { return m.now+d-f.start >= core.Window })
		if due < 0 {
			break
		}
		m.home(m.flights[due])
	}
	m.now += d
	maps.DeleteFunc(m.rows, func(_ string, row modelRow) bool { return m.now > row.expires })
}

func (m *model) home(f *flight) {
	if f.stage == 0 {
		m.load(f)
	}
	if f.stage == 1 {
		m.commit(f)
	}
	m.land(f)
}

func (m *model) step(t *rapid.T) {
	if len(m.flights) == 0 {
		t.Skip("nothing in flight")
	}
	f := m.flights[rapid.IntRange(0, len(m.flights)-1).Draw(t, "flight")]
	switch f.stage {
	case 0:
		m.load(f)
	case 1:
		m.commit(f)
	default:
		m.land(f)
	}
}

// bounded: however the writers interleave, the jar stays inside the limits.
func (m *model) bounded(t *rapid.T) {
	bytes := 0
	for _, c := range m.jar {
		bytes += 25 + len(c.plain)*4/3
	}
	over := bytes > m.limits.RequestBytes || len(m.jar) > m.limits.Cookies
	if len(m.flights) == 0 && !over {
		m.peak = 0
	}
	if over && m.peak <= m.limits.Parallel {
		t.Fatalf("the jar has %d cookies and %d bytes", len(m.jar), bytes)
	}
}

func (m *model) actions() map[string]func(*rapid.T) {
	a := map[string]func(*rapid.T){"": m.bounded, "build": m.build, "build too": m.build, "step": m.step, "step on": m.step, "step again": m.step, "wait": m.wait}
	if m.evict {
		a["evict"] = func(t *rapid.T) {
			if len(m.jar) == 0 {
				t.Skip("empty")
			}
			delete(m.jar, rapid.SampledFrom(slices.Sorted(maps.Keys(m.jar))).Draw(t, "evicted"))
		}
	}
	if m.replay {
		a["replay"] = func(t *rapid.T) {
			if len(m.history) == 0 {
				t.Skip("nothing yet")
			}
			l := m.history[rapid.IntRange(0, len(m.history)-1).Draw(t, "replayed")]
			m.jar[l.suffix] = l.cookie
		}
	}
	if m.lost {
		a["lose"] = func(t *rapid.T) {
			if len(m.flights) == 0 {
				t.Skip("nothing in flight")
			}
			i := rapid.IntRange(0, len(m.flights)-1).Draw(t, "lost")
			m.flights = slices.Delete(m.flights, i, i+1)
		}
	}
	if m.wrecked {
		a["wreck"] = m.wreck
	}
	if m.outages {
		a["outage"] = func(t *rapid.T) { m.broken = rapid.SampledFrom([]breakage{working, down, deaf}).Draw(t, "outage") }
		a["repair"] = func(*rapid.T) { m.broken = working }
	}
	if m.world.stale {
		a["rotate"] = func(*rapid.T) { m.key, m.stale = m.key+1, true }
		a["catch up"] = func(*rapid.T) { m.stale = false }
	}
	return a
}

// wreck loses a row, or puts back a state that it once had.
func (m *model) wreck(t *rapid.T) {
	if len(m.before) == 0 {
		t.Skip("nothing stored yet")
	}
	old := m.before[rapid.IntRange(0, len(m.before)-1).Draw(t, "row")]
	if rapid.Bool().Draw(t, "back") {
		m.rows[old.id] = old
	} else {
		delete(m.rows, old.id)
	}
}

func TestModel(t *testing.T) {
	worlds := map[string]world{
		"writes":       {},
		"deletes":      {deletes: true},
		"clocks":       {deletes: true, skew: true},
		"renewals":     {deletes: true, renewals: true, skew: true},
		"cross-site":   {deletes: true, renewals: true, foreign: true},
		"rings":        {deletes: true, skew: true, stale: true},
		"chunks":       {deletes: true, skew: true, stale: true, limits: Limits{CookieBytes: 600, Cookies: 300, RequestBytes: 64000, ResponseBytes: 32000, SetCookieLines: 80, Parallel: 6}},
		"late":         {deletes: true, renewals: true, skew: true, late: true},
		"eviction":     {deletes: true, skew: true, evict: true},
		"replay":       {deletes: true, renewals: true, skew: true, replay: true},
		"everything":   {deletes: true, renewals: true, skew: true, late: true, evict: true, replay: true, stale: true, foreign: true},
		"small budget": {deletes: true, crowd: 6, limits: Limits{CookieBytes: 4096, Cookies: 20, RequestBytes: 7500, ResponseBytes: 3600, SetCookieLines: 40, Parallel: 6}},
		"few cookies":  {deletes: true, renewals: true, crowd: 3, limits: Limits{CookieBytes: 4096, Cookies: 7, RequestBytes: 30000, ResponseBytes: 15000, SetCookieLines: 40, Parallel: 3}},
	}
	low := Limits{CookieBytes: 4096, Cookies: 60, RequestBytes: 8000, ResponseBytes: 3600, SetCookieLines: 40, Parallel: 6}
	for name, w := range map[string]world{
		"stored":              {},
		"stored, deletes":     {deletes: true, skew: true},
		"stored, renewals":    {deletes: true, renewals: true, skew: true, foreign: true, lost: true},
		"stored, rings":       {deletes: true, skew: true, stale: true},
		"stored always":       {deletes: true, renewals: true, skew: true, lost: true, mode: AlwaysStored},
		"stored, outages":     {deletes: true, renewals: true, skew: true, outages: true, lost: true},
		"stored, idle":        {deletes: true, skew: true, idle: 6 * core.Window, lost: true},
		"stored, ends":        {deletes: true, renewals: true, skew: true, lifetime: 5 * core.Window},
		"stored always, idle": {deletes: true, skew: true, idle: 6 * core.Window, mode: AlwaysStored},
		"stored, late":        {deletes: true, renewals: true, skew: true, late: true},
		"stored, adversaries": {deletes: true, renewals: true, skew: true, late: true, evict: true, replay: true, stale: true, foreign: true, wrecked: true, outages: true},
	} {
		w.store, w.limits = true, low
		worlds[name] = w
	}
	for _, name := range slices.Sorted(maps.Keys(worlds)) {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) { rt.Repeat(newModel(rt, worlds[name]).actions()) })
		})
	}
}
