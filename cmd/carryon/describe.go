package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/middleware"
)

// A line is a row of the report on one cookie.
type line struct{ label, text string }

// description says what an opened cookie holds. It never shows the root, from
// which everything else could be made, and shows values only if asked.
type description struct {
	values bool
	now    time.Time
	heads  []*state.Cookie // of the same program
}

// of describes one cookie.
func (d description) of(c *state.Cookie) []line {
	switch c.Kind {
	case state.Cell:
		return d.cell(c)
	case state.Seen:
		return []line{{"kind", "seen: when the visitor was last seen"}, {"session", d.owner(c.Gen)}, {"seen", moment(c.SeenAt)}}
	case state.Logout:
		return []line{{"kind", "logout: a session was ended"}, {"ended", moment(c.Born.At)}, {"expires", moment(c.End) + over(c.End, d.now)}}
	}
	return d.head(c)
}

func (d description) head(c *state.Cookie) []line {
	kind := "head"
	if c.Stored() {
		kind = "reference: the session is in the store"
	}
	lines := []line{
		{"kind", kind},
		{"session", c.Root.ID()},
		{"turn", strconv.FormatUint(c.Turn, 10)},
		{"created", moment(c.Created)},
	}
	if c.Born.At != c.Created {
		lines = append(lines, line{"renewed", moment(c.Born.At)})
	}
	lines = append(lines, line{"seen", moment(c.SeenAt)}, line{"expires", moment(c.End) + over(c.End, d.now) + d.browser(c)})
	switch c.Idle {
	case 0:
	case state.NoIdle:
		lines = append(lines, line{"idle", "no timeout"})
	default:
		lines = append(lines, line{"idle", (time.Duration(c.Idle) * time.Millisecond).String()})
	}
	if c.Subject != nil {
		lines = append(lines, line{"subject", d.hidden(c.Subject, func(b []byte) string { return quote(string(b)) })})
	}
	if c.Stored() {
		return append(lines, line{"record", fmt.Sprintf("%s, revision %d", c.Root.RecordID(), c.Row.Number)})
	}
	return append(lines, d.entries(c)...)
}

func (d description) browser(c *state.Cookie) string {
	if c.Browser {
		return ", or with the browser session"
	}
	return ""
}

// entries lists what a head carries, as of its floor.
func (d description) entries(c *state.Cookie) []line {
	lines := []line{{"as of", moment(c.Floor.At)}, {"entries", strconv.Itoa(len(c.Entries))}}
	for i := range c.Entries {
		e := &c.Entries[i]
		lines = append(lines, line{"", d.entry(e, e.Stamp != c.Floor)})
	}
	return lines
}

func (d description) cell(c *state.Cookie) []line {
	lines := []line{
		{"kind", "cell"},
		{"session", d.owner(c.Gen)},
		{"turn", strconv.FormatUint(c.Turn, 10)},
		{"entry", d.entry(&c.Entry, true)},
	}
	label := "saw"
	for _, s := range c.SeenEntries {
		what := ": written "
		if s.Deleted {
			what = ": deleted "
		}
		lines = append(lines, line{label, quote(s.Name) + what + moment(s.At)})
		label = ""
	}
	return lines
}

// entry says what an entry is and, if told to, when it was written.
func (d description) entry(e *state.Entry, timed bool) string {
	text := quote(e.Name) + ": "
	switch {
	case e.Form == state.Deleted:
		return text + "deleted " + moment(e.Stamp.At)
	case e.Form == state.Listed:
		return text + "in a cell, written about " + moment(e.Stamp.At) + " or later"
	}
	text += d.hidden(e.CBOR(), diagnose)
	if timed {
		text += ", written " + moment(e.Stamp.At)
	}
	return text
}

// owner names the session of a generation, if its head came along.
func (d description) owner(gen state.GenID) string {
	for _, h := range d.heads {
		if h.Root.GenID() == gen {
			return h.Root.ID()
		}
	}
	return "unknown: its head is not here"
}

// hidden shows a value, or only how long it is.
func (d description) hidden(value []byte, how func([]byte) string) string {
	if d.values {
		return how(value)
	}
	return count(len(value), "byte")
}

// counts says whether the library makes the session of a cookie.
func counts(c *middleware.CookieReport) (lines []line) {
	if c == nil || c.Kind == "" {
		return nil
	}
	if !c.Counts {
		return []line{{"counts", "no: it is of another session, or another cookie has its entry"}}
	}
	lines = []line{{"counts", "yes"}}
	if len(c.Entries) > 0 {
		var names []string
		for _, name := range c.Entries {
			names = append(names, quote(name))
		}
		lines = append(lines, line{"shows", strings.Join(names, ", ")})
	}
	return lines
}

func moment(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

func over(ms int64, now time.Time) string {
	if now.Before(time.UnixMilli(ms)) {
		return ""
	}
	return " (over)"
}
