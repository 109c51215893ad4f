package core_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/state"
)

// moving is a backend whose session changes between loads.
type moving struct {
	backend
	now   *state.View
	fails error
}

func (m *moving) Reload(context.Context, *state.View) (*state.View, error) { return m.now, m.fails }

func TestReload(t *testing.T) {
	before, after := jarOf(headOf(set("a", "1"))), jarOf(headOf(set("a", "2")))
	b := &moving{backend: backend{view: before}, now: after}
	c := &core.Core{}
	c.Init(b)
	require.NoError(t, c.Reload(t.Context()), "the first is a load")
	require.Equal(t, 1, b.loads)
	require.Equal(t, "1", string(c.Get("a")))

	c.Set("b", []byte("mine"))
	c.Fault(errors.New("a value that cannot be encoded"))
	b.fails = errors.New("down")
	require.ErrorIs(t, c.Reload(t.Context()), b.fails)
	require.Equal(t, []string{"a", "b"}, c.Names())
	require.Error(t, c.Err())

	b.fails = nil
	require.NoError(t, c.Reload(t.Context()))
	require.NoError(t, c.Err())
	require.Equal(t, []string{"a"}, c.Names())
	require.Equal(t, "2", string(c.Get("a")))
	require.Equal(t, 1, b.loads)
}

// Reload drops the changes even if the backend cannot read the session again.
func TestReloadOfWhatCannotChange(t *testing.T) {
	c := &core.Core{}
	c.Init(&backend{view: jarOf(headOf(set("a", "1")))})
	c.Delete("a")
	require.Empty(t, c.Names())
	require.NoError(t, c.Reload(t.Context()))
	require.Equal(t, "1", string(c.Get("a")))

	failing := errors.New("down")
	c = &core.Core{}
	c.Init(&backend{err: failing})
	require.ErrorIs(t, c.Reload(t.Context()), failing)
	require.ErrorIs(t, c.Reload(t.Context()), failing, "there is no record to ask for again")
}

// Requests without changes share one empty edits, which must not be written to.
func TestReloadsBesideOneAnother(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			c := &core.Core{}
			c.Init(&backend{view: jarOf(headOf())})
			for range 3 {
				assert.NoError(t, c.Reload(t.Context()))
			}
		})
	}
	wg.Wait()
}
