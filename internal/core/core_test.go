package core_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/state"
)

// backend loads a view, or fails.
type backend struct {
	view  *state.View
	err   error
	loads int
	late  []string

	lifetime, longest int64    // of sessions
	clamped, odd      []string // reported to the backend
	panics            string   // the method that panics
}

func (b *backend) Load(context.Context) (*state.View, error) {
	if b.panics == "load" {
		panic("a store's")
	}
	b.loads++
	return b.view, b.err
}

func (b *backend) Save(context.Context, core.Outcome) (*state.View, error) { return nil, nil }
func (b *backend) LateRead() {
	if b.panics == "late" {
		panic("an Observer's")
	}
	b.late = append(b.late, "read")
}
func (b *backend) LateChange(what string)                    { b.late = append(b.late, what) }
func (b *backend) Lifetimes() (now, lifetime, longest int64) { return later, b.lifetime, b.longest }
func (b *backend) Clamped(what string, d time.Duration) {
	b.clamped = append(b.clamped, what+" "+d.String())
}
func (b *backend) Undecodable(name string, _ error) { b.odd = append(b.odd, name) }

const (
	created = int64(1_700_000_000_000)
	later   = created + 60_000
)

// set returns an entry of a head, written at the same time.
func set(name, value string) state.Entry {
	return state.NewEntry(name, state.Stamp{At: created, ID: 1}, []byte(value))
}

// headOf returns the head of a session with the entries, which are sorted by name.
func headOf(entries ...state.Entry) *state.Cookie {
	born := state.Stamp{At: created, ID: 1}
	return &state.Cookie{Kind: state.Head, Root: state.Root{1}, Created: created, End: created + 3_600_000,
		Born: born, Floor: born, Since: created, SeenAt: created, Entries: entries}
}

// jarOf returns the view of the cookies.
func jarOf(jar ...*state.Cookie) *state.View {
	v := state.Read(jar, nil, later, 0)
	return &v
}

// handle runs a request with the view, in which do is the handler.
func handle(t testing.TB, v *state.View, do func(c *core.Core)) core.Outcome {
	c := &core.Core{}
	c.Init(&backend{view: v})
	do(c)
	var out core.Outcome
	require.NoError(t, c.Commit(func(o core.Outcome) (*state.View, error) { out = o; return nil, nil }))
	return out
}

func TestOutcomeOfOperations(t *testing.T) {
	held := jarOf(headOf(set("a", "a"), set("b", "b")))
	op := func(name, value string) state.Op { return state.Op{Name: name, Value: []byte(value)} }
	for name, c := range map[string]struct {
		do     func(c *core.Core)
		ops    []state.Op
		writes bool
	}{
		"a read":                              {do: func(c *core.Core) { c.Get("a") }},
		"a set":                               {do: func(c *core.Core) { c.Set("z", []byte("1")); c.Set("c", []byte("2")) }, ops: []state.Op{op("c", "2"), op("z", "1")}, writes: true},
		"the last set":                        {do: func(c *core.Core) { c.Set("a", []byte("1")); c.Set("a", []byte("2")) }, ops: []state.Op{op("a", "2")}, writes: true},
		"equal bytes":                         {do: func(c *core.Core) { c.Set("a", []byte("a")) }},
		"back to what it was":                 {do: func(c *core.Core) { c.Set("a", []byte("1")); c.Set("a", []byte("a")) }},
		"a delete":                            {do: func(c *core.Core) { c.Delete("a") }, ops: []state.Op{{Name: "a"}}, writes: true},
		"a delete of nothing":                 {do: func(c *core.Core) { c.Delete("x") }},
		"a delete of one's own":               {do: func(c *core.Core) { c.Set("x", []byte("1")); c.Delete("x") }},
		"a pop":                               {do: func(c *core.Core) { c.Pop("a") }, ops: []state.Op{{Name: "a", Pop: true}}, writes: true},
		"a pop of a value that was set again": {do: func(c *core.Core) { c.Set("a", []byte("1")); c.Pop("a") }, ops: []state.Op{{Name: "a", Pop: true}}, writes: true},
		"a pop twice":                         {do: func(c *core.Core) { c.Pop("a"); c.Pop("a") }, ops: []state.Op{{Name: "a", Pop: true}}, writes: true},
		"a swap":                              {do: func(c *core.Core) { c.Swap("a", []byte("a"), []byte("1")) }, ops: []state.Op{op("a", "1")}, writes: true},
		"a swap that comes too late":          {do: func(c *core.Core) { c.Swap("a", []byte("?"), []byte("1")) }},
		"a swap of what is not there":         {do: func(c *core.Core) { c.Swap("x", nil, []byte("1")) }, ops: []state.Op{op("x", "1")}, writes: true},
		"a clear":                             {do: func(c *core.Core) { c.Set("x", []byte("1")); c.Clear() }, writes: true},
		"a set after a clear":                 {do: func(c *core.Core) { c.Clear(); c.Set("a", []byte("a")) }, ops: []state.Op{op("a", "a")}, writes: true},
		"a renewal":                           {do: (*core.Core).Renew, writes: true},
		"a destruction":                       {do: func(c *core.Core) { c.Set("x", []byte("1")); c.Destroy() }},
		"a set after a destruction":           {do: func(c *core.Core) { c.Destroy(); c.Set("x", []byte("1")) }, ops: []state.Op{op("x", "1")}, writes: true},
	} {
		t.Run(name, func(t *testing.T) {
			o := handle(t, held, c.do)
			require.NoError(t, o.Err)
			require.True(t, o.Touched)
			require.Equal(t, c.writes, o.Writes)
			require.Equal(t, c.ops, slices.Clip(append([]state.Op(nil), o.Changes.Ops...)))
		})
	}
}

func TestOutcomeOfNothing(t *testing.T) {
	b := &backend{}
	c := &core.Core{}
	c.Init(b)
	require.NoError(t, c.Commit(func(o core.Outcome) (*state.View, error) {
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
	require.NoError(t, c.Commit(func(o core.Outcome) (*state.View, error) {
		require.ErrorIs(t, o.Err, down)
		require.False(t, o.Writes)
		require.Equal(t, state.Changes{}, *o.Changes)
		return nil, nil
	}))
}

// For a handler that recovers from a panic in the load, the load has failed. The
// session is not absent, and is not loaded again.
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
			require.NoError(t, c.Commit(func(o core.Outcome) (*state.View, error) {
				require.ErrorContains(t, o.Err, "panicked")
				require.False(t, o.Writes)
				return nil, nil
			}))
		})
	}
}

func TestCommitEndsTheChanges(t *testing.T) {
	b := &backend{view: jarOf(headOf(set("a", "a")))}
	c := &core.Core{}
	c.Init(b)
	require.NoError(t, c.Commit(func(core.Outcome) (*state.View, error) { return nil, nil }))
	c.Set("a", []byte("1"))
	c.Delete("a")
	c.Renew()
	require.Equal(t, []string{"read", "Set", "Delete", "Renew"}, b.late)
	require.ErrorIs(t, c.LateErr(), core.ErrLate)
	require.Equal(t, []byte("a"), c.Get("a"))
	failed := errors.New("failed")
	require.ErrorIs(t, c.Commit(func(core.Outcome) (*state.View, error) { return nil, failed }), failed)
}

// Decode refuses a session with a name that is not UTF-8, so such a name must not be
// sealed.
func TestNamesOfEntriesAreText(t *testing.T) {
	o := handle(t, jarOf(), func(c *core.Core) { c.Set("a\xff", []byte("1")); c.Set("b", []byte("1")) })
	require.Error(t, o.Err)
}
