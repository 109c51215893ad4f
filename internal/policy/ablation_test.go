package policy_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/state"
)

// ablation disables one rule, by changing the inputs and results of the functions.
type ablation struct {
	name    string
	worlds  []string                      // at least one of them must fail
	cookie  func(*request, *state.Cookie) // changes a cookie that is set
	read    func(*state.Cookie)           // changes a content that is read
	input   func(*policy.Input)
	plan    func(*request)
	surplus bool // surplus pieces are not removed
	blind   bool // records are saved without comparing revisions
}

var ablations = []ablation{
	{name: "without entries seen", worlds: []string{"eviction"},
		cookie: func(_ *request, c *state.Cookie) { c.SeenEntries = nil }},
	{name: "without listed entries", worlds: []string{"eviction folds"},
		read: func(c *state.Cookie) {
			c.Entries = slices.DeleteFunc(c.Entries, func(e state.Entry) bool { return e.Form == state.Listed })
		}},
	{name: "without floor", worlds: []string{"eviction folds"},
		read: func(c *state.Cookie) { c.Floor = state.Stamp{} },
		cookie: func(_ *request, c *state.Cookie) { // keep the list as short as with a floor
			c.SeenEntries = slices.DeleteFunc(slices.Clone(c.SeenEntries), func(s state.SeenEntry) bool { return s.At < c.Entry.Stamp.At-state.Settled })
		}},
	{name: "without turn in the tags of cells", worlds: []string{"few", "late", "crowd"},
		cookie: func(req *request, c *state.Cookie) {
			if c.Kind == state.Cell {
				c.Tag = req.view.Winner.Root.CellTag(c.Entry.Name, 0)
			}
		}},
	{name: "without turn when cells are read", worlds: []string{"eviction folds"},
		read: func(c *state.Cookie) {
			if c.Kind == state.Cell {
				c.Turn = 0
			}
		}},
	{name: "without a tag of its own for a head under a fixed tag", worlds: []string{"first", "logins"}, plan: stayFixed},
	{name: "with stamps that are not above the jar's", worlds: []string{"few", "late"},
		input: func(in *policy.Input) { in.View.Top = 0 }},
	{name: "with cells expired at once", worlds: []string{"folds"}, plan: expireAtOnce},
	{name: "with folds of all cells", worlds: []string{"folds"}, plan: foldAtOnce},
	{name: "without logout marker", worlds: []string{"logins"},
		plan: func(req *request) {
			req.plan.Set = slices.DeleteFunc(req.plan.Set, func(c *state.Cookie) bool { return c.Kind == state.Logout })
		}},
	{name: "without orphans", worlds: []string{"first", "logins"},
		cookie: func(_ *request, c *state.Cookie) { c.Orphan = false }},
	{name: "with a tag of its own for each begin", worlds: []string{"logins", "first"},
		cookie: func(req *request, c *state.Cookie) {
			if c.Kind == state.Head && (req.view.Head == nil || req.view.Head.Root != c.Root) && !state.IsFixed(c.Tag) {
				c.Tag = c.Root.HeadTag(0)
			}
		}},
	{name: "with logouts under the tag of renewals", worlds: []string{"logins"},
		cookie: func(req *request, c *state.Cookie) {
			if c.Kind == state.Logout && req.view.Winner != nil && req.view.Winner.Kind == state.Head {
				c.Tag = req.view.Winner.Root.NextTag()
			}
		}},
	{name: "with heads written whole under the head's tag", worlds: []string{"swell", "full touches", "pieces", "full"}, plan: wholeInPlace},
	{name: "with a tag for each turn that is written whole", worlds: []string{"full", "full touches"},
		cookie: func(_ *request, c *state.Cookie) {
			if c.Kind == state.Head && (c.Tag == c.Root.WholeTag(0) || c.Tag == c.Root.WholeTag(1)) {
				c.Tag = c.Root.HeadTag(c.Turn + 1000)
			}
		}},
	{name: "without growth", worlds: []string{"full", "token"},
		input: func(in *policy.Input) { in.Limits.RequestBytes *= 100; in.Limits.Cookies *= 100 }},
	{name: "without surplus pieces", worlds: []string{"pieces"},
		surplus: true},
	{name: "without compare-and-swap", worlds: []string{"store", "stored"}, blind: true},
	{name: "without the mark of a record that moved back", worlds: []string{"store"},
		read: func(c *state.Cookie) { c.Back = false }},
	{name: "without above in copies", worlds: []string{"store"},
		read: func(c *state.Cookie) {
			for i := range c.Entries {
				c.Entries[i].Above = state.Stamp{}
			}
		}},
	{name: "without seen cookies", worlds: []string{"idle large"},
		cookie: func(_ *request, c *state.Cookie) {
			if c.Kind == state.Seen {
				c.SeenAt = 0
			}
		}},
	{name: "with writes beside cookies of an unknown key", worlds: []string{"rings"},
		input: func(in *policy.Input) { in.View.Unopened = 0 }},
	{name: "with clearing under the tag of a fold", worlds: []string{"folds"},
		cookie: func(req *request, c *state.Cookie) {
			if req.op == "clear" && c.Kind == state.Head && req.view.Head != nil && c.Turn > req.view.Head.Turn {
				c.Tag = c.Root.HeadTag(c.Turn)
			}
		}},
}

// stayFixed keeps a head under the fixed tag under which it began.
func stayFixed(req *request) {
	v, p := &req.view, &req.plan
	if v.Head == nil || !state.IsFixed(v.Head.Tag) {
		return
	}
	for i, c := range p.Set {
		if c.Kind == state.Head && c.Root == v.Head.Root {
			p.Set[i] = c.Clone()
			p.Set[i].Tag = v.Head.Tag
			p.Expire = slices.DeleteFunc(p.Expire, func(tag string) bool { return tag == v.Head.Tag })
		}
	}
}

// expireAtOnce expires each cell of an older turn that does not show, without waiting
// until the turn is settled.
func expireAtOnce(req *request) {
	v, p := &req.view, &req.plan
	if len(p.Set) == 0 || v.Head == nil {
		return
	}
	for _, c := range v.Cookies {
		if e := v.Find(c.Entry.Name); c.Kind == state.Cell && c.Turn < v.Head.Turn && (e == nil || e.From != c) {
			p.Expire = append(p.Expire, c.Tag)
		}
	}
}

// foldAtOnce moves all listed entries into the head of a fold.
func foldAtOnce(req *request) {
	v, p := &req.view, &req.plan
	for i, c := range p.Set {
		if c.Kind != state.Head || v.Head == nil || c.Root != v.Head.Root || c.Turn == v.Head.Turn || p.Whole {
			continue
		}
		c = c.Clone()
		c.Floor = state.Stamp{At: v.Top}
		entries := c.Entries
		c.Entries = nil
		for _, e := range entries {
			if have := v.Find(e.Name); e.Form == state.Listed && have != nil && have.Live() {
				e.Form, e.Packed, e.Value = state.Value, have.Packed, have.Value
			}
			if e.Form == state.Value {
				e.Stamp = c.Floor
				c.Entries = append(c.Entries, e)
			}
		}
		p.Set[i] = c
	}
}

// wholeInPlace sets a head that is written whole under the tag of the old head.
func wholeInPlace(req *request) {
	v, p := &req.view, &req.plan
	if !p.Whole || v.Head == nil {
		return
	}
	for i, c := range p.Set {
		if c.Kind == state.Head && c.Root == v.Head.Root {
			p.Set[i] = c.Clone()
			p.Set[i].Tag = v.Head.Tag
			p.Expire = slices.DeleteFunc(p.Expire, func(tag string) bool { return tag == v.Head.Tag })
		}
	}
}

// The model fails without any one of these rules.
func TestAblations(t *testing.T) {
	for _, off := range ablations {
		if *modelWorld != "" && off.name != *modelWorld {
			continue
		}
		t.Run(off.name, func(t *testing.T) {
			failed := false
			for seed := uint64(1); seed <= uint64(*ablationRuns) && !failed; seed++ {
				for _, w := range worlds {
					if !failed && slices.Contains(off.worlds, w.name) {
						if err := newModel(w, seed, off).run(); err != nil {
							failed = true
							t.Logf("world %q, seed %d: %v", w.name, seed, err)
						}
					}
				}
			}
			require.True(t, failed, "the model does not fail without the rule")
		})
	}
}
