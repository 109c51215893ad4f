package core_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/state"
)

const hour = int64(time.Hour / time.Millisecond)

// End returns the end that the commit will seal, whatever the handler has done so far.
func TestEndIsToldBeforeItIsSealed(t *testing.T) {
	held := headOf(set("a", "a"))
	for name, c := range map[string]struct {
		view *state.View
		do   func(c *core.Core)
		want int64
	}{
		"nothing":                       {nil, func(*core.Core) {}, 0},
		"a renewal of nothing":          {nil, (*core.Core).Renew, 0},
		"it begins":                     {nil, func(c *core.Core) { c.Set("a", []byte("1")) }, later + hour},
		"it begins, for longer":         {nil, func(c *core.Core) { c.SetLifetime(2 * time.Hour); c.Set("a", []byte("1")) }, later + 2*hour},
		"a lifetime of nothing":         {nil, func(c *core.Core) { c.SetLifetime(2 * time.Hour) }, 0},
		"it is there":                   {jarOf(held), func(*core.Core) {}, held.End},
		"it is changed":                 {jarOf(held), func(c *core.Core) { c.Set("a", []byte("1")) }, held.End},
		"it is renewed":                 {jarOf(held), (*core.Core).Renew, held.End},
		"it lives longer":               {jarOf(held), func(c *core.Core) { c.SetLifetime(2 * time.Hour) }, later + 2*hour},
		"it lives too long":             {jarOf(held), func(c *core.Core) { c.SetLifetime(4 * time.Hour) }, later + 3*hour},
		"it is destroyed":               {jarOf(held), (*core.Core).Destroy, 0},
		"it is destroyed, and another":  {jarOf(held), func(c *core.Core) { c.Destroy(); c.Set("a", []byte("1")) }, later + hour},
		"its load has failed, no value": {nil, func(c *core.Core) { c.Fault(errDown) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			cr := &core.Core{}
			cr.Init(&backend{view: c.view, lifetime: hour, longest: 3 * hour})
			c.do(cr)
			require.Equal(t, c.want, cr.End())
			require.Equal(t, c.want, cr.End(), "again")
		})
	}
}

func TestLifetimesThatAreNotPermittedAreTold(t *testing.T) {
	for asked, want := range map[time.Duration]struct {
		lifetime int64
		told     []string
	}{
		time.Hour:         {hour, nil},
		3 * time.Hour:     {3 * hour, nil},
		time.Second:       {1000, nil},
		3*time.Hour + 1e6: {3 * hour, []string{"SetLifetime 3h0m0.001s"}},
		time.Millisecond:  {1000, []string{"SetLifetime 1ms"}},
		-time.Hour:        {1000, []string{"SetLifetime -1h0m0s"}},
	} {
		b := &backend{view: jarOf(headOf()), lifetime: hour, longest: 3 * hour}
		c := &core.Core{}
		c.Init(b)
		c.SetLifetime(asked)
		require.Equal(t, want.told, b.clamped, asked)
		require.NoError(t, c.Commit(func(o core.Outcome) (*state.View, error) {
			require.Equal(t, want.lifetime, o.Changes.Terms.Lifetime, asked)
			require.True(t, o.Changes.Renewed)
			return nil, nil
		}))
	}
}

// A popped value stays if the visitor may never see the response; the other
// changes of the request count.
func TestOutcomeWithoutPops(t *testing.T) {
	for name, c := range map[string]struct {
		do     func(c *core.Core)
		ops    []state.Op
		writes bool
	}{
		"a pop":            {func(c *core.Core) { c.Pop("a") }, nil, false},
		"a pop and a set":  {func(c *core.Core) { c.Pop("a"); c.Set("b", []byte("1")) }, []state.Op{{Name: "b", Value: []byte("1")}}, true},
		"a pop, set again": {func(c *core.Core) { c.Pop("a"); c.Set("a", []byte("1")) }, []state.Op{{Name: "a", Value: []byte("1")}}, true},
		"a deletion":       {func(c *core.Core) { c.Delete("a") }, []state.Op{{Name: "a"}}, true},
		"a pop, renewed":   {func(c *core.Core) { c.Pop("a"); c.Renew() }, nil, true},
		"a read":           {func(c *core.Core) { c.Get("a") }, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := handle(t, jarOf(headOf(set("a", "a"))), c.do)
			before := len(o.Changes.Ops)
			without := o.WithoutPops()
			require.Equal(t, c.writes, without.Writes)
			require.Equal(t, c.ops, append([]state.Op(nil), without.Changes.Ops...))
			require.Len(t, o.Changes.Ops, before, "the handler's own are as they were")
		})
	}
}

func TestUndecodableValuesAreToldByName(t *testing.T) {
	b := &backend{}
	c := &core.Core{}
	c.Init(b)
	c.Undecodable("cart", errDown)
	require.Equal(t, []string{"cart"}, b.odd)
}
