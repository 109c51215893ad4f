package core_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/carryon-go/carryon/internal/core"
)

// Who only wants to know whether a snapshot would be too long need not make it.
func TestSnapshotLenBoundsTheSnapshot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := fragments().Filter(func(f *core.Fragment) bool { return f.Kind == core.Data }).Draw(t, "head")
		f.ETag, f.Needs = [16]byte{}, nil
		for i := range f.Entries {
			if !f.Entries[i].Dead() && rapid.Bool().Draw(t, "large") {
				f.Entries[i].Value = make([]byte, 500)
			}
		}
		v := core.View{Head: f, State: core.State{Entries: f.Entries, Floor: f.Floor, Horizon: f.Horizon}, Fragments: []*core.Fragment{f},
			Fates: []core.Fate{core.Accepted}, Moved: f.Moved, Collected: f.Number, MaxAt: f.Created + core.MaxTime, Loaded: f.Seen}
		c := &core.Changes{Cleared: rapid.Bool().Draw(t, "cleared")}
		for _, name := range names(t) {
			op := core.Op{Name: name}
			if rapid.Bool().Draw(t, "set") {
				op.Value = append([]byte{}, rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "value")...)
			}
			c.Ops = append(c.Ops, op)
		}
		for _, e := range f.Entries { // some of them replace what is there
			if !rapid.Bool().Draw(t, "replaced") || slices.ContainsFunc(c.Ops, func(o core.Op) bool { return o.Name == e.Name }) {
				continue
			}
			op := core.Op{Name: e.Name, Taken: e.Stamp}
			if rapid.Bool().Draw(t, "popped before it was set anew") {
				op.Taken = core.Stamp{At: 1, ID: 1}
			}
			c.Ops = append(c.Ops, op)
		}
		slices.SortFunc(c.Ops, func(a, b core.Op) int { return strings.Compare(a.Name, b.Name) })
		least, most := v.SnapshotLen(c)
		exact := v.Snapshot(c, core.Write{Now: f.Created + core.MaxTime, ID: 1<<32 - 1}).PlaintextLen()
		require.LessOrEqual(t, least, exact)
		require.LessOrEqual(t, exact, most)
	})
}
