package core_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/carryon-go/carryon/internal/core"
)

// farthest is a time in the year 4199, and leaves room for sums: beyond the
// year 10889 the layout has no numbers.
const farthest = core.MaxTime / 4

// extreme draws a number that is at home in no calendar.
func extreme(t *rapid.T, most int64, what string) int64 {
	edges := []int64{0, 1, core.Settled, most / 2, most - 1, most}
	return rapid.SampledFrom(append(edges, rapid.Int64Range(0, most).Draw(t, what+"?"))).Draw(t, what)
}

// drawHead is what the fragments of a root share.
func drawHead(t *rapid.T, root byte) core.Fragment {
	c := max(1, extreme(t, farthest, "created"))
	return core.Fragment{Root: core.Root{root}, Created: c, End: c + extreme(t, farthest, "end"), Orphan: rapid.Bool().Draw(t, "orphan"),
		Born: core.Stamp{At: c + extreme(t, farthest, "born"), ID: 1}, Idle: extreme(t, farthest, "idle")}
}

// drawExtreme is a fragment that decodes, whatever its writer's clock was.
func drawExtreme(t *rapid.T, head core.Fragment) *core.Fragment {
	c, f := head.Created, &head
	at := func(what string) core.Stamp {
		return core.Stamp{At: c + extreme(t, farthest, what), ID: uint32(rapid.IntRange(0, 2).Draw(t, "id"))}
	}
	f.Kind, f.Seen = core.Kind(rapid.IntRange(1, 3).Draw(t, "kind")), c+extreme(t, farthest, "seen")
	if rapid.Bool().Draw(t, "floor?") {
		f.Floor = at("floor")
	}
	if rapid.Bool().Draw(t, "horizon?") {
		f.Horizon = at("horizon").At
	}
	if f.Kind != core.Data {
		return f
	}
	for _, name := range []string{"a", "b", "c"} {
		e := core.Entry{Name: name, Stamp: at("entry")}
		switch rapid.IntRange(0, 4).Draw(t, "what") {
		case 0:
			e.Value = []byte{1}
		case 1:
			e.Gone = e.Stamp.At
		case 2:
			e.Gone = max(e.Stamp.At, at("gone").At)
		case 3:
			f.Needs = append(f.Needs, core.Need{Name: name, Stamp: e.Stamp, Gone: rapid.Bool().Draw(t, "need gone")})
			continue
		default:
			continue
		}
		f.Entries = append(f.Entries, e)
	}
	return f
}

// TestExtremeTimesDoNotPanic merges whatever decodes, and writes on top of it:
// nothing panics, and what is written can be read.
func TestExtremeTimesDoNotPanic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		heads := []core.Fragment{drawHead(t, 1), drawHead(t, 2)}
		var fs []*core.Fragment
		for range rapid.IntRange(0, 5).Draw(t, "fragments") {
			f := drawExtreme(t, rapid.SampledFrom(heads).Draw(t, "root"))
			f.Name()
			got, err := core.Decode(f.Plaintext())
			if err != nil {
				continue // no writer's
			}
			got.Suffix = f.Suffix
			fs = append(fs, got)
		}
		now := extreme(t, farthest, "now")
		v := core.Merge(fs, 0, now, extreme(t, farthest, "idle timeout"))
		w := core.Write{Now: now, ID: 7, Lifetime: extreme(t, 1<<42, "lifetime")}
		changes := &core.Changes{Root: core.Root{9}, Ops: []core.Op{{Name: "b", Value: []byte{2}}, {Name: "c"}}}
		changes.Cleared, changes.Renewed, changes.Destroyed = rapid.Bool().Draw(t, "clear"), rapid.Bool().Draw(t, "renew"), rapid.Bool().Draw(t, "destroy")
		written := []*core.Fragment{v.Snapshot(changes, w), v.Farewell(core.Root{8}, w)}
		if v.Head != nil {
			written = append(written, v.Joined(w), v.Reseen(now))
		}
		if !changes.Begins(&v) {
			written = append(written, v.Delta(changes, w))
		}
		for i, f := range written {
			if f.End < f.Created || f.Created == 0 {
				continue // a clock before 1970
			}
			f.Name()
			g, err := core.Decode(slices.Clone(f.Plaintext()))
			if err != nil {
				t.Fatalf("written %d does not decode: %v\n%+v\n%s", i, err, f, specShow(fs))
			}
			require.True(t, bytes.Equal(g.Plaintext(), f.Plaintext()))
		}
	})
}
