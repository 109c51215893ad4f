package middleware_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
)

func TestObservers(t *testing.T) {
	type observer = func(context.Context, middleware.Event)
	var got []string
	as := func(name string) observer {
		return func(_ context.Context, e middleware.Event) { got = append(got, name+" "+string(e.Kind)) }
	}
	require.Nil(t, middleware.Observers())
	require.Nil(t, middleware.Observers(nil, nil))

	middleware.Observers(nil, as("only"), nil)(t.Context(), middleware.Event{Kind: middleware.EventLoaded})
	list := []observer{as("first"), nil, as("second")}
	both := middleware.Observers(list...)
	list[0] = nil // Observers must not use the caller's slice
	both(t.Context(), middleware.Event{Kind: middleware.EventLoaded})
	require.Equal(t, []string{"only loaded", "first loaded", "second loaded"}, got)

	a, b := &events{}, &events{}
	s := newSite(t, app, config(func(c *middleware.Config) { c.Observer = middleware.Observers(a.observe, b.observe) }))
	s.get("/set?user=ada")
	require.Len(t, a.of(""), 2)
	require.Equal(t, a.of(""), b.of(""))
}
