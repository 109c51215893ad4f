package core_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/carryon-go/carryon/internal/core"
)

// backend loads a view, or fails to.
type backend struct {
	view  *core.View
	err   error
	loads int
	late  []string

	panics string // in which method
}

func (b *backend) Load(context.Context) (*core.View, error) {
	if b.panics == "load" {
		panic("a store's")
	}
	b.loads++
	return b.view, b.err
}

func (b *backend) Save(context.Context, core.Outcome) (*core.View, error) { return nil, nil }
func (b *backend) LateRead() {
	if b.panics == "late" {
		panic("an Observer's")
	}
	b.late = append(b.late, "read")
}
func (b *backend) LateChange(what string) { b.late = append(b.late, what) }

// jarOf is the view of a browser that holds these fragments.
func jarOf(jar ...*core.Fragment) *core.View {
	v := core.Merge(jar, 0, later, 0)
	return &v
}

// handle is a request with this view, in which do is the handler.
func handle(t testing.TB, v *core.View, do func(c *core.Core)) core.Outcome {
	c := &core.Core{}
	c.Init(&backend{view: v})
	do(c)
	var out core.Outcome
	require.NoError(t, c.Commit(func(o core.Outcome) (*core.View, error) { out = o; return nil, nil }))
	return out
}

var write = core.Write{Now: later + 1000, ID: 77, Lifetime: 3_600_000}

// next is the jar after a response that wrote a snapshot in place of it.
func next(t testing.TB, v *core.View, do func(c *core.Core)) *core.View {
	o := handle(t, v, do)
	require.NoError(t, o.Err)
	if !o.Writes {
		return v
	}
	sealed := o.View.Snapshot(o.Changes, write)
	opened, err := core.Decode(sealed.AppendPlaintext(nil))
	require.NoError(t, err)
	opened.Suffix = sealed.Suffix
	w := core.Merge([]*core.Fragment{opened}, 0, write.Now, 0)
	return &w
}

// values is what a view's session holds.
func values(v *core.View) map[string]string {
	m := map[string]string{}
	for _, e := range v.State.Entries {
		if !e.Dead() {
			m[e.Name] = string(e.Value)
		}
	}
	return m
}

func TestOutcomeOfOperations(t *testing.T) {
	a, b := set("a", created+10, 1, 'a'), set("b", created+20, 2, 'b')
	held := jarOf(fragment(1, created, a, b))
	op := func(name, value string) core.Op { return core.Op{Name: name, Value: []byte(value)} }
	for name, c := range map[string]struct {
		do     func(c *core.Core)
		ops    []core.Op
		writes bool
	}{
		"a read":                      {do: func(c *core.Core) { c.Get("a") }},
		"a set":                       {do: func(c *core.Core) { c.Set("z", []byte("1")); c.Set("c", []byte("2")) }, ops: []core.Op{op("c", "2"), op("z", "1")}, writes: true},
		"the last set":                {do: func(c *core.Core) { c.Set("a", []byte("1")); c.Set("a", []byte("2")) }, ops: []core.Op{op("a", "2")}, writes: true},
		"equal bytes":                 {do: func(c *core.Core) { c.Set("a", []byte("a")) }},
		"back to what it was":         {do: func(c *core.Core) { c.Set("a", []byte("1")); c.Set("a", []byte("a")) }},
		"a delete":                    {do: func(c *core.Core) { c.Delete("a") }, ops: []core.Op{{Name: "a"}}, writes: true},
		"a delete of nothing":         {do: func(c *core.Core) { c.Delete("x") }},
		"a delete of one's own":       {do: func(c *core.Core) { c.Set("x", []byte("1")); c.Delete("x") }},
		"a pop":                       {do: func(c *core.Core) { c.Pop("a") }, ops: []core.Op{{Name: "a", Taken: a.Stamp}}, writes: true},
		"a pop of what was set anew":  {do: func(c *core.Core) { c.Set("a", []byte("1")); c.Pop("a") }, ops: []core.Op{{Name: "a", Taken: a.Stamp}}, writes: true},
		"a pop twice":                 {do: func(c *core.Core) { c.Pop("a"); c.Pop("a") }, ops: []core.Op{{Name: "a", Taken: a.Stamp}}, writes: true},
		"a swap":                      {do: func(c *core.Core) { c.Swap("a", []byte("a"), []byte("1")) }, ops: []core.Op{op("a", "1")}, writes: true},
		"a swap that comes too late":  {do: func(c *core.Core) { c.Swap("a", []byte("?"), []byte("1")) }},
		"a swap of what is not there": {do: func(c *core.Core) { c.Swap("x", nil, []byte("1")) }, ops: []core.Op{op("x", "1")}, writes: true},
		"a clear":                     {do: func(c *core.Core) { c.Set("x", []byte("1")); c.Clear() }, writes: true},
		"a set after a clear":         {do: func(c *core.Core) { c.Clear(); c.Set("a", []byte("a")) }, ops: []core.Op{op("a", "a")}, writes: true},
		"a renewal":                   {do: (*core.Core).Renew, writes: true},
		"a destruction":               {do: func(c *core.Core) { c.Set("x", []byte("1")); c.Destroy() }},
		"a set after a destruction":   {do: func(c *core.Core) { c.Destroy(); c.Set("x", []byte("1")) }, ops: []core.Op{op("x", "1")}, writes: true},
	} {
		t.Run(name, func(t *testing.T) {
			o := handle(t, held, c.do)
			require.NoError(t, o.Err)
			require.True(t, o.Touched)
			require.Equal(t, c.writes, o.Writes)
			require.Equal(t, c.ops, slices.Clip(append([]core.Op(nil), o.Changes.Ops...)))
		})
	}
}

func TestOutcomeOfNothing(t *testing.T) {
	b := &backend{}
	c := &core.Core{}
	c.Init(b)
	require.NoError(t, c.Commit(func(o core.Outcome) (*core.View, error) {
		require.Equal(t, core.Outcome{}, o)
		return nil, nil
	}))
	require.Zero(t, b.loads)
}

func TestOutcomeOfAFailedLoad(t *testing.T) {
	down := errors.New("down")
	b := &backend{err: down}
	c := &core.Core{}
	c.Init(b)
	c.Set("a", []byte("1"))
	c.Destroy()
	//lint:ignore SA1012 nil means the request's context
	require.ErrorIs(t, c.Load(nil), down)
	require.NoError(t, c.Commit(func(o core.Outcome) (*core.View, error) {
		require.ErrorIs(t, o.Err, down)
		require.False(t, o.Writes)
		require.Equal(t, core.Changes{}, *o.Changes)
		return nil, nil
	}))
}

// A handler that recovers from a panic in the load has a failed load, not an absent
// session, and no second one.
func TestALoadThatPanics(t *testing.T) {
	for name, b := range map[string]*backend{"load": {panics: "load"}, "late read": {panics: "late"}} {
		t.Run(name, func(t *testing.T) {
			c := &core.Core{}
			c.Init(b)
			if b.panics == "late" {
				_, ok := c.Pass()
				require.True(t, ok)
			}
			require.Panics(t, func() { c.Get("a") })
			require.Nil(t, c.Get("a"))
			c.Set("a", []byte("1"))
			require.ErrorContains(t, c.Err(), "panicked")
			require.ErrorContains(t, c.Load(t.Context()), "panicked")
			require.NoError(t, c.Commit(func(o core.Outcome) (*core.View, error) {
				require.ErrorContains(t, o.Err, "panicked")
				require.False(t, o.Writes)
				return nil, nil
			}))
		})
	}
}

func TestCommitEndsTheChanges(t *testing.T) {
	b := &backend{view: jarOf(fragment(1, created, set("a", created+10, 1, 'a')))}
	c := &core.Core{}
	c.Init(b)
	require.NoError(t, c.Commit(func(core.Outcome) (*core.View, error) { return nil, nil }))
	c.Set("a", []byte("1"))
	c.Delete("a")
	c.Renew()
	require.Equal(t, []string{"read", "Set", "Delete", "Renew"}, b.late)
	require.ErrorIs(t, c.LateErr(), core.ErrLate)
	require.Equal(t, []byte("a"), c.Get("a"))
	failed := errors.New("failed")
	require.ErrorIs(t, c.Commit(func(core.Outcome) (*core.View, error) { return nil, failed }), failed)
}

func TestSnapshotOfANewSession(t *testing.T) {
	o := handle(t, jarOf(), func(c *core.Core) { c.Set("b", []byte("2")); c.Set("a", []byte("1")) })
	f := o.View.Snapshot(o.Changes, write)
	stamp := core.Stamp{At: write.Now, ID: write.ID}
	require.True(t, f.Snapshot())
	require.True(t, f.Orphan, "begun by a request that carried none of ours")
	require.Equal(t, stamp, f.Born)
	require.Equal(t, write.Now, f.Created)
	require.Equal(t, write.Now+write.Lifetime, f.End)
	require.Equal(t, write.Now, f.Seen)
	require.Equal(t, []core.Entry{{Name: "a", Stamp: stamp, Value: []byte("1")}, {Name: "b", Stamp: stamp, Value: []byte("2")}}, f.Entries)
	f.Name()
	require.True(t, core.IsSuffix(f.Suffix))
}

func TestSnapshotKeepsItsSession(t *testing.T) {
	head := with(fragment(1, created, set("a", created+10, 1, 'a')), func(f *core.Fragment) {
		f.Orphan, f.Browser, f.Subject, f.Bound, f.Idle = true, true, []byte("42"), created+1, 9000
	})
	v := next(t, jarOf(head), func(c *core.Core) { c.Set("b", []byte("2")) })
	require.Equal(t, map[string]string{"a": "a", "b": "2"}, values(v))
	got := *v.Head
	require.Equal(t, head.Root, got.Root)
	require.Equal(t, head.Born, got.Born)
	require.Equal(t, head.End, got.End)
	require.Equal(t, head.Subject, got.Subject)
	require.Equal(t, head.Idle, got.Idle)
	require.True(t, got.Orphan && got.Browser)
	require.Equal(t, write.Now, got.Seen)
}

// What a request writes is above all that it saw, whatever its clock says.
func TestStampsAreAboveAllThatWasSeen(t *testing.T) {
	ahead := write.Now + 5_000
	v := next(t, jarOf(fragment(1, created, set("a", ahead, 1, 'a'))), func(c *core.Core) { c.Set("a", []byte("b")) })
	e, ok := v.State.Find("a")
	require.True(t, ok)
	require.Equal(t, core.Stamp{At: ahead + 1, ID: write.ID}, e.Stamp)

	dead := jarOf(fragment(2, created+50, set("a", created, 1, 'a')), fragment(1, created, set("a", ahead, 1, 'x')))
	v = next(t, dead, func(c *core.Core) { c.Set("a", []byte("b")) })
	e, _ = v.State.Find("a")
	require.Equal(t, ahead+1, e.Stamp.At, "the dead count, too")
}

func TestRenewBeginsAGeneration(t *testing.T) {
	head := fragment(1, created, gone("dead", created+5, 1, created+6), set("a", created+10, 1, 'a'))
	v := next(t, jarOf(floor(head, created+2, 1)), (*core.Core).Renew)
	require.NotEqual(t, head.Root, v.Head.Root)
	require.Equal(t, core.FamilyOf(head), v.Head.Family)
	require.Equal(t, core.FamilyOf(head), core.FamilyOf(v.Head))
	require.Equal(t, head.Created, v.Head.Created)
	require.Equal(t, head.End, v.Head.End)
	require.False(t, v.Head.Orphan)
	require.Positive(t, v.Head.Born.Compare(head.Born))
	require.Equal(t, map[string]string{"a": "a"}, values(v))
	require.Len(t, v.State.Entries, 1, "no tombstone comes along")
	require.True(t, v.State.Floor.IsZero())

	again := next(t, v, (*core.Core).Renew)
	require.Equal(t, v.Head.Family, again.Head.Family, "the family stays that of the first")
}

// Renew, then Set, is what every login does: the Set has to win over the value
// that Renew carried along, whichever bytes are the greater.
func TestRenewKeepsWhatIsSetBesideIt(t *testing.T) {
	for name, do := range map[string]func(c *core.Core){
		"Renew, Set": func(c *core.Core) { c.Renew(); c.Set("user", []byte("a")) },
		"Set, Renew": func(c *core.Core) { c.Set("user", []byte("a")); c.Renew() },
	} {
		v := next(t, jarOf(fragment(1, created, set("user", created+10, 1, 'z'))), do)
		require.Equal(t, map[string]string{"user": "a"}, values(v), name)
	}
}

func TestRenewDropsWhatIsDeletedBesideIt(t *testing.T) {
	for name, do := range map[string]func(c *core.Core){
		"Delete": func(c *core.Core) { c.Renew(); c.Delete("a") },
		"Pop":    func(c *core.Core) { c.Pop("a"); c.Renew() },
		"Clear":  func(c *core.Core) { c.Renew(); c.Clear(); c.Set("b", []byte("b")) },
	} {
		v := next(t, jarOf(fragment(1, created, set("a", created+10, 1, 'a'), set("b", created+10, 1, 'b'))), do)
		require.Equal(t, map[string]string{"b": "b"}, values(v), name)
	}
}

// A name that is not UTF-8 would be sealed and then refused by Decode, and the
// whole session with it.
func TestNamesOfEntriesAreText(t *testing.T) {
	o := handle(t, jarOf(), func(c *core.Core) { c.Set("a\xff", []byte("1")); c.Set("b", []byte("1")) })
	require.Error(t, o.Err)
}

// A cross-site form that reaches a logout page brings no cookies; what that page
// sets must not displace the visitor's session.
func TestDestroyOfNothingBeginsAnOrphan(t *testing.T) {
	o := handle(t, jarOf(), func(c *core.Core) { c.Destroy(); c.Set("flash", []byte("1")) })
	require.True(t, o.View.Snapshot(o.Changes, write).Orphan)
}

func TestClearLeavesAFloor(t *testing.T) {
	head := fragment(1, created, set("a", created+10, 1, 'a'), gone("d", created+10, 1, created+10))
	v := next(t, jarOf(head), func(c *core.Core) { c.Clear(); c.Set("b", []byte("b")) })
	stamp := core.Stamp{At: write.Now, ID: write.ID}
	require.Equal(t, stamp, v.State.Floor)
	require.Equal(t, []core.Entry{{Name: "b", Stamp: stamp, Value: []byte("b")}}, v.State.Entries)
	require.Equal(t, head.Root, v.Head.Root)

	late := core.Merge([]*core.Fragment{head, v.Fragments[0]}, 0, later, 0)
	require.Equal(t, map[string]string{"b": "b"}, values(&late), "what lands later stays cleared")
}

func TestPopSurvivesASetBesideIt(t *testing.T) {
	head := fragment(1, created, set("flash", created+10, 1, 'a'))
	popped := handle(t, jarOf(head), func(c *core.Core) { require.Equal(t, []byte("a"), c.Pop("flash")) })
	other := handle(t, jarOf(head), func(c *core.Core) { c.Set("flash", []byte("n")) })
	first := other.View.Snapshot(other.Changes, core.Write{Now: later + 1, ID: 1})
	second := popped.View.Snapshot(popped.Changes, write) // later, and still
	v := core.Merge([]*core.Fragment{first, second, head}, 0, write.Now, 0)
	require.Equal(t, map[string]string{"flash": "n"}, values(&v))
}

// After a conflict the changes are put on top of what another has written to the
// record meanwhile: a Pop takes what it saw, not what was set since.
func TestPopIsReplayedOnANewerState(t *testing.T) {
	head := fragment(1, created, set("b", created+10, 1, 'b'), set("flash", created+10, 1, 'a'))
	o := handle(t, jarOf(head), func(c *core.Core) { c.Pop("flash") })
	for name, test := range map[string]struct {
		now  *core.View
		want map[string]string
	}{
		"as it was":     {jarOf(head), map[string]string{"b": "b"}},
		"set anew":      {jarOf(fragment(1, created, set("b", created+10, 1, 'b'), set("flash", created+20, 2, 'n'))), map[string]string{"flash": "n", "b": "b"}},
		"taken already": {jarOf(fragment(1, created, set("b", created+10, 1, 'b'))), map[string]string{"b": "b"}},
	} {
		v := core.Merge([]*core.Fragment{test.now.Snapshot(o.Changes, write)}, 0, write.Now, 0)
		require.Equal(t, test.want, values(&v), name)
	}
}

// Tombstones stay while anything in flight could bring the value back, and not
// for ever.
func TestTombstonesAreCollected(t *testing.T) {
	head := fragment(1, created, set("a", created+10, 1, 'a'), gone("d", created+20, 1, created+30))
	collect := func(age int64, unopened int) *core.Fragment {
		v := core.Merge([]*core.Fragment{head}, unopened, created+30+age, 0)
		o := handle(t, &v, func(c *core.Core) { c.Set("b", []byte("b")) })
		return v.Snapshot(o.Changes, core.Write{Now: created + 30 + age, ID: 5})
	}
	young := collect(core.Settled-1, 0)
	require.Len(t, young.Entries, 3)
	require.Zero(t, young.Horizon)

	old := collect(core.Settled+core.Window, 0)
	require.Len(t, old.Entries, 2)
	require.Equal(t, created+20, old.Horizon, "the horizon keeps it dead")
	v := core.Merge([]*core.Fragment{old, fragment(1, created, set("d", created+20, 1, 'd'))}, 0, old.Seen, 0)
	require.Equal(t, map[string]string{"a": "a", "b": "b"}, values(&v))

	require.Len(t, collect(core.Settled+core.Window, 1).Entries, 3, "what is closed to us may need it")
}

// A deletion that the store knows from a response which got lost is news to a
// browser whose cookies show the entry: whoever writes beside finds it in the row.
func TestARecordTellsOfADeletionForAsLongAsOfANewOne(t *testing.T) {
	const deleted = int64(1_700_000_000_000)
	root, born := core.Root{1}, core.Stamp{At: deleted - 5000, ID: 1}
	a := core.Entry{Name: "a", Stamp: born, Value: []byte("a")}
	dead := core.Entry{Name: "a", Stamp: core.Stamp{At: deleted, ID: 2}, Gone: deleted}
	older := core.Entry{Name: "b", Stamp: core.Stamp{At: deleted, ID: 2}, Gone: deleted}
	fragment := func(stored bool, entries ...core.Entry) *core.Fragment {
		f := &core.Fragment{Kind: core.Data, Root: root, Born: born, Created: born.At, End: deleted + 9*core.Settled, Stored: stored, Entries: entries}
		f.Name()
		return f
	}
	write := func(now int64, id uint32, fragments ...*core.Fragment) (*core.View, *core.Fragment) {
		v := core.Merge(fragments, 0, now, 0)
		c := core.Changes{Ops: []core.Op{{Name: "c", Value: []byte{byte(id)}}}}
		f := v.Snapshot(&c, core.Write{Now: now, ID: id})
		f.Stored = true
		return &v, f
	}
	now := deleted + 3*core.Settled
	cookies := core.Merge([]*core.Fragment{fragment(false, a)}, 0, now, 0)

	_, row := write(now, 3, fragment(false, a), fragment(true, dead, older))
	require.Len(t, row.Entries, 2)
	require.Equal(t, core.Entry{Name: "a", Stamp: dead.Stamp, Gone: now}, row.Entries[0], "and the one nobody shows is collected")

	beside, row := write(now+1000, 4, fragment(false, a), row)
	require.True(t, beside.Continues(&cookies), "another request with the same cookies")
	_, row = write(now+core.Settled-1, 5, row)
	require.Len(t, row.Entries, 2, "a request with those cookies can still be under way")
	beside, _ = write(now+core.Settled-1, 6, fragment(false, a), row)
	require.True(t, beside.Continues(&cookies))
	_, row = write(now+core.Settled+2*core.Window, 7, row)
	require.Len(t, row.Entries, 1)
}

func TestDeltaBuildsOnWhatItSaw(t *testing.T) {
	a, d := set("a", created+10, 1, 'a'), gone("d", created+20, 1, created+20)
	head := horizon(fragment(1, created, a, set("b", created+15, 1, 'b'), d), created+2)
	v := jarOf(head)
	o := handle(t, v, func(c *core.Core) { c.Set("b", []byte("2")); c.Delete("a"); c.Set("c", []byte("c")) })
	f := v.Delta(o.Changes, write)
	stamp := core.Stamp{At: write.Now, ID: write.ID}
	require.Equal(t, []core.Entry{
		{Name: "a", Stamp: stamp, Gone: write.Now}, {Name: "b", Stamp: stamp, Value: []byte("2")}, {Name: "c", Stamp: stamp, Value: []byte("c")},
	}, f.Entries)
	require.Equal(t, []core.Need{{Name: "d", Stamp: d.Stamp, Gone: true}}, f.Needs)
	require.Equal(t, head.Horizon, f.Horizon)

	both := core.Merge([]*core.Fragment{head, f}, 0, write.Now, 0)
	whole := next(t, v, func(c *core.Core) { c.Set("b", []byte("2")); c.Delete("a"); c.Set("c", []byte("c")) })
	require.Equal(t, values(whole), values(&both), "a delta on its base says what the snapshot says")
	alone := core.Merge([]*core.Fragment{f}, 0, write.Now, 0)
	require.Equal(t, core.Incomplete, alone.Verdict)
}

func TestFarewellBeatsWhatLandsLater(t *testing.T) {
	head := fragment(1, created, set("a", created+10, 1, 'a'))
	v := jarOf(head)
	slow := handle(t, v, func(c *core.Core) { c.Set("a", []byte("1")) })
	farewell := v.Farewell(core.NewRoot(), write)
	require.GreaterOrEqual(t, farewell.End, head.End)
	landed := core.Merge([]*core.Fragment{farewell, slow.View.Snapshot(slow.Changes, write), head}, 0, write.Now, 0)
	require.Equal(t, core.LoggedOut, landed.Verdict)

	login := handle(t, &landed, func(c *core.Core) { c.Set("a", []byte("new")) })
	after := core.Merge([]*core.Fragment{farewell, login.View.Snapshot(login.Changes, write)}, 0, write.Now, 0)
	require.Equal(t, map[string]string{"a": "new"}, values(&after))
}

func TestReseenIsTheIdleClockOfItsSession(t *testing.T) {
	head := fragment(1, created, set("a", created+10, 1, 'a'))
	v := jarOf(head)
	mark := v.Reseen(later + 9)
	require.Equal(t, core.SeenMark, mark.Kind)
	require.Empty(t, mark.Entries)
	both := core.Merge([]*core.Fragment{head, mark}, 0, later, 0)
	require.Equal(t, later+9, both.Seen)
	require.Equal(t, later+9, both.Reseen(later).Seen, "it never goes back")
	require.Equal(t, mark.Suffix, both.Reseen(later+99).Suffix)
}

// drawChanges does something random with the names a, b and c.
func drawChanges(t *rapid.T, c *core.Core) {
	for range rapid.IntRange(1, 5).Draw(t, "ops") {
		name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")
		switch rapid.IntRange(0, 6).Draw(t, "op") {
		case 0:
			c.Pop(name)
		case 1:
			c.Delete(name)
		case 2:
			if rapid.IntRange(0, 3).Draw(t, "clear") == 0 {
				c.Clear()
			}
		default:
			c.Set(name, []byte{rapid.ByteRange('0', '9').Draw(t, "value")})
		}
	}
}

// A delta beside what it builds on says what the snapshot of the same changes
// says, for one writer and for two at once.
func TestDeltasSayWhatSnapshotsSay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		base := with(fragment(1, created), func(f *core.Fragment) {
			s := states().Draw(rt, "base")
			for i := range s.Entries {
				s.Entries[i].Stamp.At += created
				if s.Entries[i].Gone != 0 {
					s.Entries[i].Gone += created
				}
			}
			f.Entries = s.Entries
		})
		var deltas, snapshots []*core.Fragment
		for id := range uint32(2) {
			v := jarOf(base)
			o := handle(t, v, func(c *core.Core) { drawChanges(rt, c) })
			if o.Writes {
				w := core.Write{Now: later + rapid.Int64Range(0, 2).Draw(rt, "now"), ID: id}
				deltas = append(deltas, v.Delta(o.Changes, w))
				snapshots = append(snapshots, v.Snapshot(o.Changes, w))
			}
		}
		byDelta := core.Merge(append(deltas, base), 0, later, 0)
		bySnapshot := core.Merge(append(snapshots, base), 0, later, 0)
		require.Equal(rt, core.Present, byDelta.Verdict)
		require.Zero(rt, byDelta.Count(core.Torn, core.Late))
		require.Equal(rt, values(&bySnapshot), values(&byDelta))
		require.Equal(rt, bySnapshot.State.Floor, byDelta.State.Floor)
	})
}
