package main

import (
	"fmt"
	"time"

	"github.com/carryon-go/carryon/internal/core"
)

// A line is a row of the report on one cookie.
type line struct{ label, text string }

var kinds = map[core.Kind]string{
	core.Logout:    "logout: the session was ended",
	core.SeenMark:  "idle clock",
	core.Reference: "reference to a stored record",
}

// describe tells what an opened fragment holds: never the session's root, from
// which everything else could be made, and the values only if asked for.
func describe(f *core.Fragment, values bool, now time.Time) []line {
	kind, ok := kinds[f.Kind]
	switch {
	case !ok && f.Snapshot():
		kind = "snapshot"
	case !ok:
		kind = fmt.Sprintf("delta: builds on %s that other cookies carry", count(len(f.Needs), "write"))
	}
	lines := []line{
		{"kind", kind},
		{"session", f.Root.ID()},
		{"created", moment(f.Created)},
		{"seen", moment(f.Seen)},
		{"expires", moment(f.End) + over(f.End, now)},
	}
	if f.Idle != 0 {
		lines = append(lines, line{"idle", (time.Duration(f.Idle) * time.Millisecond).String()})
	}
	if f.Subject != nil {
		lines = append(lines, line{"subject", hidden(f.Subject, values, func(b []byte) string { return quote(string(b)) })})
	}
	if f.Kind == core.Data {
		lines = append(lines, entries(f.Entries, values)...)
	}
	return lines
}

func entries(list []core.Entry, values bool) []line {
	lines := []line{{"entries", fmt.Sprint(len(list))}}
	for _, e := range list {
		text := quote(e.Name) + ": "
		if e.Dead() {
			text += "deleted " + moment(e.Gone)
		} else {
			text += hidden(e.Value, values, diagnose) + ", written " + moment(e.Stamp.At)
		}
		lines = append(lines, line{"", text})
	}
	return lines
}

// hidden shows a value, or only how long it is.
func hidden(value []byte, show bool, how func([]byte) string) string {
	if show {
		return how(value)
	}
	return count(len(value), "byte")
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
