package middleware

import (
	"context"
	"strings"
	"time"

	"github.com/carryon-go/carryon/internal/cookiejar"
	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/state"
)

// Description says how a session stands in the cookies of one request, for a
// page that helps with debugging or an operator who answers a visitor's call. It
// holds names and numbers, and no values, cookies or secrets.
type Description struct {
	// Cookies are what the request carried of this session, and of older ones
	// that are not cleared away yet, in the order of the Cookie header.
	Cookies []Cookie
	// Record is what stands in the store for the session, as this request last
	// loaded or saved it; nil if the session is not there.
	Record *Record
	// StoreCalls is how many calls of the store this request has made so far. A
	// call is one round trip, except for the few for which the store says
	// otherwise.
	StoreCalls int
	// Limits are the numbers in effect: the platform's, and those that Config
	// overrides.
	Limits Limits
	// Used is how much of Limits this request takes, counted as a write counts
	// it: its largest session cookie, its cookies and its Cookie header, the
	// program's own included. What only a response shows is 0.
	Used Limits
}

// Record is a session's record in the store.
type Record struct {
	ID      string    // under which the store has it: a hash, of no use without the cookies
	Number  uint64    // of its revision; it grows by one with each write
	Bytes   int       // sealed
	Expires time.Time // when the store may drop it
	Entries []string  // the names that have a value in it, sorted
}

// Cookie is one sealed value, in one cookie or chunked over several.
type Cookie struct {
	// Tag is what follows the base name: of "__Host-session.k7m2qv5xyd" it is
	// "k7m2qv5xyd". It is empty with [Config.FixedName].
	Tag string
	// Kind is "head" (the session as of some time), "reference" (to the record
	// in the store), "cell" (one entry that was written later), "logout", "seen"
	// (when the visitor was last seen), or "" if it did not open; the session's
	// Reason may then say why.
	Kind string
	// Counts reports whether the session is made of this cookie. A cookie that
	// does not count belongs to an older session, or holds an older value.
	Counts bool
	// Entries are the names whose present value is from this cookie, sorted.
	Entries []string
	// Pieces is how many cookies it takes, and Bytes what these take of the
	// Cookie header: names, values and separators.
	Pieces, Bytes int
}

// Describe tells how the session that this Sessions put into ctx was found:
// changes since then are not in it. It loads the session if need be, changes
// nothing, and panics where ctx did not pass the Handler.
func (m *Sessions) Describe(ctx context.Context) Description {
	x := m.exchange(ctx)
	if x == nil {
		panic("carryon: Sessions.Describe: this context did not pass this Sessions' Handler; " +
			"wrap the handler that serves this route, and pass r.Context() on")
	}
	v := x.core().View()
	d := Description{Limits: m.limits}
	x.core().Locked(func() { x.describe(&d, v) }) // a goroutine of the handler's may save meanwhile
	return d
}

func (x *Exchange) describe(d *Description, v *state.View) {
	found := x.loadResult()
	for i := range found.jar.Groups {
		var c *state.Cookie
		if i < len(found.groups) {
			c = found.groups[i].cookie
		}
		d.Cookies = append(d.Cookies, describe(v, &found.jar.Groups[i], c))
	}
	d.Used = x.sessions.used(&found.jar)
	if s := found.stored; s != nil {
		d.StoreCalls, d.Record = s.Calls, s.describe(v)
	}
}

// loadResult is that of the load, or what the request carries if nothing was
// loaded.
func (x *Exchange) loadResult() *loadResult {
	if w := x.state.Load(); w != nil && w.found != nil {
		return w.found
	}
	found := &loadResult{}
	found.jar.Read(x.cookies, x.sessions.Name, x.sessions.FixedName)
	return found
}

func (s *stored) describe(v *state.View) *Record {
	if s.Record == nil || v.Head == nil || !v.Stored() {
		return nil
	}
	c := s.Record.Content
	r := &Record{ID: c.Root.RecordID(), Number: s.Record.Revision.Number, Bytes: s.Record.Bytes, Expires: s.Record.Expires}
	for i := range c.Entries {
		if c.Entries[i].Live() {
			r.Entries = append(r.Entries, strings.Clone(c.Entries[i].Name))
		}
	}
	return r
}

// describe says what a group of cookies is, and whether it counts. Names are
// copied: they would keep the whole opened cookie alive.
func describe(v *state.View, g *cookiejar.Group, c *state.Cookie) Cookie {
	out := Cookie{Tag: strings.Clone(g.Tag), Pieces: g.Count, Bytes: g.Bytes}
	if c == nil {
		return out
	}
	out.Kind = c.Kind.String()
	if c.Kind == state.Head && c.Stored() {
		out.Kind = "reference"
	}
	own := v.Winner != nil && (v.Head != nil || c.Kind == state.Logout) && (c.Root == v.Winner.Root || c.Gen == v.Winner.Root.GenID())
	out.Counts = own && (c.Kind == state.Seen || c == v.Winner)
	for i := range v.Entries {
		e := &v.Entries[i]
		from := e.From == c || e.From == nil && c == v.Winner && !v.Stored()
		out.Counts = out.Counts || e.From == c
		if from && e.Live() {
			out.Entries = append(out.Entries, strings.Clone(e.Name))
		}
	}
	return out
}

// used is what a request's cookies take, by the rules of the policy.
func (m *Sessions) used(j *cookiejar.Jar) Limits {
	l := Limits{Cookies: min(j.Others, m.limits.Cookies/2) + len(j.Pieces), RequestBytes: j.OthersBytes + j.Bytes}
	for i := range j.Pieces {
		p := &j.Pieces[i]
		l.CookieBytes = max(l.CookieBytes, m.form.NameLen()+policy.Digits(p.Index)+1+len(p.Value)+m.form.MaxAttributes())
	}
	return l
}
