package state

import (
	"cmp"
	"slices"
	"strings"

	"github.com/carryon-go/carryon/reason"
)

// View is the session that the cookies of one request hold.
type View struct {
	Verdict     reason.Reason // why there is no session; None if there is one
	Refused     reason.Reason // why a cookie did not open; None if all did
	Imported    bool          // the session comes from another library's cookie and is not in ours yet
	Head        *Cookie       // the session's head; nil if there is no session
	Winner      *Cookie       // the head or logout that counts, even if its session is over; nil if none came
	Row         *Cookie       // the content of the session's record; nil if not loaded
	RowRevision Revision      // of the record when it was loaded
	Entries     []Entry       // the session's entries by name, including tombstones
	Cookies     []*Cookie     // the opened cookies, in the order of the request

	Seen     int64 // when the visitor was last seen
	IdleEnd  int64 // when the session ends unless it is used before; 0: never
	Top      int64 // the highest time in any opened cookie
	Unopened int   // number of session cookies that only another replica may open
	Loaded   int64 // when the request was read

	stored bool
}

// Read merges the cookies of a request. Their order does not matter. row is the
// content of the winner's record, or nil if that was not loaded. idle is the
// configured idle timeout in milliseconds, or 0 for none.
func Read(cookies []*Cookie, row *Cookie, now, idle int64) View {
	var v View
	v.Read(cookies, row, now, idle, nil)
	return v
}

// Read merges cookies into v, which must be empty, like the function Read. The
// merged entries are stored in scratch if its capacity suffices.
func (v *View) Read(cookies []*Cookie, row *Cookie, now, idle int64, scratch []Entry) {
	v.Cookies, v.Loaded, v.Verdict = cookies, now, reason.Absent
	if len(cookies) > 0 {
		v.Verdict = reason.Torn
	}
	v.elect(row, now)
	if v.Winner == nil {
		return
	}
	if v.Winner.Kind == Logout {
		v.Verdict = reason.LoggedOut
		return
	}
	if row != nil && row.Kind == Logout {
		v.Verdict = reason.LoggedOut
		return
	}
	v.Row = row
	v.stored = v.Winner.Stored() || row != nil && row.Turn > v.Winner.Turn
	if v.stored && row == nil {
		if v.checkIdle(now, idle); v.Verdict != reason.ExpiredIdle {
			v.Verdict = reason.RecordMissing // the cookies hold only older entries
		}
		return
	}
	if v.merge(scratch); v.Verdict == reason.Torn {
		return
	}
	if v.checkIdle(now, idle); v.Verdict == reason.ExpiredIdle {
		v.Entries = nil
		return
	}
	v.Verdict, v.Head = reason.None, v.Winner
}

// maxAhead is how far in the future a session may have been created, in
// milliseconds. A clock that was set further ahead would create sessions that never
// expire.
const maxAhead = 24 * 60 * 60 * 1000

// elect sets the winner: the head or logout that counts.
func (v *View) elect(row *Cookie, now int64) {
	if row != nil {
		v.Top = row.latest()
	}
	for _, c := range v.Cookies {
		v.Top = max(v.Top, c.latest())
		switch {
		case c.Kind != Head && c.Kind != Logout:
		case c.End <= now:
			v.Verdict = reason.Expired
		case c.Created > now+maxAhead: // ignored
		case v.Winner == nil || c.beats(v.Winner):
			v.Winner = c
		}
	}
}

// beats reports whether a counts rather than b. Both must be heads or logouts. The
// order is total for the heads and logouts of one jar.
func (a *Cookie) beats(b *Cookie) bool {
	switch {
	case a.Orphan != b.Orphan:
		return b.Orphan
	case IsFixed(a.Tag) != IsFixed(b.Tag) && (a.Orphan || a.Root == b.Root):
		return IsFixed(b.Tag) // a head under its own tag was written to since it began
	case a.Root == b.Root:
		return cmp.Or(cmp.Compare(a.Turn, b.Turn), a.Floor.Compare(b.Floor), strings.Compare(a.Tag, b.Tag)) > 0
	}
	c := cmp.Or(a.Born.Compare(b.Born), slices.Compare(a.Root[:], b.Root[:]))
	return c > 0 != a.Orphan
}

// Base returns the content that holds the entries as of the floor: the record of a
// stored session, else the head.
func (v *View) Base() *Cookie {
	if v.stored {
		return v.Row
	}
	return v.Winner
}

// Floor returns the stamp up to which cells do not show.
func (v *View) Floor() Stamp { return v.Base().Floor }

// merge sets the entries from the base and the cells. The verdict is Torn if parts
// are missing.
func (v *View) merge(scratch []Entry) {
	cells := v.cells()
	base := v.Base()
	v.Verdict = reason.None
	if len(cells) == 0 {
		v.Entries = base.Entries
		if slices.ContainsFunc(base.Entries, func(e Entry) bool { return e.Form == Listed }) {
			v.setTorn()
		}
		return
	}
	out := scratchFor(scratch, len(base.Entries)+len(cells))
	i := 0
	for len(cells) > 0 {
		name := cells[0].Entry.Name
		for ; i < len(base.Entries) && base.Entries[i].Name < name; i++ {
			out = append(out, base.Entries[i])
		}
		e, known := Entry{Stamp: base.Floor}, false // a cell up to the floor does not show
		if i < len(base.Entries) && base.Entries[i].Name == name {
			e, known = base.Entries[i], true
			i++
		}
		newest := cells[0]
		if e.overriddenBy(newest) {
			if known && e.Form == Listed && newest.Entry.Stamp.At < e.Stamp.At-Slack {
				v.Verdict = reason.Torn // the listed cell was lost, and only an older one is left
			}
			e, known = newest.Entry, true
			e.From = newest
		}
		if known {
			out = append(out, e)
		}
		for len(cells) > 0 && cells[0].Entry.Name == name {
			cells = cells[1:]
		}
	}
	v.Entries = append(out, base.Entries[i:]...)
	if v.Verdict == reason.Torn || !v.isComplete(base.Floor) {
		v.setTorn()
	}
}

func (v *View) setTorn() { v.Verdict, v.Entries = reason.Torn, nil }

// cells returns the generation's cells by name, the newest of each name first.
// Cells of the same stamp are ordered by tag, so that all readers choose the same
// one.
func (v *View) cells() (all []*Cookie) {
	n := 0
	for _, c := range v.Cookies {
		if c.Kind == Cell {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	gen := v.Winner.Root.GenID()
	all = make([]*Cookie, 0, n)
	for _, c := range v.Cookies {
		if c.Kind == Cell && c.Gen == gen {
			all = append(all, c)
		}
	}
	if len(all) > 1 {
		slices.SortFunc(all, func(a, b *Cookie) int {
			return cmp.Or(strings.Compare(a.Entry.Name, b.Entry.Name), b.Entry.Stamp.Compare(a.Entry.Stamp), strings.Compare(b.Tag, a.Tag))
		})
	}
	return all
}

// isComplete reports whether no head or cell is missing. Each listed entry must have
// its cell. Each entry that the writer of a cell saw must show, or a newer write of
// it must.
func (v *View) isComplete(floor Stamp) bool {
	for i := range v.Entries {
		e := &v.Entries[i]
		if e.From == nil {
			if e.Form == Listed {
				return false
			}
			continue
		}
		if e.From.Turn > v.Winner.Turn {
			return false // a newer head is missing
		}
		for _, s := range e.From.SeenEntries {
			if s.At-Slack > floor.At && !v.shows(s) {
				return false
			}
		}
	}
	return true
}

// shows reports whether the view shows a seen entry or a newer write of it.
func (v *View) shows(s SeenEntry) bool {
	e := v.Find(s.Name)
	if e == nil {
		return s.Deleted
	}
	return e.Stamp.At >= s.At-Slack || s.Deleted && e.Form == Deleted
}

// Find returns the entry of a name, which may be a tombstone, or nil.
func (v *View) Find(name string) *Entry { return find(v.Entries, name) }

// Find returns the entry of a name in a head or a record, or nil.
func (c *Cookie) Find(name string) *Entry { return find(c.Entries, name) }

func find(all []Entry, name string) *Entry {
	i, ok := slices.BinarySearchFunc(all, name, func(e Entry, n string) int { return strings.Compare(e.Name, n) })
	if !ok {
		return nil
	}
	return &all[i]
}

// checkIdle sets the time of the last use and the end of the idle timeout. The
// verdict is ExpiredIdle if that end has passed.
func (v *View) checkIdle(now, idle int64) {
	h := v.Winner
	v.Seen = h.SeenAt
	for i := range v.Entries {
		if c := v.Entries[i].From; c != nil {
			v.Seen = max(v.Seen, c.Entry.Stamp.At)
		}
	}
	for _, c := range v.Cookies {
		if c.Kind == Seen && c.SeenAt > v.Seen && c.Gen == h.Root.GenID() {
			v.Seen = c.SeenAt
		}
	}
	if h.Idle != 0 {
		idle = h.Idle
	}
	if idle > 0 && idle < NoIdle {
		if v.IdleEnd = v.Seen + idle; now >= v.IdleEnd {
			v.Verdict = reason.ExpiredIdle
		}
	}
}

// Reason returns why there is no session, or None if there is one. If a part of the
// session is missing that another replica may be able to open, it returns why this
// one could not.
func (v *View) Reason() reason.Reason {
	switch v.Verdict {
	case reason.Absent:
		if v.Refused != reason.None {
			return v.Refused
		}
	case reason.Torn, reason.RecordMissing:
		if v.Unopened > 0 {
			return v.Refused
		}
	}
	return v.Verdict
}

// Stored reports whether the session's entries are in a record.
func (v *View) Stored() bool { return v.stored }

// End removes the session from the view.
func (v *View) End(why reason.Reason) {
	v.Verdict, v.Head, v.Entries, v.Imported = why, nil, nil, false
}

// Continues reports whether v shows each live entry of an earlier view of the
// session, or a newer write of it.
func (v *View) Continues(earlier *View) bool {
	for i := range earlier.Entries {
		e := &earlier.Entries[i]
		if have := v.Find(e.Name); e.Live() && (have == nil || have.Stamp.At < e.Stamp.At-Slack) {
			return false
		}
	}
	return true
}
