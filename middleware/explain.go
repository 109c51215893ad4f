package middleware

import (
	"net/http"
	"strings"
	"time"

	"github.com/carryon-go/carryon/internal/cookiejar"
	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
)

// Explanation describes how the session of one request was found. Use it to answer why
// a visitor was not recognised, and for debugging pages. It has names and numbers, but
// no values, cookies or secrets.
type Explanation struct {
	// Reason is why there is no session, or [reason.None] if there is one.
	Reason reason.Reason
	// SessionID is the public id of the session, if there is one.
	SessionID string
	// Refused lists the cookies and records that did not count, with their reasons.
	Refused []Refusal
	// Err is the error of the load, or nil.
	Err error
	// Cookies lists the session cookies of the request, in the order of the Cookie
	// header. Some may be left over from older sessions.
	Cookies []CookieReport
	// Record is the session's record in the store, as this request last loaded or
	// saved it. It is nil if the session is in cookies.
	Record *RecordReport
	// StoreCalls is how many calls to the store this request has made so far. Most
	// calls are one round trip.
	StoreCalls int
	// Limits are the limits in force; see [Sessions.Limits].
	Limits Limits
	// Used is how much of Limits this request uses: its largest session cookie, and
	// the number and bytes of all its cookies, including those of other programs.
	// Fields that apply only to a response are 0.
	Used Limits
}

// RecordReport is a session's record in the store.
type RecordReport struct {
	ID      string    // of the row: a hash, which is useless without the cookies
	Number  uint64    // of its revision; it grows by one with each write
	Bytes   int       // sealed
	Expires time.Time // when the store may delete it
	Entries []string  // the names of the entries with a value in it, sorted
}

// CookieReport describes one sealed value, in one cookie or in several pieces.
type CookieReport struct {
	// Tag is what follows the base name: of "__Host-session.k7m2qv5xyd" it is
	// "k7m2qv5xyd". It is empty with [Cookie.FixedName].
	Tag string
	// Kind is "head" (the session as of some time), "reference" (to the record
	// in the store), "cell" (one entry that was written later), "logout", "seen"
	// (when the visitor was last seen), or "" if the value did not open. Refused
	// then has the reason.
	Kind string
	// Counts reports whether the session is made of this cookie. A cookie that
	// does not count belongs to an older session, or holds an older value.
	Counts bool
	// Entries are the names of the entries whose current value is from this cookie,
	// sorted.
	Entries []string
	// Pieces is the number of cookies, and Bytes their length in the Cookie header,
	// with names and separators.
	Pieces, Bytes int
}

// Explain describes how the session of a request was found, and which of its cookies
// counted. It does not include changes that a handler has not saved.
//
// If a handler has used the session of the request before, Explain reports that
// session. Otherwise it loads the session as a handler would, without events and
// without an effect on the response. It may ask the store and the ring's source.
func (m *Sessions) Explain(r *http.Request) Explanation {
	x, cookies := m.exchange(r.Context()), r.Header["Cookie"]
	if x != nil {
		cookies = x.cookies
	}
	if x == nil || !x.core().Loaded() { // a load that fails must not fail the response
		_, x = m.Begin(r.Context(), Request{Method: r.Method, Cookies: cookies})
		x.ensureState().silent = true
	}
	v := x.core().View()
	e := Explanation{Reason: v.Reason(), Err: x.core().LoadErr(), Limits: m.limits}
	if v.Head != nil {
		e.SessionID = v.Head.Root.ID()
	}
	x.core().Locked(func() { x.explain(&e, v) }) // a goroutine of the handler's may save meanwhile
	return e
}

func (x *Exchange) explain(e *Explanation, v *state.View) {
	found := x.loadResult()
	for i := range found.jar.Groups {
		var c *state.Cookie
		if i < len(found.groups) {
			c = found.groups[i].cookie
		}
		e.Cookies = append(e.Cookies, reportOf(v, &found.jar.Groups[i], c))
	}
	e.Used = x.sessions.used(&found.jar)
	e.Refused = found.allRefused()
	if s := found.stored; s != nil {
		e.StoreCalls, e.Record = s.Calls, s.report(v)
	}
}

// loadResult is that of the load, or what the request carries if nothing was
// loaded.
func (x *Exchange) loadResult() *loadResult {
	if w := x.state.Load(); w != nil && w.found != nil {
		return w.found
	}
	found := &loadResult{}
	found.jar.Read(x.cookies, x.sessions.config.Cookie.Name, x.sessions.config.Cookie.FixedName)
	return found
}

func (s *stored) report(v *state.View) *RecordReport {
	if s.Record == nil || v.Head == nil || !v.Stored() {
		return nil
	}
	c := s.Record.Content
	r := &RecordReport{ID: c.Root.RecordID(), Number: s.Record.Revision.Number, Bytes: s.Record.Bytes, Expires: s.Record.Expires}
	for i := range c.Entries {
		if c.Entries[i].Live() {
			r.Entries = append(r.Entries, strings.Clone(c.Entries[i].Name))
		}
	}
	return r
}

// reportOf says what a group of cookies is, and whether it counts. Names are
// copied: they would keep the whole opened cookie alive.
func reportOf(v *state.View, g *cookiejar.Group, c *state.Cookie) CookieReport {
	out := CookieReport{Tag: strings.Clone(g.Tag), Pieces: g.Count, Bytes: g.Bytes}
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
