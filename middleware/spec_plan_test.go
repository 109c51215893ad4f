package middleware

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/session"
)

// This is a second implementation of SPEC.md, section "The response", as far as
// it says what is set and what is expired, for responses that everything fits
// into. The budget has tests of its own.

type specWrite struct {
	stamp core.Stamp
	gone  int64
	value string
}

type specNeeded struct {
	stamp core.Stamp
	gone  bool
}

// specSet is one fragment that is set, in the terms of the text.
type specSet struct {
	kind    core.Kind
	root    core.Root
	orphan  bool
	born    core.Stamp
	created int64
	end     int64
	floor   core.Stamp
	horizon int64
	entries map[string]specWrite
	needs   map[string]specNeeded
}

func (s specSet) String() string {
	return fmt.Sprint(s.kind, " of ", s.root[0], " orphan ", s.orphan, " born ", s.born, " end ", s.end, " floor ", s.floor, " horizon ", s.horizon, " ", s.entries, " needs ", s.needs)
}

func specSetOf(f *core.Fragment) specSet {
	s := specSet{f.Kind, f.Root, f.Orphan, f.Born, f.Created, f.End, f.Floor, f.Horizon, map[string]specWrite{}, map[string]specNeeded{}}
	for _, e := range f.Entries {
		s.entries[e.Name] = specWrite{e.Stamp, e.Gone, string(e.Value)}
	}
	for _, n := range f.Needs {
		s.needs[n.Name] = specNeeded{n.Stamp, n.Gone}
	}
	return s
}

// specPlan is the response of the text to what a request found and changed.
type specPlan struct {
	v       *core.View
	c       core.Changes
	f       *facts
	stamp   core.Stamp
	collect bool
}

// base is the state that the request saw; a new session has none.
func (p *specPlan) base() specSet {
	s := specSet{kind: core.Data, entries: map[string]specWrite{}, needs: map[string]specNeeded{}}
	if h := p.v.Head; h != nil {
		s = specSetOf(&core.Fragment{Kind: core.Data, Root: h.Root, Orphan: h.Orphan, Born: h.Born, Created: h.Created, End: h.End,
			Entries: p.v.State.Entries, Floor: p.v.State.Floor, Horizon: p.v.State.Horizon})
	}
	return s
}

// changes are the writes of the request, on a state.
func (p *specPlan) changes(on map[string]specWrite) map[string]specWrite {
	out := map[string]specWrite{}
	for _, op := range p.c.Ops {
		have, ok := on[op.Name]
		switch {
		case op.Value != nil:
			out[op.Name] = specWrite{stamp: p.stamp, value: string(op.Value)}
		case !ok || have.gone != 0:
		case op.Taken == have.stamp: // a pop
			out[op.Name] = specWrite{stamp: have.stamp, gone: max(p.f.write.Now, have.stamp.At)}
		default:
			out[op.Name] = specWrite{stamp: p.stamp, gone: p.stamp.At}
		}
	}
	return out
}

// collected drops old tombstones, as "Collecting tombstones" says.
func (p *specPlan) collected(s specSet) specSet {
	if !p.collect {
		return s
	}
	limit := (p.v.Loaded - (3*300_000 + 2*30_000)) / 300_000 * 300_000
	for name, e := range s.entries {
		if e.gone != 0 && e.gone <= limit {
			s.horizon = max(s.horizon, e.stamp.At)
			delete(s.entries, name)
		}
	}
	return s
}

func (p *specPlan) joined() specSet { return p.collected(p.base()) }

func (p *specPlan) whole() specSet {
	s := p.base()
	if p.c.Cleared {
		s.entries, s.floor = map[string]specWrite{}, p.stamp
	}
	maps.Copy(s.entries, p.changes(s.entries))
	return p.collected(s)
}

func (p *specPlan) delta() specSet {
	s := p.base()
	all := s.entries
	s.entries = p.changes(all)
	if p.c.Cleared {
		s.floor = p.stamp
		return s
	}
	for name, e := range all {
		if _, ok := s.entries[name]; !ok {
			s.needs[name] = specNeeded{e.stamp, e.gone != 0}
		}
	}
	return s
}

// fresh is S in a new generation.
func (p *specPlan) fresh() specSet {
	s := p.base()
	if p.v.Head == nil || p.c.Destroyed {
		s = specSet{kind: core.Data, entries: map[string]specWrite{}, needs: map[string]specNeeded{},
			created: p.f.write.Now, end: p.f.write.Now + p.f.write.Lifetime, orphan: len(p.v.Fragments) == 0 && !p.c.Renewed}
	} else {
		s.orphan = false
	}
	if p.c.Cleared {
		clear(s.entries)
	}
	maps.DeleteFunc(s.entries, func(_ string, e specWrite) bool { return e.gone != 0 })
	for name, e := range s.entries {
		s.entries[name] = specWrite{stamp: p.stamp, value: e.value}
	}
	for _, op := range p.c.Ops {
		if delete(s.entries, op.Name); op.Value != nil {
			s.entries[op.Name] = specWrite{stamp: p.stamp, value: string(op.Value)}
		}
	}
	s.root, s.floor, s.horizon = p.c.Root, core.Stamp{}, 0
	s.born = core.Stamp{At: p.f.write.Now, ID: p.f.write.ID}
	for _, f := range p.v.Fragments {
		s.born.At = max(s.born.At, f.Born.At+1)
	}
	return s
}

// parts are the fragments that make up the state, and how many are young.
func (p *specPlan) parts() (all []*core.Fragment, young int, newest int64) {
	for i, f := range p.v.Fragments {
		if p.v.Fates[i] != core.Accepted || f.Kind != core.Data {
			continue
		}
		all = append(all, f)
		at := specNewest(f)
		newest = max(newest, at.At)
		if at.At > p.f.write.Now-2000 {
			young++
		}
	}
	return all, young, newest
}

func specNewest(f *core.Fragment) core.Stamp {
	at := f.Floor
	for _, e := range f.Entries {
		if e.Stamp.Compare(at) > 0 {
			at = e.Stamp
		}
	}
	return at
}

// ofUse tells whether J may be written beside a delta.
func (p *specPlan) ofUse() bool {
	parts, _, newest := p.parts()
	if p.f.write.Now-p.v.Loaded >= 2000 {
		return false
	}
	return p.f.write.Now-newest >= 2000 || len(parts) > 4 && specEachSawAllOlder(parts)
}

func specEachSawAllOlder(parts []*core.Fragment) bool {
	for _, f := range parts {
		for _, g := range parts {
			if specNewest(g).Compare(specNewest(f)) < 0 && !specSaw(f, g) {
				return false
			}
		}
	}
	return true
}

func specSaw(f, g *core.Fragment) bool {
	me := specSetOf(f)
	for name, e := range specSetOf(g).entries {
		mine, has := me.entries[name]
		need, needs := me.needs[name]
		switch {
		case e.stamp.Compare(f.Floor) < 0:
		case has && (mine.stamp.Compare(e.stamp) > 0 || mine.stamp == e.stamp && mine.gone >= e.gone):
		case needs && need.stamp.Compare(e.stamp) >= 0:
		case !has && !needs && f.Snapshot() && e.gone != 0 && e.stamp.At <= f.Horizon:
		default:
			return false
		}
	}
	return true
}

// expired is what a response may expire: with made, what S or J is made of. What is
// set is none of it.
func (p *specPlan) expired(made, all bool) (out []string) {
	for _, h := range p.f.jar {
		i := slices.IndexFunc(p.v.Fragments, func(f *core.Fragment) bool { return f.Suffix == h.suffix })
		gone := all || made && h.waste
		if i >= 0 && !gone {
			f := p.v.Fragments[i]
			age := p.f.write.Now - max(f.Seen, f.Born.At)
			switch p.v.Fates[i] {
			case core.Accepted:
				gone = made
			case core.Idle:
				gone = age > p.f.idle+2*30_000+300_000
			case core.Torn:
				gone = age > 960_000 && p.v.Unopened == 0
			default:
				gone = true
			}
		}
		if gone {
			out = append(out, h.suffix)
		}
	}
	return out
}

// answer is what is set, in order, and what is expired.
func (p *specPlan) answer(writes bool) (set []specSet, expire []string, err error) {
	parts, young, newest := p.parts()
	needsNothing := func(d specSet) bool { return len(d.needs) == 0 }
	switch {
	case writes && p.v.Unopened > 0 && !p.c.Renewed && !p.c.Destroyed:
		return nil, nil, session.ErrUnknownKey
	case writes && (p.v.Head == nil || p.c.Renewed || p.c.Destroyed):
		return []specSet{p.fresh()}, p.expired(true, p.c.Renewed || p.c.Destroyed), nil
	case writes:
		d := p.delta()
		form := "D"
		switch {
		case needsNothing(d) || 2*p.weight(p.v.Delta(&p.c, p.f.write)) >= p.weight(p.v.Snapshot(&p.c, p.f.write)):
			form = "S"
		case len(parts) > 3 && p.ofUse():
			form = "J+D"
		case len(parts) > 3 && (young == 0 || int(p.f.write.ID)%young == 0):
			form = "S"
		}
		switch form {
		case "S":
			return []specSet{p.whole()}, p.expired(true, false), nil
		case "D":
			return []specSet{d}, p.expired(false, false), nil
		}
		return []specSet{p.joined(), d}, p.expired(true, false), nil
	case p.c.Destroyed:
		return p.destroy()
	}
	if p.v.Head == nil || p.f.quiet {
		return nil, nil, nil
	}
	set = p.touch()
	if p.f.write.Now-newest >= 2000 && p.v.Unopened == 0 {
		if len(parts) > 3 {
			return []specSet{p.joined()}, p.expired(true, false), nil
		}
		if set != nil || len(p.v.Fragments) > 3 {
			return set, p.expired(false, false), nil
		}
	}
	return set, nil, nil
}

func (p *specPlan) destroy() (set []specSet, expire []string, err error) {
	if p.v.Verdict == core.LoggedOut && p.v.Unopened == 0 {
		return nil, nil, nil // there is a logout fragment, which stays
	}
	if len(p.v.Fragments) > 0 || p.v.Unopened > 0 {
		out := specSet{kind: core.Logout, root: p.f.farewell, created: p.f.write.Now, end: p.f.write.Now + p.f.write.Lifetime, born: p.fresh().born}
		if p.v.Head != nil {
			out.end = max(p.v.Head.End, p.f.write.Now+960_000)
		}
		set = []specSet{out}
	}
	return set, p.expired(true, true), nil
}

// touch is the session's one cookie again, or its seen fragment.
func (p *specPlan) touch() []specSet {
	if p.f.idle == 0 || p.f.write.Now-p.v.Seen < p.f.touch {
		return nil
	}
	var one []*core.Fragment
	for i, f := range p.v.Fragments {
		if p.v.Fates[i] == core.Accepted {
			one = append(one, f)
		}
	}
	if len(one) == 1 && p.f.scale.weigh(one[0]).cookies == 1 {
		return []specSet{specSetOf(one[0])}
	}
	s := p.base()
	s.kind, s.entries, s.floor, s.horizon = core.SeenMark, nil, core.Stamp{}, 0
	return []specSet{s}
}

// weight is the bytes of a fragment in the Cookie header, in one piece or several.
func (p *specPlan) weight(f *core.Fragment) int { return p.f.scale.weigh(f).request }

// specDraw draws the jars and the changes.
type specDraw struct {
	t   *rapid.T
	now int64
}

func (d specDraw) int(lo, hi int, what string) int { return rapid.IntRange(lo, hi).Draw(d.t, what) }

func (d specDraw) entry(name string) core.Entry {
	e := core.Entry{Name: name, Stamp: core.Stamp{At: d.now - int64(rapid.SampledFrom([]int{0, 500, 1999, 2000, 2001, 60_000, 950_000, 1_300_000, 2_000_000}).Draw(d.t, "age")), ID: uint32(d.int(1, 3, "id"))}}
	switch d.int(0, 5, "what") {
	case 0:
		e.Gone = e.Stamp.At
	case 1:
		e.Gone = min(d.now, e.Stamp.At+400_000)
	default:
		size := rapid.SampledFrom([]int{1, 40, 900}).Draw(d.t, "size")
		e.Value = []byte(strings.Repeat(fmt.Sprint(e.Stamp.ID), size))
	}
	return e
}

func (d specDraw) fragments() (all []*core.Fragment) {
	for root := range byte(d.int(0, 2, "generations")) {
		head := core.Fragment{Kind: core.Data, Root: core.Root{root + 1}, Born: core.Stamp{At: d.now - int64(3_000_000*(1+int(root))), ID: 1}, Created: d.now - 9_000_000,
			End: d.now + int64(d.int(-1, 6, "end"))*100_000, Orphan: d.int(0, 3, "orphan") == 0}
		pool := []core.Entry{}
		for range d.int(1, 6, "pool") {
			pool = append(pool, d.entry(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(d.t, "name")))
		}
		some := func(not []core.Entry) (out []core.Entry) {
			for _, e := range pool {
				same := func(o core.Entry) bool { return o.Name == e.Name }
				if d.int(0, 1, "in") == 0 && !slices.ContainsFunc(out, same) && !slices.ContainsFunc(not, same) {
					out = append(out, e)
				}
			}
			slices.SortFunc(out, func(a, b core.Entry) int { return strings.Compare(a.Name, b.Name) })
			return out
		}
		for range d.int(0, 7, "fragments") {
			f := head
			f.Entries = some(nil)
			f.Seen = d.now - int64(rapid.SampledFrom([]int{0, 1000, 70_000, 1_000_000, 5_000_000}).Draw(d.t, "seen"))
			if d.int(0, 5, "floor") == 0 {
				f.Floor = pool[0].Stamp
				f.Entries = slices.DeleteFunc(f.Entries, func(e core.Entry) bool { return e.Stamp.Compare(f.Floor) < 0 })
			}
			if d.int(0, 5, "horizon") == 0 {
				f.Horizon = pool[0].Stamp.At
			}
			switch d.int(0, 9, "kind") {
			case 0:
				f.Kind, f.Entries, f.Floor, f.Horizon = core.SeenMark, nil, core.Stamp{}, 0
			case 1:
				if d.int(0, 3, "logout") == 0 {
					f.Kind, f.Entries, f.Floor, f.Horizon = core.Logout, nil, core.Stamp{}, 0
				}
			case 2, 3, 4, 5, 6:
				for _, e := range some(f.Entries) {
					f.Needs = append(f.Needs, core.Need{Name: e.Name, Stamp: e.Stamp, Gone: e.Dead()})
				}
			}
			f.Name()
			if !slices.ContainsFunc(all, func(o *core.Fragment) bool { return o.Suffix == f.Suffix }) {
				all = append(all, &f)
			}
		}
	}
	return all
}

// burst is a jar as writers leave it: a snapshot, and deltas that saw all or
// some of those before.
func (d specDraw) burst() []*core.Fragment {
	born := d.now - 3_000_000
	all := []*core.Fragment{{Kind: core.Data, Root: core.Root{1}, Born: core.Stamp{At: born, ID: 1}, Created: born, End: d.now + 9_000_000, Seen: born,
		Entries: []core.Entry{{Name: "a", Stamp: core.Stamp{At: born, ID: 1}, Value: []byte(strings.Repeat("x", 1200))}}}}
	all[0].Name()
	at := born
	for i := range d.int(0, 7, "deltas") {
		at += int64(rapid.SampledFrom([]int{1, 600, 2500, 400_000}).Draw(d.t, "later"))
		v := core.Merge(slices.Clone(all[:d.int(max(1, len(all)-d.int(0, 1, "blind")), len(all), "saw")]), 0, at, 0)
		c := core.Changes{Ops: []core.Op{{Name: rapid.SampledFrom([]string{"b", "c", "d", "e"}).Draw(d.t, "name"), Value: []byte{byte(i)}}}}
		f := v.Delta(&c, core.Write{Now: at, ID: uint32(i)})
		f.Name()
		all = append(all, f)
	}
	shift := d.now - at - int64(rapid.SampledFrom([]int{0, 1999, 2000, 1_100_000}).Draw(d.t, "ago"))
	for i, f := range all {
		g := *f
		move := func(s *core.Stamp) { s.At += shift }
		g.Created, g.End, g.Seen = g.Created+shift, g.End+shift, g.Seen+shift
		move(&g.Born)
		g.Entries, g.Needs = slices.Clone(f.Entries), slices.Clone(f.Needs)
		for k := range g.Entries {
			move(&g.Entries[k].Stamp)
		}
		for k := range g.Needs {
			move(&g.Needs[k].Stamp)
		}
		g.Name()
		all[i] = &g
	}
	return all
}

// changes are what a handler can have done to v: the session's methods see to
// it that an operation is one that changes something.
func (d specDraw) changes(v *core.View) (c core.Changes) {
	c.Root = core.Root{77}
	kind := d.int(0, 9, "change")
	c.Destroyed, c.Renewed = kind == 0, kind == 1
	c.Cleared = v.Head != nil && !c.Destroyed && kind == 2 && slices.ContainsFunc(v.State.Entries, func(e core.Entry) bool { return !e.Dead() })
	if kind == 3 {
		return c // a read
	}
	for _, name := range []string{"a", "b", "f"} {
		e, ok := v.State.Find(name)
		ok = ok && !e.Dead() && v.Head != nil && !c.Cleared && !c.Destroyed
		switch op := d.int(0, 6, "op"); {
		case op < 2:
			c.Ops = append(c.Ops, core.Op{Name: name, Value: []byte(strings.Repeat("n", d.int(1, 200, "length")))})
		case op == 2 && ok:
			c.Ops = append(c.Ops, core.Op{Name: name})
		case op == 3 && ok:
			c.Ops = append(c.Ops, core.Op{Name: name, Taken: e.Stamp})
		}
	}
	return c
}

// TestDecideIsTheTexts compares the plan with the specification's.
func TestDecideIsTheTexts(t *testing.T) {
	reached := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		d := specDraw{t, 1_800_000_000_000}
		idle := int64(d.int(0, 1, "idle")) * 900_000
		var frags []*core.Fragment
		if d.int(0, 1, "a burst") == 0 {
			frags = d.burst()
		} else {
			frags = d.fragments()
		}
		loaded := d.now - int64(rapid.SampledFrom([]int{0, 5, 1999, 2000, 60_000}).Draw(t, "handler took"))
		v := core.Merge(slices.Clone(frags), max(0, d.int(-5, 1, "unopened")), loaded, idle)
		v.Frozen = d.int(0, 9, "frozen") == 0
		c := d.changes(&v)
		f := &facts{write: core.Write{Now: d.now, ID: uint32(d.int(0, 9, "write id")), Lifetime: 86_400_000}, idle: idle, touch: 60_000,
			quiet: d.int(0, 3, "HEAD") == 3, scale: scale{base: 25, attributes: 80, cookie: 4096},
			limits: Limits{CookieBytes: 4096, Cookies: 1 << 20, RequestBytes: 1 << 24, ResponseBytes: 1 << 24, SetCookieLines: 1 << 20, Parallel: 1}, farewell: core.Root{78}}
		for _, frag := range frags {
			f.jar = append(f.jar, held{suffix: frag.Suffix, weight: f.scale.weigh(frag)})
		}
		for i := range d.int(0, 2, "closed") {
			f.jar = append(f.jar, held{suffix: fmt.Sprint("closed", i), weight: weight{1, 100, 0}, waste: d.int(0, 1, "waste") == 0})
		}
		writes := len(c.Ops) > 0 || v.Head != nil && !c.Destroyed && (c.Cleared || c.Renewed)
		p := &specPlan{v: &v, c: c, f: f, stamp: core.Stamp{At: max(d.now, v.MaxAt+1), ID: f.write.ID},
			collect: v.Unopened == 0 && !v.Frozen && !slices.Contains(v.Fates, core.Torn)}
		want, gone, wantErr := p.answer(writes)
		got, err := decide(core.Outcome{Touched: true, View: &v, Changes: &c, Writes: writes}, f)
		reached[fmt.Sprint(writes, len(want), len(gone) > 0, wantErr != nil)]++
		specComparePlans(t, p, got, err, want, gone, wantErr)
	})
	t.Log(reached)
}

func specComparePlans(t *rapid.T, p *specPlan, got plan, err error, want []specSet, gone []string, wantErr error) {
	if !errors.Is(err, wantErr) {
		t.Fatalf("error: %v, text %v", err, wantErr)
	}
	var set []string
	for _, s := range got.set {
		set = append(set, specSetOf(s).String())
	}
	var text []string
	for _, s := range want {
		text = append(text, s.String())
	}
	show := ""
	for i, f := range p.v.Fragments {
		show += fmt.Sprintln(i, f.Suffix, "fate", p.v.Fates[i], "seen", f.Seen, specSetOf(f))
	}
	if !slices.Equal(set, text) {
		t.Fatalf("set:\n%s\ntext:\n%s\nchanges %+v\n%s", strings.Join(set, "\n"), strings.Join(text, "\n"), p.c, show)
	}
	slices.Sort(gone)
	expire := slices.Sorted(slices.Values(got.expire))
	if !slices.Equal(expire, gone) {
		t.Fatalf("expired: %v, text %v\nset %v\nchanges %+v\n%s", expire, gone, set, p.c, show)
	}
}
