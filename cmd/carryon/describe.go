package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/middleware"
)

// A line is a row of the report on a cookie.
type line struct{ label, text string }

// A description describes opened cookies. It shows values only if values is
// set, and never the root: all other secrets of a session derive from it.
type description struct {
	values bool
	now    time.Time
	heads  []*state.Cookie // heads of the same program
}

// of describes a cookie.
func (d description) of(c *state.Cookie) []line {
	switch c.Kind {
	case state.Cell:
		return d.cell(c)
	case state.Seen:
		return []line{{"kind", "seen: when the visitor was last seen"}, {"session", d.owner(c.Gen)}, {"seen", timestamp(c.SeenAt)}}
	case state.Logout:
		return []line{{"kind", "logout: a session was ended"}, {"ended", timestamp(c.Born.At)}, {"expires", timestamp(c.End) + expiredNote(c.End, d.now)}}
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
		{"created", timestamp(c.Created)},
	}
	if c.Born.At != c.Created {
		lines = append(lines, line{"renewed", timestamp(c.Born.At)})
	}
	lines = append(lines, line{"seen", timestamp(c.SeenAt)}, line{"expires", timestamp(c.End) + expiredNote(c.End, d.now) + d.browser(c)})
	switch c.Idle {
	case 0:
	case state.NoIdle:
		lines = append(lines, line{"idle", "no timeout"})
	default:
		lines = append(lines, line{"idle", (time.Duration(c.Idle) * time.Millisecond).String()})
	}
	for name := range c.Subjects.All() {
		lines = append(lines, line{"subject", d.valueText(name, func(b []byte) string { return quote(string(b)) })})
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

// entries lists the entries in a head.
func (d description) entries(c *state.Cookie) []line {
	lines := []line{{"as of", timestamp(c.Floor.At)}, {"entries", strconv.Itoa(len(c.Entries))}}
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
		lines = append(lines, line{label, quote(s.Name) + what + timestamp(s.At)})
		label = ""
	}
	return lines
}

// entry describes an entry and, if timed is set, says when it was written.
func (d description) entry(e *state.Entry, timed bool) string {
	text := quote(e.Name) + ": "
	switch {
	case e.Form == state.Deleted:
		return text + "deleted " + timestamp(e.Stamp.At)
	case e.Form == state.Listed:
		return text + "in a cell, written about " + timestamp(e.Stamp.At) + " or later"
	}
	text += d.valueText(e.CBOR(), diagnose)
	if timed {
		text += ", written " + timestamp(e.Stamp.At)
	}
	return text
}

// owner returns the id of the session of a generation, if its head is among the
// cookies.
func (d description) owner(gen state.GenID) string {
	for _, h := range d.heads {
		if h.Root.GenID() == gen {
			return h.Root.ID()
		}
	}
	return "unknown: its head is not among the cookies"
}

// valueText returns a value as text if values are shown, and otherwise its length.
func (d description) valueText(value []byte, how func([]byte) string) string {
	if d.values {
		return how(value)
	}
	return count(len(value), "byte")
}

// counts reports whether the library uses a cookie, and for which entries.
func counts(c *middleware.CookieReport) (lines []line) {
	if c == nil || c.Kind == "" {
		return nil
	}
	if !c.Counts {
		return []line{{"counts", "no: it belongs to another session, or another cookie replaces it"}}
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

func timestamp(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

func expiredNote(ms int64, now time.Time) string {
	if now.Before(time.UnixMilli(ms)) {
		return ""
	}
	return " (expired)"
}
