package state_test

import (
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
)

// modified returns a copy of a cookie with a change.
func modified(c *state.Cookie, change func(*state.Cookie)) *state.Cookie {
	c = c.Clone()
	change(c)
	return c
}

// other returns a head of another generation.
func other(seed byte, tag string, born int64, orphan bool, v string) *state.Cookie {
	return modified(head(value("a", v)), func(c *state.Cookie) {
		c.Root, c.Tag, c.Born, c.Orphan = state.Root{seed}, tag, ago(born), orphan
	})
}

func logout(minutes int64) *state.Cookie {
	return &state.Cookie{Tag: testRoot.EndTag(), Kind: state.Logout, Root: state.Root{9}, Born: ago(minutes), Created: now - 200*minute, End: now + 10*minute}
}

// at moves a cookie to a turn.
func at(turn uint64) func(*state.Cookie) {
	return func(c *state.Cookie) {
		c.Turn = turn
		if c.Kind == state.Head {
			c.Tag = testRoot.HeadTag(turn)
		}
	}
}

var fixed0, fixed1 = state.FixedTag(true, ""), state.FixedTag(false, "")

// readCase is a request's cookies and the expected result of Read.
type readCase struct {
	cookies []*state.Cookie
	row     *state.Cookie
	verdict reason.Reason
	shows   string
}

func readCases() map[string]readCase {
	return map[string]readCase{
		"nothing came": {nil, nil, reason.Absent, ""},
		"a head shows its entries": {
			[]*state.Cookie{head(value("a", "1"), value("b", "2"))}, nil, reason.None, "a=1 b=2"},
		"a cell shows in place of the head's entry": {
			[]*state.Cookie{head(value("a", "1"), value("b", "2")), cell(5, "a", "3")}, nil, reason.None, "a=3 b=2"},
		"a cell adds an entry": {
			[]*state.Cookie{head(value("b", "2")), cell(5, "a", "3")}, nil, reason.None, "a=3 b=2"},
		"a cell deletes": {
			[]*state.Cookie{head(value("a", "1"), value("b", "2")), cell(5, "a", "")}, nil, reason.None, "a- b=2"},
		"the newest of two cells shows": {
			[]*state.Cookie{head(), modified(cell(9, "a", "old"), func(c *state.Cookie) { c.Tag = "x" }), cell(5, "a", "new")}, nil, reason.None, "a=new"},
		"a cell as old as the floor does not show": {
			[]*state.Cookie{head(value("b", "2")), cell(120, "a", "3")}, nil, reason.None, "b=2"},
		"a cell of another generation is not read": {
			[]*state.Cookie{head(value("b", "2")), modified(cell(5, "a", "3"), func(c *state.Cookie) { c.Gen = state.GenID{1} })}, nil, reason.None, "b=2"},
		"a listed entry is in its cell, however old": {
			[]*state.Cookie{head(listed("a", 200)), cell(200, "a", "3")}, nil, reason.None, "a=3"},
		"a listed entry may fall back by Slack": {
			[]*state.Cookie{head(listed("a", 4)), cell(10, "a", "3")}, nil, reason.None, "a=3"},
		"torn: a listed cell is missing": {
			[]*state.Cookie{head(listed("a", 4), value("b", "2"))}, nil, reason.Torn, ""},
		"torn: a listed cell is older than listed by more than Slack": {
			[]*state.Cookie{head(listed("a", 4)), cell(11, "a", "3")}, nil, reason.Torn, ""},
		"torn: an entry that a writer saw is missing": {
			[]*state.Cookie{head(), cell(5, "a", "3", seenEntry("b", 6))}, nil, reason.Torn, ""},
		"torn: an entry that a writer saw is older by more than Slack": {
			[]*state.Cookie{head(), cell(1, "a", "3", seenEntry("b", 2)), cell(9, "b", "4")}, nil, reason.Torn, ""},
		"an entry that a writer saw may fall back by Slack": {
			[]*state.Cookie{head(), cell(1, "a", "3", seenEntry("b", 2)), cell(8, "b", "4")}, nil, reason.None, "a=3 b=4"},
		"an entry that a writer saw deleted may be missing": {
			[]*state.Cookie{head(), cell(1, "a", "3", state.SeenEntry{Name: "b", At: now - 2*minute, Deleted: true})}, nil, reason.None, "a=3"},
		"an entry that a writer saw need not show if the floor is above it": {
			[]*state.Cookie{head(), cell(1, "a", "3", seenEntry("b", 115))}, nil, reason.None, "a=3"},
		"torn: a cell of a newer turn than the head": {
			[]*state.Cookie{head(), modified(cell(1, "a", "3"), at(1))}, nil, reason.Torn, ""},
		"torn: cells without a head":      {[]*state.Cookie{cell(1, "a", "3")}, nil, reason.Torn, ""},
		"the head of a newer turn counts": {[]*state.Cookie{head(value("a", "1")), modified(head(value("a", "2")), at(1))}, nil, reason.None, "a=2"},
		"of one turn the higher floor counts": {
			[]*state.Cookie{modified(head(value("a", "2")), func(c *state.Cookie) { c.Tag, c.Floor = testRoot.WholeTag(0), ago(60) }), head(value("a", "1"))}, nil, reason.None, "a=2"},
		"a head under its own tag counts before one under a fixed tag": {
			[]*state.Cookie{modified(head(value("a", "1")), func(c *state.Cookie) { c.Tag = fixed1 }), head(value("a", "2"))}, nil, reason.None, "a=2"},
		"the newer generation counts": {
			[]*state.Cookie{head(value("a", "1")), other(5, testRoot.NextTag(), 10, false, "2")}, nil, reason.None, "a=2"},
		"a generation that is no orphan counts before an orphan": {
			[]*state.Cookie{head(value("a", "1")), other(5, fixed0, 10, true, "2")}, nil, reason.None, "a=1"},
		"the older of two orphans counts": {
			[]*state.Cookie{other(5, "x", 10, true, "2"), other(6, "y", 9, true, "3")}, nil, reason.None, "a=2"},
		"an orphan that was written to counts before one that was not": {
			[]*state.Cookie{other(5, fixed0, 10, true, "2"), other(6, "y", 9, true, "3")}, nil, reason.None, "a=3"},
		"a newer logout beats a head":          {[]*state.Cookie{head(value("a", "1")), logout(5)}, nil, reason.LoggedOut, ""},
		"an older logout does not beat a head": {[]*state.Cookie{head(value("a", "1")), logout(150)}, nil, reason.None, "a=1"},
		"a logout that has ended does not count": {
			[]*state.Cookie{head(value("a", "1")), modified(logout(5), func(c *state.Cookie) { c.End = now })}, nil, reason.None, "a=1"},
		"expired: the end has come": {
			[]*state.Cookie{modified(head(value("a", "1")), func(c *state.Cookie) { c.End = now })}, nil, reason.Expired, ""},
		"a record is missing": {
			[]*state.Cookie{modified(head(), func(c *state.Cookie) { c.Row.Number = 1 })}, nil, reason.RecordMissing, ""},
	}
}

// idleCase is a request's cookies and the expected time of the last use.
type idleCase struct {
	cookies []*state.Cookie
	idle    int64 // minutes
	verdict reason.Reason
	seen    int64 // minutes ago
}

func idleCases() map[string]idleCase {
	seen := &state.Cookie{Tag: testRoot.SeenTag(), Kind: state.Seen, Gen: testRoot.GenID(), SeenAt: now - 20*minute}
	own40 := modified(head(), func(c *state.Cookie) { c.Idle = 40 * minute })
	return map[string]idleCase{
		"by the head":                                {[]*state.Cookie{head()}, 130, reason.None, 120},
		"idle for too long":                          {[]*state.Cookie{head()}, 120, reason.ExpiredIdle, 120},
		"by a seen cookie":                           {[]*state.Cookie{head(), seen}, 30, reason.None, 20},
		"by a write":                                 {[]*state.Cookie{head(), cell(15, "a", "1"), seen}, 30, reason.None, 15},
		"not by a cell that does not show":           {[]*state.Cookie{head(value("a", "1")), cell(125, "a", "1")}, 0, reason.None, 120},
		"not by a seen cookie of another generation": {[]*state.Cookie{head(), modified(seen, func(c *state.Cookie) { c.Gen = state.GenID{} })}, 0, reason.None, 120},
		"the session's own timeout counts":           {[]*state.Cookie{own40, seen}, 10, reason.None, 20},
		"the session's own timeout ends it":          {[]*state.Cookie{own40}, 1000, reason.ExpiredIdle, 120},
		"the session's own timeout may be none":      {[]*state.Cookie{modified(head(), func(c *state.Cookie) { c.Idle = state.NoIdle })}, 10, reason.None, 120},
	}
}

func recordCases() map[string]readCase {
	ref := modified(head(), func(c *state.Cookie) { c.Row.Number = 3 })
	copied := func(v string, minutes, above int64) *state.Cookie {
		e := state.Entry{Name: "a", Stamp: ago(minutes), Value: []byte(v), Above: ago(above)}
		return head(e)
	}
	plain := func(v string, minutes int64) *state.Cookie {
		return head(state.Entry{Name: "a", Stamp: ago(minutes), Value: []byte(v)})
	}
	return map[string]readCase{
		"the record shows":                          {[]*state.Cookie{ref}, plain("1", 9), reason.None, "a=1"},
		"a newer cell shows in place of the record": {[]*state.Cookie{ref, cell(8, "a", "2")}, plain("1", 9), reason.None, "a=2"},
		"an older cell does not show":               {[]*state.Cookie{ref, cell(10, "a", "2")}, plain("1", 9), reason.None, "a=1"},
		"an older cell shows in place of a copy":    {[]*state.Cookie{ref, cell(10, "a", "2")}, copied("1", 9, 20), reason.None, "a=2"},
		"not if it is older than the copy by Slack": {[]*state.Cookie{ref, cell(16, "a", "2")}, copied("1", 9, 20), reason.None, "a=1"},
		"not if it is only as new as above":         {[]*state.Cookie{ref, cell(10, "a", "2")}, copied("1", 9, 10), reason.None, "a=1"},
		"a logout in the record":                    {[]*state.Cookie{ref}, logout(1), reason.LoggedOut, ""},
		"a record that moved back, beside a head of a newer turn": {
			[]*state.Cookie{modified(head(value("a", "2")), at(1))}, modified(plain("1", 9), func(c *state.Cookie) { c.Back = true }), reason.None, "a=2"},
		"a record of a newer turn than a head": {
			[]*state.Cookie{head(value("a", "2"))}, modified(plain("1", 9), func(c *state.Cookie) { c.Turn = 1 }), reason.None, "a=1"},
	}
}
