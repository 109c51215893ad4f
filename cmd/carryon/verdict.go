package main

import (
	"cmp"
	"errors"
	"time"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/session"
)

// jar is what the cookies of one base name held.
type jar struct {
	base    string
	opened  []*core.Fragment
	unknown int            // sealed by a key that the ring does not have
	torn    int            // of which pieces are missing
	reason  session.Reason // of those that did not open the one that says most
}

// jarOf finds, or begins, the jar of a base name.
func (in *inspection) jarOf(base string) *jar {
	for _, j := range in.jars {
		if j.base == base {
			return j
		}
	}
	j := &jar{base: base}
	in.jars = append(in.jars, j)
	return j
}

// refuse counts a fragment that did not open, as a program does.
func (j *jar) refuse(err error) {
	reason := session.Malformed
	var e *codec.Error
	if errors.As(err, &e) {
		reason = session.Reason(e.Reason)
	}
	switch reason {
	case session.UnknownKey:
		j.unknown++
	case session.Torn:
		j.torn++
	}
	if j.reason == "" || reason == session.UnknownKey {
		j.reason = reason
	}
}

// verdict is what a program makes of all cookies of a name together, in the words
// of its events.
func (j *jar) verdict(now time.Time, idle time.Duration) []line {
	v := core.Merge(j.opened, j.unknown, core.Millis(now), max(idle.Milliseconds(), 0))
	v.Closed, v.Frozen = string(j.reason), j.torn > 0
	var lines []line
	switch {
	case v.Verdict == core.Unstored:
		lines = append(lines, line{"reason", "none so far: the session is in the store, which is not asked"})
	case v.Head != nil:
		lines = append(lines, line{"reason", "none: it is recognised, unless it was revoked"})
	default:
		lines = append(lines, line{"reason", string(session.ReasonOf(&v))})
	}
	label := "refused"
	for i, f := range v.Fragments {
		if reason := session.ReasonOfFate(v.Fates[i]); reason != "" {
			lines = append(lines, line{label, cmp.Or(f.Suffix, "the cookie") + ": " + string(reason)})
			label = ""
		}
	}
	return lines
}
