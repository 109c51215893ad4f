package state_test

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/carryon-go/carryon/internal/state"
)

const (
	second = 1000
	minute = 60 * second
	now    = 1_800_000_000_000 // ms
)

// testRoot is the root of the tests' session.
var testRoot = state.Root{1, 2, 3}

// ago returns the stamp of a number of minutes before now.
func ago(minutes int64) state.Stamp { return state.Stamp{At: now - minutes*minute, ID: 7} }

// head returns a head of the tests' session, which began two hours ago.
func head(entries ...state.Entry) *state.Cookie {
	h := &state.Cookie{Tag: testRoot.HeadTag(0), Kind: state.Head, Root: testRoot, Created: now - 120*minute, End: now + 120*minute, Born: ago(120)}
	h.Floor, h.Since, h.SeenAt = h.Born, h.Born.At, h.Born.At
	h.Entries = entries
	for i := range h.Entries {
		if h.Entries[i].Stamp == (state.Stamp{}) {
			h.Entries[i].Stamp = h.Floor
		}
	}
	return h
}

func value(name, v string) state.Entry { return state.Entry{Name: name, Value: []byte(v)} }

func listed(name string, minutes int64) state.Entry {
	return state.Entry{Name: name, Form: state.Listed, Stamp: state.Stamp{At: now - minutes*minute}}
}

// cell returns a cell of turn 0 that was written a number of minutes ago. If v is
// empty, the cell is a tombstone.
func cell(minutes int64, name, v string, sees ...state.SeenEntry) *state.Cookie {
	c := &state.Cookie{Tag: testRoot.CellTag(name, 0), Kind: state.Cell, Gen: testRoot.GenID(), SeenEntries: sees,
		Entry: state.Entry{Name: name, Stamp: ago(minutes), Value: []byte(v)}}
	if v == "" {
		c.Entry.Value, c.Entry.Form = nil, state.Deleted
	}
	return c
}

func seenEntry(name string, minutes int64) state.SeenEntry {
	return state.SeenEntry{Name: name, At: now - minutes*minute}
}

// show returns the entries of a view in one line: names and values, and "-" for a
// tombstone.
func show(v *state.View) string {
	var all []string
	for i := range v.Entries {
		e := &v.Entries[i]
		if e.Live() {
			all = append(all, e.Name+"="+string(e.CBOR()))
		} else {
			all = append(all, e.Name+"-")
		}
	}
	return strings.Join(all, " ")
}

// cookies draws the cookies of one jar: a few generations and their cells.
func cookies(t *rapid.T) (all []*state.Cookie) {
	roots := rapid.IntRange(1, 3).Draw(t, "generations")
	for g := range roots {
		root := state.Root{byte(g + 1)}
		born := drawStamp(t, 120, 60)
		orphan := rapid.Bool().Draw(t, "orphan")
		for i := range rapid.IntRange(0, 3).Draw(t, "heads") {
			all = append(all, drawHead(t, root, born, orphan, i))
		}
		if rapid.IntRange(0, 5).Draw(t, "logout") == 0 {
			all = append(all, &state.Cookie{Tag: root.EndTag(), Kind: state.Logout, Root: state.Root{byte(g + 1), 1}, Born: drawStamp(t, 60, 0), Created: now - 120*minute, End: now + minute})
		}
		for i := range rapid.IntRange(0, 4).Draw(t, "cells") {
			all = append(all, drawCell(t, root, i))
		}
		if rapid.Bool().Draw(t, "seen") {
			all = append(all, &state.Cookie{Tag: root.SeenTag(), Kind: state.Seen, Gen: root.GenID(), SeenAt: now - rapid.Int64Range(0, 60).Draw(t, "seen at")*minute})
		}
	}
	return all
}

func drawStamp(t *rapid.T, from, to int64) state.Stamp {
	return state.Stamp{At: now - rapid.Int64Range(to, from).Draw(t, "at")*minute, ID: rapid.Uint32Range(0, 2).Draw(t, "id")}
}

func drawName(t *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "name")
}

func drawHead(t *rapid.T, root state.Root, born state.Stamp, orphan bool, i int) *state.Cookie {
	turn := rapid.Uint64Range(0, 2).Draw(t, "turn")
	h := &state.Cookie{Kind: state.Head, Root: root, Born: born, Orphan: orphan, Turn: turn, Created: now - 120*minute, End: now + 60*minute,
		Floor: drawStamp(t, 60, 20), SeenAt: now - 30*minute, Since: now - 40*minute}
	h.Tag = []string{root.HeadTag(turn), root.WholeTag(turn), state.FixedTag(orphan, "")}[i]
	for _, name := range []string{"a", "b", "c"} {
		switch rapid.IntRange(0, 3).Draw(t, "form") {
		case 0:
			h.Entries = append(h.Entries, state.Entry{Name: name, Stamp: h.Floor, Value: []byte(fmt.Sprint("h", i))})
		case 1:
			h.Entries = append(h.Entries, state.Entry{Name: name, Form: state.Listed, Stamp: state.Stamp{At: drawStamp(t, 60, 0).At}})
		}
	}
	return h
}

func drawCell(t *rapid.T, root state.Root, i int) *state.Cookie {
	name, turn := drawName(t), rapid.Uint64Range(0, 2).Draw(t, "turn")
	c := &state.Cookie{Tag: root.CellTag(name, turn) + fmt.Sprint(i), Kind: state.Cell, Gen: root.GenID(), Turn: turn,
		Entry: state.Entry{Name: name, Stamp: drawStamp(t, 60, 0), Value: []byte(fmt.Sprint("c", i))}}
	for _, s := range []string{"a", "b", "c", "d"} {
		if s != name && rapid.IntRange(0, 4).Draw(t, "sees") == 0 {
			c.SeenEntries = append(c.SeenEntries, state.SeenEntry{Name: s, At: drawStamp(t, 60, 0).At, Deleted: rapid.Bool().Draw(t, "deleted")})
		}
	}
	return c
}

func shuffled(t *rapid.T, all []*state.Cookie) []*state.Cookie {
	return rapid.Permutation(slices.Clone(all)).Draw(t, "order")
}
