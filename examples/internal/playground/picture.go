package playground

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// picture is the answer of GET /api/session: the session, and the cookies that
// it came in.
type picture struct {
	ID      string     `json:"id"`  // "" until something is written
	New     bool       `json:"new"` // the request brought no session
	Created *time.Time `json:"created"`
	Expires *time.Time `json:"expires"`
	Names   []string   `json:"names"`

	Cookies            []cookie `json:"cookies"`              // of the session, as the request carried them
	RequestCookieBytes int      `json:"request_cookie_bytes"` // of the whole Cookie header, other cookies included

	// Mode is "inline" if the head and each cell take one cookie, "chunked" if one
	// of them takes several, "stored" if the session is in the store, "" if there
	// is no session.
	Mode       string  `json:"mode"`
	Record     *record `json:"record"`      // null if it is not in the store
	StoreCalls int     `json:"store_calls"` // of this request, so far
	Subject    string  `json:"subject"`     // whose session it is, "" if nobody has said
	Groups     []group `json:"groups"`
	Chunks     int     `json:"chunks"` // cookies of the session
	Budget     budget  `json:"budget"`
}

// cookie is one cookie's size as browsers count it.
type cookie struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"` // name + value
}

// record is the session's row in the store, as middleware.RecordReport says it.
type record struct {
	ID       string    `json:"id"`       // a hash
	Bytes    int       `json:"bytes"`    // sealed
	Revision uint64    `json:"revision"` // its number
	Expires  time.Time `json:"expires"`
	Entries  []string  `json:"entries"` // the names whose value is from it
}

// group is one sealed value, in one cookie or chunked over several, as
// middleware.CookieReport says it.
type group struct {
	Tag     string   `json:"tag"`
	Kind    string   `json:"kind"`    // head, reference, cell, logout, seen, or "" if it did not open
	Counts  bool     `json:"counts"`  // the session is made of it
	Entries []string `json:"entries"` // the names whose value is from it
	Pieces  int      `json:"pieces"`  // cookies
	Bytes   int      `json:"bytes"`   // of the Cookie header
}

// budget is the limits in effect and how much of them is taken.
type budget struct {
	Platform       string `json:"platform"`         // "" for the default's
	CookieBytes    share  `json:"cookie_bytes"`     // the largest cookie, with attributes
	Cookies        share  `json:"cookies"`          // in the request
	RequestBytes   share  `json:"request_bytes"`    // of the Cookie header
	ResponseBytes  share  `json:"response_bytes"`   // of the session's last Set-Cookie lines
	SetCookieLines share  `json:"set_cookie_lines"` // in that response
}

// share is what is taken of one limit; null if this process cannot know.
type share struct {
	Max  int  `json:"max"`
	Used *int `json:"used"`
}

// look takes the picture without changing or creating anything.
func (a *app) look(r *http.Request, s *session.Session) picture {
	p := picture{
		ID: s.ID(), New: s.IsNew(), Created: timeOrNil(s.Created()), Expires: timeOrNil(s.Expires()),
		Names: append([]string{}, s.Names()...), Cookies: []cookie{}, Groups: []group{},
	}
	d := a.sessions.Explain(r)
	for _, c := range d.Cookies {
		p.Groups = append(p.Groups, group{c.Tag, c.Kind, c.Counts, append([]string{}, c.Entries...), c.Pieces, c.Bytes})
		p.Chunks += c.Pieces
	}
	p.Mode, p.Budget, p.StoreCalls = mode(s, d), a.budget(s.ID(), d), d.StoreCalls
	p.Subject, _ = s.Subject()
	if r := d.Record; r != nil {
		p.Record = &record{r.ID, r.Bytes, r.Number, r.Expires, append([]string{}, r.Entries...)}
	}
	for _, line := range r.Header.Values("Cookie") {
		p.RequestCookieBytes += len(line)
	}
	for _, c := range r.Cookies() {
		if c.Name == a.name || strings.HasPrefix(c.Name, a.name+".") {
			p.Cookies = append(p.Cookies, cookie{c.Name, len(c.Name) + len(c.Value)})
		}
	}
	return p
}

func mode(s *session.Session, d middleware.Explanation) string {
	switch {
	case s.IsNew():
		return ""
	case d.Record != nil:
		return "stored"
	case slices.ContainsFunc(d.Cookies, func(c middleware.CookieReport) bool { return c.Pieces > 1 }):
		return "chunked"
	}
	return "inline"
}

func (a *app) budget(id string, d middleware.Explanation) budget {
	b := budget{
		Platform:       a.platform,
		CookieBytes:    share{d.Limits.CookieBytes, &d.Used.CookieBytes},
		Cookies:        share{d.Limits.Cookies, &d.Used.Cookies},
		RequestBytes:   share{d.Limits.RequestBytes, &d.Used.RequestBytes},
		ResponseBytes:  share{d.Limits.ResponseBytes, nil},
		SetCookieLines: share{d.Limits.SetCookieLines, nil},
	}
	if last := a.traffic.of(id); last != nil {
		b.ResponseBytes.Used, b.SetCookieLines.Used = &last.bytes, &last.lines
	}
	return b
}

// timeOrNil makes null of a time that there is not.
func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
