package core_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/carryon-go/carryon/internal/core"
)

// This is a second implementation of SPEC.md, section "The merge", written from
// that text by somebody who had not read merge.go. It is slow and plain on
// purpose: maps, and every rule as its sentence stands.

type specTime struct {
	at int64
	id uint32
}

func (a specTime) before(b specTime) bool { return a.at < b.at || a.at == b.at && a.id < b.id }

type specEntry struct {
	stamp specTime
	dead  bool
	gone  int64 // when, if dead
	value string
}

// older is "newer" of the text from the other side, made total.
func (e specEntry) older(f specEntry) bool {
	switch {
	case e.stamp != f.stamp:
		return e.stamp.before(f.stamp)
	case e.dead != f.dead:
		return f.dead
	case e.dead:
		return e.gone < f.gone
	}
	return e.value < f.value
}

type specNeed struct {
	stamp specTime
	gone  bool
}

type specFragment struct {
	suffix  string
	kind    string // data, logout, seen
	root    string
	born    specTime
	orphan  bool
	end     int64
	seen    int64
	idle    int64 // the session's own timeout
	floor   specTime
	horizon int64
	entries map[string]specEntry
	needs   map[string]specNeed
	fate    string
}

func (f *specFragment) snapshot() bool { return f.kind == "data" && len(f.needs) == 0 }

type specState struct {
	entries map[string]specEntry
	floor   specTime
	horizon int64
}

func specJoin(s, t specState) specState {
	r := specState{entries: map[string]specEntry{}, floor: s.floor, horizon: max(s.horizon, t.horizon)}
	if s.floor.before(t.floor) {
		r.floor = t.floor
	}
	for _, from := range []specState{s, t} {
		for name, e := range from.entries {
			if have, ok := r.entries[name]; !ok || have.older(e) {
				r.entries[name] = e
			}
		}
	}
	maps.DeleteFunc(r.entries, func(_ string, e specEntry) bool { return e.stamp.before(r.floor) })
	return r
}

type specResult struct {
	verdict string
	root    string
	state   specState
	seen    int64
	fates   []string // as the fragments came
}

type specGeneration struct {
	root            string
	born            specTime
	orphan, logout  bool
	end, seen       int64
	members         []*specFragment
	ended, idle, on bool
}

func (g *specGeneration) expired() bool { return g.ended || g.idle }

// beats are the rules 1 to 3 of "Which generation counts".
func (g *specGeneration) beats(h *specGeneration) bool {
	switch {
	case g.orphan != h.orphan:
		return h.orphan
	case g.born != h.born:
		return h.born.before(g.born) != g.orphan
	case g.logout != h.logout:
		return g.logout
	}
	return g.root > h.root
}

func specGenerations(fs []*specFragment, now, idle int64) []*specGeneration {
	var all []*specGeneration
	for _, f := range fs {
		i := slices.IndexFunc(all, func(g *specGeneration) bool { return g.root == f.root })
		if i < 0 {
			all = append(all, &specGeneration{root: f.root, born: f.born, orphan: f.orphan, end: f.end, seen: f.seen})
			i = len(all) - 1
		}
		g := all[i]
		g.members = append(g.members, f)
		g.logout = g.logout || f.kind == "logout"
		g.seen = max(g.seen, f.seen)
	}
	for _, g := range all {
		g.ended = now >= g.end
		idle := idle
		if own := g.members[0].idle; own > 0 {
			idle = own
		}
		g.idle = !g.ended && !g.logout && idle > 0 && now-g.seen >= idle
	}
	for _, g := range all {
		g.on = !g.expired()
		for _, h := range all {
			if h.expired() && !h.orphan && g.born.before(h.born) {
				g.on = false
			}
		}
	}
	return all
}

func specMerge(fs []*specFragment, now, idle int64) (r specResult) {
	all := specGenerations(fs, now, idle)
	var winner *specGeneration
	for _, g := range all {
		if g.on && (winner == nil || g.beats(winner)) {
			winner = g
		}
		for _, f := range g.members {
			switch {
			case g.ended:
				f.fate = "ended"
			case g.idle:
				f.fate = "idle"
			default:
				f.fate = "dead"
			}
		}
	}
	defer func() {
		for _, f := range fs {
			r.fates = append(r.fates, f.fate)
		}
	}()
	switch {
	case len(fs) == 0:
		return specResult{verdict: "absent"}
	case winner == nil:
		r.verdict = "expired"
		return r
	}
	for _, f := range winner.members {
		f.fate = "accepted"
	}
	r.root, r.seen = winner.root, winner.seen
	if winner.logout {
		r.verdict = "logged out"
		return r
	}
	specLate(winner.members)
	var ok bool
	if r.state, ok = specTorn(winner.members); !ok {
		r.verdict = "torn"
		return r
	}
	r.verdict = "present"
	return r
}

func specCounting(fs []*specFragment) (out []*specFragment) {
	for _, f := range fs {
		if f.kind == "data" && f.fate == "accepted" {
			out = append(out, f)
		}
	}
	return out
}

func specBuries(x, f *specFragment) bool {
	for name, e := range f.entries {
		if e.stamp.before(x.floor) || e.stamp.at > x.horizon || e.dead && e.gone > x.horizon {
			continue
		}
		has, ok := x.entries[name]
		if n, needed := x.needs[name]; !ok && needed {
			if n.stamp == e.stamp && (n.gone || !e.dead) {
				continue
			}
			has, ok = specEntry{stamp: n.stamp, dead: n.gone}, true
		}
		if ok && has.older(e) || !ok && !e.dead {
			return true
		}
	}
	return false
}

func specLate(fs []*specFragment) {
	var order []*specFragment
	for _, f := range specCounting(fs) {
		if f.snapshot() && f.horizon > 0 {
			order = append(order, f)
		}
	}
	sort.Slice(order, func(i, j int) bool {
		if order[i].horizon != order[j].horizon {
			return order[i].horizon > order[j].horizon
		}
		return order[i].suffix < order[j].suffix
	})
	for at, x := range order {
		if x.fate != "accepted" {
			continue
		}
		for _, f := range specCounting(fs) {
			if slices.Index(order[:at+1], f) >= 0 { // comes before it, or is it
				continue
			}
			if specBuries(x, f) || specBuries(f, x) {
				f.fate = "late"
			}
		}
	}
}

func specSupports(join specState, counting []*specFragment, d *specFragment) bool {
	highest := int64(0) // of the snapshots that count
	for _, f := range counting {
		if f.snapshot() {
			highest = max(highest, f.horizon)
		}
	}
	for name, n := range d.needs {
		has, ok := join.entries[name]
		switch {
		case n.stamp.before(join.floor):
		case ok && !has.stamp.before(n.stamp) && (has.dead || has.stamp != n.stamp || !n.gone):
		case (!ok || has.dead) && n.gone && n.stamp.at <= highest:
		default:
			return false
		}
	}
	return highest >= d.horizon
}

func specTorn(fs []*specFragment) (specState, bool) {
	for {
		counting, join, snapshots := specCounting(fs), specState{}, 0
		for _, f := range counting {
			join = specJoin(join, specState{f.entries, f.floor, f.horizon})
			if f.snapshot() {
				snapshots++
			}
		}
		var out []*specFragment
		for _, f := range counting {
			if !f.snapshot() && !specSupports(join, counting, f) {
				out = append(out, f)
			}
		}
		if len(out) == 0 {
			return join, snapshots > 0
		}
		for _, f := range out {
			f.fate = "torn"
		}
	}
}

// specSays tells whether x makes every statement of f.
func specSays(x, f *specFragment) bool {
	if x.floor.before(f.floor) || x.horizon < f.horizon {
		return false
	}
	for name, e := range f.entries {
		has, ok := x.entries[name]
		switch {
		case e.stamp.before(x.floor):
		case ok && !has.older(e):
		case !ok && e.dead && e.stamp.at <= x.horizon:
		default:
			return false
		}
	}
	return true
}

// specCovered tells whether f may be, and whether it must be called covered: of
// fragments that cover one another the text leaves open which one stays.
func specCovered(f *specFragment, all []*specFragment, stays func(*specFragment) bool) (may, must bool) {
	for _, x := range specCounting(all) {
		if x == f || x.root != f.root || f.kind != "data" || !x.snapshot() || !specSays(x, f) {
			continue
		}
		may = true
		must = must || stays(x) && !(f.snapshot() && specSays(f, x))
	}
	return may, must
}

// ---- the fragments of both worlds

func specOf(f *core.Fragment) *specFragment {
	st := func(s core.Stamp) specTime { return specTime{s.At, s.ID} }
	out := &specFragment{
		suffix: f.Suffix, kind: map[core.Kind]string{core.Data: "data", core.Logout: "logout", core.SeenMark: "seen"}[f.Kind],
		root: string(f.Root[:]), born: st(f.Born), orphan: f.Orphan, end: f.End, seen: f.Seen, idle: f.Idle,
		floor: st(f.Floor), horizon: f.Horizon, entries: map[string]specEntry{}, needs: map[string]specNeed{},
	}
	for _, e := range f.Entries {
		out.entries[e.Name] = specEntry{st(e.Stamp), e.Dead(), e.Gone, string(e.Value)}
	}
	for _, n := range f.Needs {
		out.needs[n.Name] = specNeed{st(n.Stamp), n.Gone}
	}
	return out
}

var fateWords = map[core.Fate]string{
	core.Accepted: "accepted", core.Covered: "covered", core.Dead: "dead", core.Late: "late",
	core.Torn: "torn", core.Ended: "ended", core.Idle: "idle",
}

var verdictWords = map[core.Verdict]string{
	core.Present: "present", core.Absent: "absent", core.ExpiredIdle: "expired", core.ExpiredEnd: "expired",
	core.LoggedOut: "logged out", core.Incomplete: "torn",
}

// specJar draws a jar in which everything is close together, so that rules meet.
type specJar struct {
	t     *rapid.T
	pool  []core.Entry
	now   int64
	idle  int64
	names []string
}

func (j *specJar) int(lo, hi int, what string) int { return rapid.IntRange(lo, hi).Draw(j.t, what) }
func (j *specJar) yes(oneIn int, what string) bool { return j.int(1, oneIn, what) == 1 }

func (j *specJar) stamp() core.Stamp {
	return core.Stamp{At: created + int64(j.int(0, 8, "at")), ID: uint32(j.int(1, 2, "id"))}
}

// write draws an entry; what is set under one name and stamp is one value,
// unless ids collide.
func (j *specJar) write() core.Entry {
	e := core.Entry{Name: rapid.SampledFrom(j.names).Draw(j.t, "name"), Stamp: j.stamp()}
	switch j.int(0, 4, "what") {
	case 0:
		e.Gone = e.Stamp.At
	case 1:
		e.Gone = e.Stamp.At + int64(j.int(0, 6, "popped after"))
	default:
		e.Value = []byte(fmt.Sprint(e.Stamp.At-created, ".", e.Stamp.ID))
		if j.yes(20, "collision") {
			e.Value = append(e.Value, '!')
		}
	}
	return e
}

// some draws entries of the pool, each name once.
func (j *specJar) some(oneIn int, what string) (out []core.Entry) {
	for _, e := range j.pool {
		if j.int(1, oneIn, what) == 1 && !slices.ContainsFunc(out, func(o core.Entry) bool { return o.Name == e.Name }) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b core.Entry) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	return out
}

func (j *specJar) data(f core.Fragment) *core.Fragment {
	f.Kind, f.Entries = core.Data, j.some(2, "entry")
	if j.yes(3, "has a horizon") {
		f.Horizon = created + int64(j.int(0, 9, "horizon"))
	}
	if j.yes(5, "has a floor") {
		f.Floor = j.stamp()
		f.Entries = slices.DeleteFunc(f.Entries, func(e core.Entry) bool { return e.Stamp.Compare(f.Floor) < 0 })
	}
	if j.yes(2, "is a delta") {
		for _, e := range j.some(2, "need") {
			if !slices.ContainsFunc(f.Entries, func(o core.Entry) bool { return o.Name == e.Name }) {
				f.Needs = append(f.Needs, core.Need{Name: e.Name, Stamp: e.Stamp, Gone: e.Dead()})
			}
		}
	}
	return &f
}

func (j *specJar) generation(n byte) (out []*core.Fragment) {
	head := core.Fragment{
		Root: core.Root{n + 1}, Born: core.Stamp{At: created + int64(j.int(0, 3, "born")), ID: uint32(j.int(1, 2, "born id"))},
		Created: created, End: end, Orphan: j.yes(4, "orphan"),
	}
	if j.yes(4, "own idle timeout") {
		head.Idle = int64(j.int(1, 12, "own idle"))
	}
	if j.yes(6, "ended") {
		head.End = j.now - int64(j.int(0, 1, "end"))
	}
	add := func(f *core.Fragment) {
		f.Seen = j.now - int64(j.int(-1, 12, "last seen"))
		f.Name()
		if !slices.ContainsFunc(out, func(o *core.Fragment) bool { return o.Suffix == f.Suffix }) {
			out = append(out, f)
		}
	}
	for range j.int(0, 6, "data") {
		add(j.data(head))
	}
	for _, kind := range []core.Kind{core.Logout, core.SeenMark} {
		if j.yes(7, fmt.Sprint("kind ", kind)) {
			f := head
			f.Kind = kind
			add(&f)
		}
	}
	return out
}

func drawJar(t *rapid.T) (fs []*core.Fragment, now, idle int64, unopened int) {
	j := &specJar{t: t, now: later, names: []string{"a", "b", "c"}}
	for range j.int(1, 8, "writes") {
		j.pool = append(j.pool, j.write())
	}
	j.idle = int64(j.int(0, 12, "idle"))
	for n := range j.int(1, 3, "generations") {
		fs = append(fs, j.generation(byte(n))...)
	}
	fs = rapid.Permutation(fs).Draw(t, "order")
	return fs, j.now, j.idle, j.int(0, 1, "unopened")
}

// specDiff compares the merge with the one of the text; it is empty where they agree.
func specDiff(fs []*core.Fragment, unopened int, now, idle int64) string {
	var mine []*specFragment
	for _, f := range fs {
		mine = append(mine, specOf(f))
	}
	want := specMerge(mine, now, idle)
	got := core.Merge(slices.Clone(fs), unopened, now, idle)
	if verdictWords[got.Verdict] != want.verdict {
		return fmt.Sprintf("verdict: merge %q, text %q", verdictWords[got.Verdict], want.verdict)
	}
	stays := func(x *specFragment) bool {
		i := slices.IndexFunc(got.Fragments, func(f *core.Fragment) bool { return f.Suffix == x.suffix })
		return got.Fates[i] == core.Accepted
	}
	for i, f := range got.Fragments {
		k := slices.Index(fs, f)
		g, w := fateWords[got.Fates[i]], want.fates[k]
		if may, must := specCovered(mine[k], mine, stays); want.verdict == "present" && w == "accepted" && may && (g == "covered" || must) {
			w = "covered"
		}
		if g != w {
			return fmt.Sprintf("fate of %d %s: merge %q, text %q", k, f.Suffix, g, w)
		}
	}
	if len(got.Fragments) != len(fs) {
		return fmt.Sprintf("merge shows %d fragments of %d", len(got.Fragments), len(fs))
	}
	if want.verdict != "present" {
		return ""
	}
	return specDiffState(&got, want)
}

func specDiffState(got *core.View, want specResult) string {
	if got.Head == nil || string(got.Head.Root[:]) != want.root {
		return "another generation was elected"
	}
	g := specOf(&core.Fragment{Kind: core.Data, Entries: got.State.Entries, Floor: got.State.Floor, Horizon: got.State.Horizon})
	switch {
	case !maps.Equal(g.entries, want.state.entries):
		return fmt.Sprintf("entries: merge %v, text %v", g.entries, want.state.entries)
	case g.floor != want.state.floor:
		return fmt.Sprintf("floor: merge %v, text %v", g.floor, want.state.floor)
	case g.horizon != want.state.horizon:
		return fmt.Sprintf("horizon: merge %v, text %v", g.horizon, want.state.horizon)
	case got.Seen != want.seen:
		return fmt.Sprintf("seen: merge %v, text %v", got.Seen, want.seen)
	}
	return ""
}

func specShow(fs []*core.Fragment) string {
	var b bytes.Buffer
	for i, f := range fs {
		fmt.Fprintf(&b, "%d %s %s gen %d born %v orphan %v end %d seen %d floor %d horizon %d\n", i, f.Suffix, specOf(f).kind,
			f.Root[0], f.Born.At-created, f.Orphan, f.End-later, f.Seen-later, specOf(f).floor.at-created, f.Horizon-created)
		for _, e := range f.Entries {
			fmt.Fprintf(&b, "    %s %d.%d gone %d %q\n", e.Name, e.Stamp.At-created, e.Stamp.ID, e.Gone-created, e.Value)
		}
		for _, n := range f.Needs {
			fmt.Fprintf(&b, "    needs %s %d.%d gone %v\n", n.Name, n.Stamp.At-created, n.Stamp.ID, n.Gone)
		}
	}
	return b.String()
}

// TestMergeIsTheTexts compares the merge with the specification's.
func TestMergeIsTheTexts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs, now, idle, unopened := drawJar(t)
		if diff := specDiff(fs, unopened, now, idle); diff != "" {
			t.Fatalf("%s\nidle %d\n%s", diff, idle, specShow(fs))
		}
	})
}

// TestSpecModelReaches keeps the comparison from becoming empty: jars of every
// verdict and fragments of every fate turn up.
func TestSpecModelReaches(t *testing.T) {
	verdicts, fates := map[string]int{}, map[string]int{}
	gen := rapid.Custom(func(t *rapid.T) int {
		fs, now, idle, _ := drawJar(t)
		var mine []*specFragment
		for _, f := range fs {
			mine = append(mine, specOf(f))
		}
		r := specMerge(mine, now, idle)
		verdicts[r.verdict]++
		for _, f := range r.fates {
			fates[f]++
		}
		return 0
	})
	for seed := range 2000 {
		gen.Example(seed)
	}
	t.Log(verdicts, fates)
	require.Len(t, verdicts, len(verdictWords)-1)
	require.Len(t, fates, len(fateWords)-1, "all but covered, which the merge chooses")
}

// TestCoveredIsSpare takes away what any write expires, the covered fragments
// and the late ones: nobody sees a difference.
func TestCoveredIsSpare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs, now, _, _ := drawJar(t)
		for _, f := range fs {
			f.Idle = 0
		}
		v := core.Merge(slices.Clone(fs), 0, now, 0)
		var kept []*core.Fragment
		for i, f := range v.Fragments {
			if v.Fates[i] != core.Covered && v.Fates[i] != core.Late {
				kept = append(kept, f)
			}
		}
		w := core.Merge(slices.Clone(kept), 0, now, 0)
		if v.Verdict != w.Verdict || !slices.EqualFunc(living(&v), living(&w), sameEntry) {
			t.Fatalf("%v %v %v became %v\n%s", v.Fates, w.Fates, living(&v), living(&w), specShow(fs))
		}
	})
}

func living(v *core.View) []core.Entry {
	return slices.DeleteFunc(slices.Clone(v.State.Entries), core.Entry.Dead)
}

func sameEntry(a, b core.Entry) bool {
	return a.Name == b.Name && a.Stamp == b.Stamp && bytes.Equal(a.Value, b.Value)
}
