package core_test

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
)

var errDown = errors.New("down")

// Pass succeeds only for a session that is unused, or absent and only read.
func TestPass(t *testing.T) {
	read := func(c *core.Core) { c.Get("a") }
	for name, test := range map[string]struct {
		backend   backend
		do        func(c *core.Core)
		asked, ok bool
	}{
		"nothing was asked":      {do: func(*core.Core) {}, ok: true},
		"there is none":          {do: read, asked: true, ok: true},
		"there is none any more": {backend: backend{view: &state.View{Verdict: reason.Absent}}, do: read, asked: true},
		"there is one":           {backend: backend{view: jarOf(headOf())}, do: read, asked: true},
		"the load has failed":    {backend: backend{err: errDown}, do: read, asked: true},
		"something was set":      {do: func(c *core.Core) { c.Set("a", []byte{1}) }, asked: true},
		"it was ended":           {do: (*core.Core).Destroy, asked: true},
		"something was faulty":   {do: func(c *core.Core) { c.Fault(errDown) }, asked: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := &core.Core{}
			c.Init(&test.backend)
			test.do(c)
			asked, ok := c.Pass()
			require.Equal(t, test.asked, asked)
			require.Equal(t, test.ok, ok)
			require.Equal(t, ok, c.Passed())
			_, again := c.Pass()
			require.False(t, again && ok, "the header has gone")
		})
	}
}

// A goroutine that changes the session while the response ends comes either before or
// after it: the commit writes the change, or the change is late.
func TestPassBesideAChange(t *testing.T) {
	for name, found := range map[string]*state.View{"a first one": jarOf(headOf()), "where there is none": nil} {
		t.Run(name, func(t *testing.T) {
			for range 2000 {
				b := &backend{view: found}
				c, wg := &core.Core{}, sync.WaitGroup{}
				c.Init(b)
				if found == nil {
					c.Get("a")
				}
				wg.Go(func() { c.Set("a", []byte{1}) })
				_, ok := c.Pass()
				wg.Wait()
				require.Equal(t, ok && found != nil, slices.Contains(b.late, "read"))
				require.Equal(t, ok, slices.Contains(b.late, "Set"))
				require.Equal(t, ok, errors.Is(c.Err(), core.ErrLate), "the change was lost, or is still to be committed")
				require.Equal(t, ok, c.Get("a") == nil)
				require.Equal(t, 1, b.loads)
			}
		})
	}
}

// After a commit, changes are late.
func TestNothingPassesAfterACommit(t *testing.T) {
	for name, do := range map[string]func(c *core.Core){
		"nothing was asked": func(*core.Core) {},
		"there is none":     func(c *core.Core) { c.Get("a") },
		"something was set": func(c *core.Core) { c.Set("a", []byte{1}) },
	} {
		c := &core.Core{}
		c.Init(&backend{})
		do(c)
		require.NoError(t, c.Commit(func(core.Outcome) (*state.View, error) { return nil, nil }), name)
		_, ok := c.Pass()
		require.False(t, ok, name)
	}
}

// After a successful Pass, changes are late.
func TestAfterPassAllIsLate(t *testing.T) {
	b := &backend{view: jarOf(headOf())}
	c := &core.Core{}
	c.Init(b)
	_, ok := c.Pass()
	require.True(t, ok)
	require.NoError(t, c.Finish(t.Context()))
	require.Empty(t, c.Get("a"))
	require.Equal(t, []string{"read"}, b.late)
	c.Set("a", []byte{1})
	require.ErrorIs(t, c.Finish(t.Context()), core.ErrLate)
	require.ErrorIs(t, c.Save(t.Context()), core.ErrLate)
}
