package core_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/core"
)

const (
	created = int64(1_000_000)
	later   = created + 100_000 // a time at which nothing has ended
	end     = created + 86_400_000
)

// fragment is a data fragment of the generation that root begins at born.
func fragment(root byte, born int64, entries ...core.Entry) *core.Fragment {
	f := &core.Fragment{
		Kind: core.Data, Root: core.Root{root}, Born: core.Stamp{At: born, ID: uint32(root)},
		Created: created, End: end, Seen: later, Entries: entries,
	}
	f.Name()
	return f
}

// with changes a fragment and names it again.
func with(f *core.Fragment, change func(f *core.Fragment)) *core.Fragment {
	c := *f
	c.Entries, c.Needs = slices.Clone(f.Entries), slices.Clone(f.Needs)
	change(&c)
	c.Name()
	return &c
}

func orphan(f *core.Fragment) *core.Fragment {
	return with(f, func(f *core.Fragment) { f.Orphan = true })
}

func kind(f *core.Fragment, k core.Kind) *core.Fragment {
	return with(f, func(f *core.Fragment) { f.Kind, f.Entries = k, nil })
}

func ends(f *core.Fragment, at int64) *core.Fragment {
	return with(f, func(f *core.Fragment) { f.End = at })
}

func seenAt(f *core.Fragment, at int64) *core.Fragment {
	return with(f, func(f *core.Fragment) { f.Seen = at })
}

func recorded(f *core.Fragment) *core.Fragment {
	return with(f, func(f *core.Fragment) { f.Stored = true })
}

func horizon(f *core.Fragment, at int64) *core.Fragment {
	return with(f, func(f *core.Fragment) { f.Horizon = at })
}

func floor(f *core.Fragment, at int64, id uint32) *core.Fragment {
	return with(f, func(f *core.Fragment) { f.Floor = core.Stamp{At: at, ID: id} })
}

// delta is f that builds on entries.
func delta(f *core.Fragment, on ...core.Entry) *core.Fragment {
	return with(f, func(f *core.Fragment) {
		for _, e := range on {
			f.Needs = append(f.Needs, core.Need{Name: e.Name, Stamp: e.Stamp, Gone: e.Dead()})
		}
	})
}

// summary is what a merge says, by name and not by order.
type summary struct {
	Verdict core.Verdict
	Root    core.Root
	Values  map[string]string
	Floor   core.Stamp
	Horizon int64
	Seen    int64
	MaxAt   int64
	MaxBorn int64
	Fates   map[string]core.Fate
}

func summarise(v *core.View) summary {
	s := summary{
		Verdict: v.Verdict, Floor: v.State.Floor, Horizon: v.State.Horizon, Seen: v.Seen, MaxAt: v.MaxAt, MaxBorn: v.MaxBorn,
		Values: map[string]string{}, Fates: map[string]core.Fate{},
	}
	if v.Head != nil {
		s.Root = v.Head.Root
	}
	for _, e := range v.State.Entries {
		if !e.Dead() {
			s.Values[e.Name] = string(e.Value)
		}
	}
	for i, f := range v.Fragments {
		s.Fates[f.Suffix+fmt.Sprint(f.Seen)] = v.Fates[i]
	}
	return s
}

// permutations calls f with every order of list.
func permutations[T any](list []T, f func([]T)) {
	var rec func(n int)
	rec = func(n int) {
		if n == len(list) {
			f(slices.Clone(list))
			return
		}
		for i := n; i < len(list); i++ {
			list[n], list[i] = list[i], list[n]
			rec(n + 1)
			list[n], list[i] = list[i], list[n]
		}
	}
	rec(0)
}

// mergeCase is a jar and what it must amount to, whatever its order.
type mergeCase struct {
	name    string
	jar     []*core.Fragment
	now     int64 // 0: later
	idle    int64
	verdict core.Verdict
	root    byte
	values  map[string]string // nil: none
	fates   []core.Fate       // of jar, in its order
}

func (c mergeCase) run(t *testing.T) {
	if c.now == 0 {
		c.now = later
	}
	if c.values == nil {
		c.values = map[string]string{}
	}
	jar := slices.Clone(c.jar)
	var first summary
	permutations(c.jar, func(order []*core.Fragment) {
		v := core.Merge(order, 0, c.now, c.idle)
		got := summarise(&v)
		require.Equal(t, c.verdict, got.Verdict)
		require.Equal(t, core.Root{c.root}, got.Root)
		require.Equal(t, c.values, got.Values)
		for i, f := range jar {
			require.Equal(t, c.fates[i], got.Fates[f.Suffix+fmt.Sprint(f.Seen)], "fate of fragment %d", i)
		}
		if first.Fates == nil {
			first = got
		}
		require.Equal(t, first, got, "the order of the cookies must not matter")
	})
}

type fates = []core.Fate

func TestMergeOfOneSession(t *testing.T) {
	a1 := set("a", created+10, 1, '1')
	base := fragment(1, created, a1)
	b, c := set("b", created+20, 2, 'b'), set("c", created+20, 3, 'c')
	a2, a3 := set("a", created+20, 2, '2'), set("a", created+20, 3, '3')
	popped := gone("a", created+10, 1, created+30)
	for _, c := range []mergeCase{
		{name: "nothing", verdict: core.Absent},
		{name: "one snapshot", jar: []*core.Fragment{base}, root: 1, values: map[string]string{"a": "1"}, fates: fates{core.Accepted}},
		{
			name: "two tabs, two names", root: 1, values: map[string]string{"a": "1", "b": "b", "c": "c"},
			jar:   []*core.Fragment{base, fragment(1, created, a1, b), fragment(1, created, a1, c)},
			fates: fates{core.Covered, core.Accepted, core.Accepted},
		},
		{
			name: "two tabs, one name", root: 1, values: map[string]string{"a": "3"},
			jar:   []*core.Fragment{base, fragment(1, created, a2), fragment(1, created, a3)},
			fates: fates{core.Covered, core.Covered, core.Accepted},
		},
		{
			name: "a delete beside a write", root: 1, values: map[string]string{"b": "b"},
			jar:   []*core.Fragment{fragment(1, created, a1, b), fragment(1, created, gone("a", created+20, 3, created+20))},
			fates: fates{core.Accepted, core.Accepted},
		},
		{
			name: "a tombstone is not superfluous where another never had the value", root: 1, values: map[string]string{"b": "b"},
			jar:   []*core.Fragment{fragment(1, created, gone("a", created+20, 3, created+20)), fragment(1, created, b)},
			fates: fates{core.Accepted, core.Accepted},
		},
		{
			name: "a pop beside a newer value", root: 1, values: map[string]string{"a": "2"},
			jar:   []*core.Fragment{fragment(1, created, popped), fragment(1, created, a2)},
			fates: fates{core.Covered, core.Accepted},
		},
		{
			name: "a pop of the value", root: 1,
			jar:   []*core.Fragment{fragment(1, created, popped), base},
			fates: fates{core.Accepted, core.Covered},
		},
		{
			name: "a clear beside an older write", root: 1, values: map[string]string{"c": "c"},
			jar:   []*core.Fragment{floor(fragment(1, created), created+20, 1), base, fragment(1, created, a1, c)},
			fates: fates{core.Accepted, core.Covered, core.Accepted},
		},
	} {
		t.Run(c.name, c.run)
	}
}

// A browser can hold one cookie twice, for two paths or domains; only the
// last-seen times can differ, and the later counts.
func TestMergeOfOneCookieTwice(t *testing.T) {
	base := fragment(1, created, set("a", created+10, 1, 'a'))
	permutations([]*core.Fragment{base, base.Touched(later + 7), base}, func(jar []*core.Fragment) {
		v := core.Merge(jar, 0, later, 0)
		require.Equal(t, core.Present, v.Verdict)
		require.Equal(t, later+7, v.Seen)
		require.Len(t, v.State.Entries, 1)
		require.Equal(t, 1, v.Count(core.Accepted), "one of them covers the others")
		require.Equal(t, 2, v.Count(core.Covered))
	})
}

func TestMergeOfGenerations(t *testing.T) {
	old := fragment(1, created, set("a", created, 1, 'o'))
	young := fragment(2, created+10, set("a", created+10, 1, 'y'))
	stray := orphan(fragment(3, created+20, set("a", created+20, 1, 's')))
	stray2 := orphan(fragment(4, created+30, set("a", created+30, 1, 't')))
	farewell := kind(fragment(5, created+15), core.Logout)
	again := fragment(6, created+20, set("a", created+20, 1, 'l'))
	yes := map[string]string{"a": "y"}
	for _, c := range []mergeCase{
		{name: "the last born wins", jar: []*core.Fragment{old, young}, root: 2, values: yes, fates: fates{core.Dead, core.Accepted}},
		{
			name: "born at once: the write id", root: 7, values: map[string]string{"z": "z"},
			jar:   []*core.Fragment{young, fragment(7, created+10, set("z", created+10, 7, 'z'))},
			fates: fates{core.Dead, core.Accepted},
		},
		{name: "an orphan displaces none", jar: []*core.Fragment{young, stray}, root: 2, values: yes, fates: fates{core.Accepted, core.Dead}},
		{name: "of two orphans the first", jar: []*core.Fragment{stray2, stray}, root: 3, values: map[string]string{"a": "s"}, fates: fates{core.Dead, core.Accepted}},
		{name: "two orphans and a session", jar: []*core.Fragment{stray2, stray, old}, root: 1, values: map[string]string{"a": "o"}, fates: fates{core.Dead, core.Dead, core.Accepted}},
		{name: "an orphan alone", jar: []*core.Fragment{stray}, root: 3, values: map[string]string{"a": "s"}, fates: fates{core.Accepted}},
		{name: "a logout", jar: []*core.Fragment{farewell}, verdict: core.LoggedOut, fates: fates{core.Accepted}},
		{name: "a logout beats what it ended", jar: []*core.Fragment{young, old, farewell}, verdict: core.LoggedOut, fates: fates{core.Dead, core.Dead, core.Accepted}},
		{name: "an orphan beside a logout", jar: []*core.Fragment{farewell, stray}, verdict: core.LoggedOut, fates: fates{core.Accepted, core.Dead}},
		{name: "a login after a logout", jar: []*core.Fragment{farewell, young, again}, root: 6, values: map[string]string{"a": "l"}, fates: fates{core.Dead, core.Dead, core.Accepted}},
		{
			name: "a logout born at once with a session", verdict: core.LoggedOut,
			jar:   []*core.Fragment{farewell, with(fragment(9, created), func(f *core.Fragment) { f.Born = farewell.Born })},
			fates: fates{core.Accepted, core.Dead},
		},
		{
			name: "only the loser is torn", root: 2, values: yes,
			jar:   []*core.Fragment{delta(old, set("gone", created, 1, 'g')), young},
			fates: fates{core.Dead, core.Accepted},
		},
	} {
		t.Run(c.name, c.run)
	}
}

func TestMergeOfWhatHasEnded(t *testing.T) {
	const idle = 7_200_000
	f := fragment(1, created, set("a", created, 1, 'o'))
	young := fragment(2, created+10, set("a", created+10, 1, 'y'))
	mark := seenAt(kind(f, core.SeenMark), later+500)
	farewell := kind(fragment(5, created+15), core.Logout)
	value := map[string]string{"a": "o"}
	for _, c := range []mergeCase{
		{name: "a millisecond before the end", now: end - 1, jar: []*core.Fragment{f}, root: 1, values: value, fates: fates{core.Accepted}},
		{name: "at its end", now: end, jar: []*core.Fragment{f}, verdict: core.ExpiredEnd, fates: fates{core.Ended}},
		{name: "a millisecond before it is idle", now: later + idle - 1, idle: idle, jar: []*core.Fragment{f}, root: 1, values: value, fates: fates{core.Accepted}},
		{name: "idle", now: later + idle, idle: idle, jar: []*core.Fragment{f}, verdict: core.ExpiredIdle, fates: fates{core.Idle}},
		{name: "no idle limit", now: later + idle, jar: []*core.Fragment{f}, root: 1, values: value, fates: fates{core.Accepted}},
		{
			name: "an idle limit of its own", now: later + 1000, idle: idle, verdict: core.ExpiredIdle,
			jar: []*core.Fragment{with(f, func(f *core.Fragment) { f.Idle = 1000 })}, fates: fates{core.Idle},
		},
		{
			name: "its idle clock was seen later", now: later + idle, idle: idle, root: 1, values: value,
			jar: []*core.Fragment{f, mark}, fates: fates{core.Accepted, core.Accepted},
		},
		{
			name: "its record was seen later, which no cookie knows", now: later + idle, idle: idle, verdict: core.ExpiredIdle,
			jar: []*core.Fragment{f, recorded(seenAt(f, later+500))}, fates: fates{core.Idle, core.Idle},
		},
		{
			name: "there is only a record", now: later + idle, idle: idle, root: 1, values: value,
			jar: []*core.Fragment{recorded(seenAt(f, later+500))}, fates: fates{core.Accepted},
		},
		{name: "an idle clock alone", jar: []*core.Fragment{mark}, verdict: core.Incomplete, fates: fates{core.Accepted}},
		{
			name: "what a later one replaced does not come back when that ends", now: later, verdict: core.ExpiredEnd,
			jar: []*core.Fragment{f, ends(young, later)}, fates: fates{core.Dead, core.Ended},
		},
		{
			name: "nor when that is idle", now: later + idle, idle: idle, verdict: core.ExpiredIdle,
			jar: []*core.Fragment{seenAt(f, later+10), young}, fates: fates{core.Dead, core.Idle},
		},
		{
			name: "an older one that has ended harms nobody", root: 2, values: map[string]string{"a": "y"},
			jar: []*core.Fragment{ends(f, later), young}, fates: fates{core.Ended, core.Accepted},
		},
		{
			name: "an orphan that has ended harms nobody", root: 1, values: value,
			jar: []*core.Fragment{f, ends(orphan(young), later)}, fates: fates{core.Accepted, core.Ended},
		},
		{
			name: "a logout does not idle", now: later + idle, idle: idle, verdict: core.LoggedOut,
			jar: []*core.Fragment{seenAt(f, later+10), farewell}, fates: fates{core.Dead, core.Accepted},
		},
		{
			name: "a logout that has ended still ends what is older", verdict: core.ExpiredEnd,
			jar: []*core.Fragment{f, ends(farewell, later)}, fates: fates{core.Dead, core.Ended},
		},
	} {
		t.Run(c.name, c.run)
	}
}

func TestMergeOfDeltas(t *testing.T) {
	a, b, c := set("a", created+10, 1, 'a'), set("b", created+20, 2, 'b'), set("c", created+30, 3, 'c')
	a2 := set("a", created+25, 2, 'A')
	noA := gone("a", created+25, 2, created+25)
	popA := gone("a", created+10, 1, created+26)
	base := fragment(1, created, a)
	onA := delta(fragment(1, created, b), a)
	onAB := delta(fragment(1, created, c), a, b)
	whole := fragment(1, created, a, b, c)
	for _, c := range []mergeCase{
		{name: "on its base", root: 1, values: map[string]string{"a": "a", "b": "b"}, jar: []*core.Fragment{base, onA}, fates: fates{core.Accepted, core.Accepted}},
		{name: "without its base", verdict: core.Incomplete, jar: []*core.Fragment{onA}, fates: fates{core.Torn}},
		{name: "a chain", root: 1, values: map[string]string{"a": "a", "b": "b", "c": "c"}, jar: []*core.Fragment{base, onA, onAB}, fates: fates{core.Accepted, core.Accepted, core.Accepted}},
		{name: "a chain without its middle", root: 1, values: map[string]string{"a": "a"}, jar: []*core.Fragment{base, onAB}, fates: fates{core.Accepted, core.Torn}},
		{name: "a chain without its base", verdict: core.Incomplete, jar: []*core.Fragment{onA, onAB}, fates: fates{core.Torn, core.Torn}},
		{
			name: "torn, what builds on it is torn as well", root: 1, values: map[string]string{"x": "x"},
			jar:   []*core.Fragment{fragment(1, created, set("x", created, 1, 'x')), onA, onAB},
			fates: fates{core.Accepted, core.Torn, core.Torn},
		},
		{name: "a newer value stands in", root: 1, values: map[string]string{"a": "A", "b": "b"}, jar: []*core.Fragment{fragment(1, created, a2), onA}, fates: fates{core.Accepted, core.Accepted}},
		{name: "an older value does not", root: 1, values: map[string]string{"a": "0"}, jar: []*core.Fragment{fragment(1, created, set("a", created+9, 1, '0')), onA}, fates: fates{core.Accepted, core.Torn}},
		{name: "a newer tombstone stands in", root: 1, values: map[string]string{"b": "b"}, jar: []*core.Fragment{fragment(1, created, noA), onA}, fates: fates{core.Accepted, core.Accepted}},
		{name: "a tombstone is needed and there", root: 1, values: map[string]string{"b": "b"}, jar: []*core.Fragment{fragment(1, created, noA), delta(fragment(1, created, b), noA)}, fates: fates{core.Accepted, core.Accepted}},
		{name: "a tombstone is needed and is not", root: 1, values: map[string]string{"a": "a"}, jar: []*core.Fragment{base, delta(fragment(1, created, b), noA)}, fates: fates{core.Accepted, core.Torn}},
		{name: "a pop is needed and is not", root: 1, values: map[string]string{"a": "a"}, jar: []*core.Fragment{base, delta(fragment(1, created, b), popA)}, fates: fates{core.Accepted, core.Torn}},
		{
			name: "a tombstone is needed that nobody shows", root: 1,
			jar:   []*core.Fragment{fragment(1, created), delta(fragment(1, created, b), noA)},
			fates: fates{core.Accepted, core.Torn},
		},
		{
			name: "a tombstone is needed above the horizon", root: 1,
			jar:   []*core.Fragment{horizon(fragment(1, created), created+24), delta(fragment(1, created, set("b", created+40, 2, 'b')), noA)},
			fates: fates{core.Accepted, core.Torn},
		},
		{
			name: "a tombstone is needed and was collected", root: 1, values: map[string]string{"b": "b"},
			jar:   []*core.Fragment{horizon(fragment(1, created), created+25), delta(fragment(1, created, set("b", created+40, 2, 'b')), noA)},
			fates: fates{core.Accepted, core.Accepted},
		},
		{
			name: "a tombstone is needed and was collected, beside an older one that nobody has expired yet", root: 1, values: map[string]string{"b": "b"},
			jar: []*core.Fragment{
				horizon(fragment(1, created), created+25), fragment(1, created, gone("a", created+24, 1, created+24)),
				delta(fragment(1, created, set("b", created+40, 2, 'b')), noA),
			},
			fates: fates{core.Accepted, core.Covered, core.Accepted},
		},
		{
			name: "a value is needed and was collected with its tombstone", root: 1,
			jar:   []*core.Fragment{horizon(fragment(1, created), created+25), delta(fragment(1, created, set("b", created+40, 2, 'b')), a)},
			fates: fates{core.Accepted, core.Torn},
		},
		{
			name: "what it needs was cleared", root: 1, values: map[string]string{"c": "c"},
			jar:   []*core.Fragment{floor(fragment(1, created), created+25, 1), onAB},
			fates: fates{core.Accepted, core.Accepted},
		},
		{
			name: "it saw a horizon that nobody shows", root: 1, values: map[string]string{"a": "a"},
			jar:   []*core.Fragment{base, horizon(onA, created+5)},
			fates: fates{core.Accepted, core.Torn},
		},
		{
			name: "it saw a horizon that is there", root: 1, values: map[string]string{"a": "a", "b": "b"},
			jar:   []*core.Fragment{horizon(base, created+5), horizon(onA, created+5)},
			fates: fates{core.Accepted, core.Accepted},
		},
		{
			name: "a snapshot holds all of it", root: 1, values: map[string]string{"a": "a", "b": "b", "c": "c"},
			jar:   []*core.Fragment{base, onA, onAB, whole},
			fates: fates{core.Covered, core.Covered, core.Covered, core.Accepted},
		},
	} {
		t.Run(c.name, c.run)
	}
}

func TestMergeBelowAHorizon(t *testing.T) {
	a, b := set("a", created+10, 1, 'a'), set("b", created+50, 2, 'b')
	high := horizon(fragment(1, created, b), created+30) // a was deleted and collected
	for _, c := range []mergeCase{
		{name: "an old copy of what was deleted", root: 1, values: map[string]string{"b": "b"}, jar: []*core.Fragment{high, fragment(1, created, a)}, fates: fates{core.Accepted, core.Late}},
		{
			name: "it is thrown out whole", root: 1, values: map[string]string{"b": "b"},
			jar:   []*core.Fragment{high, fragment(1, created, a, set("z", created+60, 3, 'z'))},
			fates: fates{core.Accepted, core.Late},
		},
		{
			name: "what is above the horizon counts", root: 1, values: map[string]string{"b": "b", "z": "z"},
			jar:   []*core.Fragment{high, fragment(1, created, set("z", created+31, 3, 'z'))},
			fates: fates{core.Accepted, core.Accepted},
		},
		{
			name: "a newer value than the horizon's holder knows", root: 1, values: map[string]string{"b": "b", "a": "o"},
			jar:   []*core.Fragment{horizon(fragment(1, created, set("a", created+5, 1, 'o'), b), created+30), fragment(1, created, a)},
			fates: fates{core.Accepted, core.Late},
		},
		{
			name: "the tombstone itself is no contradiction", root: 1, values: map[string]string{"b": "b"},
			jar:   []*core.Fragment{high, fragment(1, created, gone("a", created+20, 1, created+20), b)},
			fates: fates{core.Accepted, core.Covered},
		},
		{
			name: "the higher horizon judges the lower", root: 1, values: map[string]string{"b": "b"},
			jar:   []*core.Fragment{high, horizon(fragment(1, created, a), created+20)},
			fates: fates{core.Accepted, core.Late},
		},
		{
			name: "what builds on what is late is torn", root: 1, values: map[string]string{"b": "b"},
			jar:   []*core.Fragment{high, fragment(1, created, a), delta(fragment(1, created, set("z", created+60, 3, 'z')), a)},
			fates: fates{core.Accepted, core.Late, core.Torn},
		},
		{
			name: "cleared values are not late", root: 1, values: map[string]string{"b": "b"},
			jar:   []*core.Fragment{floor(high, created+40, 1), fragment(1, created, a)},
			fates: fates{core.Accepted, core.Covered},
		},
	} {
		t.Run(c.name, c.run)
	}
}
