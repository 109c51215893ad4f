package middleware

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/state"
)

// viewOf returns the view of the n-th session, as of the given time.
func viewOf(n int, at time.Time, names ...string) *state.View {
	root := state.Root{byte(n), byte(n >> 8), byte(n >> 16)}
	v := &state.View{Winner: &state.Cookie{Root: root}, Loaded: state.Millis(at)}
	for _, name := range names {
		v.Entries = append(v.Entries, state.Entry{Name: name})
	}
	return v
}

// add records an entry of a session, and returns the other entries in flight.
func (c *entriesInFlight) add(v *state.View, now time.Time, names ...string) (inFlight []string) {
	for _, g := range c.begin(v) {
		inFlight = append(inFlight, g.Name)
	}
	var added []policy.Growth
	for _, name := range names {
		added = append(added, policy.Growth{Name: name, Bytes: 1})
	}
	c.end(v, added, now)
	return inFlight
}

func TestEntriesInFlightAreThoseOfTheSession(t *testing.T) {
	start := time.UnixMilli(1_700_000_000_000)
	var c entriesInFlight
	require.Empty(t, c.add(viewOf(1, start), start, "a"))
	require.Equal(t, []string{"a"}, c.add(viewOf(1, start), start, "b"))
	require.Empty(t, c.add(viewOf(2, start), start), "entries of another session do not count")
	require.ElementsMatch(t, []string{"a", "b"}, c.add(viewOf(1, start.Add(flightTime-1)), start))
	require.Empty(t, c.add(viewOf(1, start.Add(flightTime)), start), "a request that began so late carries the entry, unless the response was lost")
}

// The record of entries in flight is bounded in size and in time.
func TestEntriesInFlightAreForgotten(t *testing.T) {
	start := time.UnixMilli(1_700_000_000_000)
	var c entriesInFlight
	for i := range 3 * maxInFlight {
		c.add(viewOf(i, start), start, "a")
		require.LessOrEqual(t, len(c.entries), maxInFlight)
	}
	c = entriesInFlight{}
	for i := range 100 {
		c.add(viewOf(i, start), start, "a")
	}
	later := start.Add(flightTime)
	c.add(viewOf(1000, later), later, "a")
	require.Len(t, c.entries, 1, "the others are no longer in flight")

	for i := range 1000 {
		c.add(viewOf(1, later.Add(time.Duration(i)*time.Second)), later.Add(time.Duration(i)*time.Second), fmt.Sprint(i))
	}
	for _, made := range c.entries {
		require.LessOrEqual(t, len(made), 20, "of one session with many writes")
	}
}
