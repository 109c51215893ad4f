package policy_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/carryon-go/carryon/internal/state"
)

// caseNow is the time at which the plan vectors are decided.
const caseNow = 1_800_000_000_000

// caseRoot is the root of the vectors' session.
var caseRoot = state.Root{1, 2, 3}

func caseStamp(minutes int64) state.Stamp { return state.Stamp{At: caseNow - minutes*minute, ID: 7} }

// caseHead returns a head whose generation began a number of minutes ago.
func caseHead(minutes int64, entries ...state.Entry) *state.Cookie {
	h := &state.Cookie{Tag: caseRoot.HeadTag(0), Kind: state.Head, Root: caseRoot, Created: caseNow - minutes*minute, End: caseNow + 300*minute, Born: caseStamp(minutes), Entries: entries}
	h.Floor, h.Since, h.SeenAt = h.Born, h.Born.At, h.Born.At
	for i := range h.Entries {
		if h.Entries[i].Stamp == (state.Stamp{}) {
			h.Entries[i].Stamp = h.Floor
		}
	}
	return h
}

// caseCell returns a cell that was written a number of minutes ago.
func caseCell(minutes int64, name string, size int) *state.Cookie {
	return &state.Cookie{Tag: caseRoot.CellTag(name, 0), Kind: state.Cell, Gen: caseRoot.GenID(), Entry: state.Entry{Name: name, Stamp: caseStamp(minutes), Value: caseValue(size)}}
}

func caseValue(size int) []byte { return bytes.Repeat([]byte{0xf1}, size) }

func caseEntry(name string, size int) state.Entry {
	return state.Entry{Name: name, Value: caseValue(size)}
}

// caseFull returns a head of 45 entries, too many for a cell of each.
func caseFull() *state.Cookie {
	var entries []state.Entry
	for i := range 45 {
		entries = append(entries, caseEntry(fmt.Sprintf("n%02d", i), 40))
	}
	return caseHead(60, entries...)
}

func modified(c *state.Cookie, change func(*state.Cookie)) *state.Cookie {
	c = c.Clone()
	change(c)
	return c
}

// planCase returns a vector with limits of 8,000 bytes and the given change.
func planCase(name string, cookies []*state.Cookie, change func(*planVector)) planVector {
	p := planVector{Name: name, Cookies: []vectorCookie{}, In: vectorInput{Now: caseNow, ID: 42, Mode: "auto", Limits: limits8K, Sizer: sizer,
		Root: rootText(8), Fresh: rootText(9), Lifetime: 24 * hour, Idle: 500 * minute, Touch: 5 * minute}}
	for _, c := range cookies {
		p.Cookies = append(p.Cookies, vectorCookie{Tag: c.Tag, Plain: hex.EncodeToString(c.Append(nil))})
	}
	change(&p)
	return p
}

func rootText(b byte) string { return hex.EncodeToString(bytes.Repeat([]byte{b}, 32)) }

// set sets an entry to a value of a number of bytes. 0 deletes the entry.
func set(name string, size int) func(*planVector) {
	return func(p *planVector) {
		op := vectorOp{Name: name}
		if size > 0 {
			text := strings.Repeat("f2", size)
			op.Value = &text
		}
		p.In.Ops, p.In.Writes = append(p.In.Ops, op), true
	}
}

func all(changes ...func(*planVector)) func(*planVector) {
	return func(p *planVector) {
		for _, c := range changes {
			c(p)
		}
	}
}

func renew(p *planVector)    { p.In.Renewed, p.In.Writes = true, true }
func clearAll(p *planVector) { p.In.Cleared, p.In.Writes = true, true }
func destroy(p *planVector)  { p.In.Destroyed = true }
func mayTouch(p *planVector) { p.In.MayTouch = true }

func withInput(change func(*vectorInput)) func(*planVector) {
	return func(p *planVector) { change(&p.In) }
}

func mode(m string, store bool) func(*planVector) {
	return withInput(func(i *vectorInput) { i.Mode, i.Store = m, store })
}

// record sets the content of the session's record, at revision 3.
func record(c *state.Cookie) func(*planVector) {
	return func(p *planVector) { p.Record, p.Revision = hex.EncodeToString(c.Append(nil)), 3 }
}

func planCases() (cases []planVector) {
	add := func(name string, cookies []*state.Cookie, change func(*planVector)) {
		cases = append(cases, planCase(name, cookies, change))
	}
	beginCases(add)
	cellCases(add)
	foldCases(add)
	wholeCases(add)
	storeCases(add)
	return cases
}

type adder func(name string, cookies []*state.Cookie, change func(*planVector))

// bound binds a head to subjects.
func bound(first string, also ...string) func(*state.Cookie) {
	return func(c *state.Cookie) {
		c.Subjects, _ = state.NewSubjects(first, also...)
		c.Bound = c.Created
	}
}

func beginCases(add adder) {
	own := []*state.Cookie{caseHead(60, caseEntry("a", 10))}
	marker := []*state.Cookie{{Tag: caseRoot.EndTag(), Kind: state.Logout, Root: caseRoot, Born: caseStamp(5), Created: caseNow - 60*minute, End: caseNow + hour}}
	orphan := func(c *state.Cookie) { c.Tag, c.Orphan = state.FixedTag(true, ""), true }
	add("a read without a session does nothing", nil, func(*planVector) {})
	add("a first request begins an orphan under the first fixed tag", nil, set("a", 10))
	add("a login without a session begins under the second fixed tag", nil, all(renew, set("a", 10)))
	add("a renewal begins under the next tag and expires the rest", append(own, caseCell(5, "b", 10)), renew)
	add("a renewal keeps created, end and subjects", []*state.Cookie{modified(own[0], bound("u0", "s0"))}, renew)
	add("a login names the subject", own, all(renew, set("a", 20), withInput(func(i *vectorInput) { i.Subjects = []string{"u1"} })))
	add("a login replaces all subjects", []*state.Cookie{modified(own[0], bound("u0", "s0"))}, all(renew, withInput(func(i *vectorInput) { i.Subjects = []string{"u1", "s1", "d1"} })))
	add("a repeated subject counts once", own, all(renew, withInput(func(i *vectorInput) { i.Subjects = []string{"u1", "s1", "u1"} })))
	add("terms shorten the session", own, all(renew, withInput(func(i *vectorInput) { i.Terms = state.Terms{Lifetime: hour, Idle: 10 * minute, Browser: 1} })))
	add("a stamp is above all times that came", []*state.Cookie{own[0], caseCell(-2, "b", 10)}, set("a", 10))
	add("a logout sets a marker under the end tag", own, destroy)
	add("a logout over a logout only expires", append(marker, caseCell(5, "b", 10)), destroy)
	add("a logout of nothing does nothing", nil, destroy)
	add("a logout of cells without a head sets a marker under a fixed tag", []*state.Cookie{caseCell(5, "b", 10)}, destroy)
	add("a logout and a write begin under the end tag", own, all(destroy, set("a", 10)))
	add("a write over a logout begins under the next tag", marker, set("a", 10))
	add("a write over a torn session begins under the next tag", []*state.Cookie{caseHead(60, state.Entry{Name: "a", Form: state.Listed, Stamp: state.Stamp{At: caseNow - 5*minute}})}, set("a", 10))
	add("a login goes through beside unknown keys", own, all(renew, set("a", 10), withInput(func(i *vectorInput) { i.Unopened = 1 })))
	add("a write waits for unknown keys", own, all(set("a", 10), withInput(func(i *vectorInput) { i.Unopened = 1 })))
	add("the first write moves an orphan's head to a tag of its own", []*state.Cookie{modified(own[0], orphan)}, set("b", 10))
	add("a login too large for the response is refused", nil, all(renew, set("a", 3200), withInput(func(i *vectorInput) { i.Limits = presets["nginx"] })))
	add("a login too large for the request is refused", nil, all(renew, set("a", 7000)))
	add("other programs' cookies take room", nil, all(renew, set("a", 4000), withInput(func(i *vectorInput) { i.Others = 3500 })))
}

func cellCases(add adder) {
	own := caseHead(60, caseEntry("a", 10), caseEntry("b", 10))
	large := caseHead(60, caseEntry("a", 10), caseEntry("t", 1500))
	add("a write sets a cell", []*state.Cookie{own}, set("a", 10))
	add("a delete sets a tombstone", []*state.Cookie{own}, set("a", 0))
	add("a delete of a missing entry writes nothing", []*state.Cookie{own}, set("c", 0))
	add("a new entry is reported as a growth", []*state.Cookie{own}, set("c", 10))
	add("two writes set two cells", []*state.Cookie{own}, all(set("a", 10), set("b", 10)))
	add("a cell lists the newer entries that its writer saw", []*state.Cookie{own, caseCell(5, "b", 10), modified(caseCell(6, "c", 10), func(c *state.Cookie) { c.Entry.Form, c.Entry.Value = state.Deleted, nil })}, set("a", 10))
	add("a cell does not list an entry that is as old as the floor and Slack", []*state.Cookie{own, caseCell(55, "b", 10)}, set("a", 10))
	add("a cell of an older turn is expired by a write of its entry", []*state.Cookie{modified(own, func(c *state.Cookie) { c.Turn, c.Tag = 1, caseRoot.HeadTag(1) }), caseCell(5, "b", 10)}, set("b", 10))
	add("a listed entry keeps its tag", []*state.Cookie{modified(caseHead(60, state.Entry{Name: "b", Form: state.Listed, Stamp: state.Stamp{At: caseNow - 5*minute}}), func(c *state.Cookie) { c.Turn, c.Tag = 1, caseRoot.HeadTag(1) }), caseCell(5, "b", 10)}, set("b", 10))
	add("a large value leaves the head when it is written", []*state.Cookie{large}, set("t", 1500))
	add("a token is packed", []*state.Cookie{own}, func(p *planVector) {
		text := hex.EncodeToString([]byte(strings.Repeat("eyJhbGciOiJSUzI1NiJ9.", 8)))
		p.In.Ops, p.In.Writes = []vectorOp{{Name: "a", Value: &text}}, true
	})
	add("surplus pieces count, and are removed", []*state.Cookie{own, caseCell(5, "b", 10)}, all(set("b", 10), func(p *planVector) { p.Cookies[1].Pieces = 3 }))
	add("parallel new entries that do not fit together are refused", []*state.Cookie{own}, all(set("c", 10), withInput(func(i *vectorInput) {
		i.Limits.Cookies = 8
		i.InFlight = []string{"n1", "n2", "n3", "n4", "n5", "n6"}
	})))
}

func foldCases(add adder) {
	var cells []*state.Cookie
	for _, name := range []string{"a", "b", "c", "d"} {
		cells = append(cells, caseCell(30, name, 10))
	}
	jar := append([]*state.Cookie{caseHead(60, caseEntry("a", 10))}, cells...)
	turn1 := modified(caseHead(60, caseEntry("a", 10)), func(c *state.Cookie) {
		c.Turn, c.Tag, c.Floor, c.Since = 1, caseRoot.HeadTag(1), caseStamp(40), caseNow-25*minute
		c.Entries[0].Stamp = c.Floor
	})
	tombstone := modified(caseCell(30, "d", 10), func(c *state.Cookie) { c.Entry.Form, c.Entry.Value = state.Deleted, nil })
	add("a touch sets the head again", jar[:1], mayTouch)
	add("a touch that is not due does nothing", []*state.Cookie{caseHead(4, caseEntry("a", 10))}, mayTouch)
	add("a touch beside a large value sets a seen cookie", []*state.Cookie{caseHead(60, caseEntry("t", 1500))}, mayTouch)
	add("a touch folds four old cells", jar, mayTouch)
	add("a write folds, and its entry is listed", jar, set("a", 10))
	add("a fold lists entries that are not old enough", append(jar, caseCell(5, "e", 10)), mayTouch)
	add("a fold drops an old tombstone", append(jar[:4:4], tombstone, caseCell(30, "e", 10)), mayTouch)
	add("a fold leaves a large value in its cell", append(jar, caseCell(30, "t", 1500)), mayTouch)
	add("three old cells are not folded", jar[:4], set("d", 10))
	add("a write expires cells of an older turn that do not show", []*state.Cookie{turn1, caseCell(45, "b", 10)}, set("c", 10))
	add("a cell that shows stays", []*state.Cookie{turn1, caseCell(30, "b", 10)}, set("c", 10))
	add("cells stay until the turn is settled", []*state.Cookie{modified(turn1, func(c *state.Cookie) { c.Since = caseNow - minute }), caseCell(45, "b", 10)}, set("c", 10))
	add("a cell of another generation is expired once the own one is settled", append(jar[:1:1], modified(caseCell(30, "x", 10), func(c *state.Cookie) { c.Gen, c.Tag = state.GenID{9}, "abcdefghij" })), set("a", 10))
}

func wholeCases(add adder) {
	whole := modified(caseHead(60, caseEntry("a", 10)), func(c *state.Cookie) { c.Turn, c.Tag = 1, caseRoot.WholeTag(1) })
	big := caseHead(60, caseEntry("a", 2500), caseEntry("b", 1500))
	add("a session that does not fit into cells is written whole", []*state.Cookie{caseFull()}, set("n00", 40))
	add("a session that was written whole stays so", []*state.Cookie{whole}, set("a", 10))
	add("a large session that was written whole keeps its tag", []*state.Cookie{modified(big, func(c *state.Cookie) { c.Turn, c.Tag = 1, caseRoot.WholeTag(1) })}, set("b", 1500))
	add("a touch leaves a whole head alone", []*state.Cookie{whole}, mayTouch)
	add("clearing sets a head of the next turn", []*state.Cookie{caseHead(60, caseEntry("a", 10)), caseCell(5, "b", 10)}, all(clearAll, set("c", 10)))
	add("one cookie holds the session under a fixed name", []*state.Cookie{modified(caseHead(60, caseEntry("a", 10)), func(c *state.Cookie) { c.Tag = "" })}, all(set("b", 10), withInput(func(i *vectorInput) { i.FixedName = true })))
	add("one cookie is too small", nil, all(renew, set("a", 3500), withInput(func(i *vectorInput) { i.FixedName = true })))
}

func storeCases(add adder) {
	ref := modified(caseHead(60), func(c *state.Cookie) { c.Row = state.Revision{Number: 3} })
	row := caseHead(60, caseEntry("a", 10), state.Entry{Name: "b", Stamp: caseStamp(5), Value: caseValue(10)})
	big := caseHead(60, caseEntry("a", 2500), caseEntry("b", 1500))
	stored := mode("stored only", true)
	add("a stored session begins with a record", nil, all(set("a", 10), stored))
	add("a write of a stored session saves the record", []*state.Cookie{ref}, all(set("a", 20), stored, record(row)))
	add("a delete leaves a tombstone in the record", []*state.Cookie{ref}, all(set("b", 0), stored, record(row)))
	add("a write is decided again after a conflict", []*state.Cookie{ref}, all(set("a", 20), stored, record(row), withInput(func(i *vectorInput) { i.Conflict = true })))
	add("a write where the record is missing begins over it", []*state.Cookie{ref}, all(set("a", 10), stored))
	add("a touch of a stored session sets the reference again", []*state.Cookie{ref}, all(mayTouch, stored, record(row)))
	add("a session that does not fit into the cookies moves to the store", []*state.Cookie{big}, all(set("b", 6000), mode("auto", true)))
	add("with a store a session moves there instead of being written whole", []*state.Cookie{caseFull()}, all(set("n00", 40), mode("auto", true)))
	add("a record has copies of cells, with above", []*state.Cookie{caseFull(), caseCell(5, "n01", 10)}, all(set("n00", 40), mode("auto", true)))
	add("a small session moves back to the cookies, and the record is marked", []*state.Cookie{ref}, all(set("a", 20), mode("auto", true), record(row)))
	add("after a record that moved back, the turn grows by two", []*state.Cookie{ref}, all(set("a", 20), mode("auto", true), record(modified(row, func(c *state.Cookie) { c.Back = true }))))
	add("clearing a stored session leaves tombstones", []*state.Cookie{ref}, all(clearAll, set("c", 10), stored, record(row)))
	add("a renewal of a stored session begins a record", []*state.Cookie{ref}, all(renew, stored, record(row)))
}
