package playground

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// A picture is the response of GET /api/session: the session, and the cookies
// of the request.
type picture struct {
	ID      string     `json:"id"`  // "" until the first write
	New     bool       `json:"new"` // the request had no session
	Created *time.Time `json:"created"`
	Expires *time.Time `json:"expires"`
	Names   []string   `json:"names"`

	Cookies            []cookie `json:"cookies"`              // the session's cookies in the request
	RequestCookieBytes int      `json:"request_cookie_bytes"` // of the whole Cookie header, with other cookies

	// Mode is "inline" if the head and each cell fit one cookie, "chunked" if
	// one of them needs several, "stored" if the session is in the store, and
	// "" if there is no session.
	Mode       string  `json:"mode"`
	Record     *record `json:"record"`      // null if the session is not in the store
	StoreCalls int     `json:"store_calls"` // during this request
	Subject    string  `json:"subject"`     // the session's subject, or ""
	Groups     []group `json:"groups"`
	Chunks     int     `json:"chunks"` // number of the session's cookies
	Budget     budget  `json:"budget"`
}

// A cookie is the size of a cookie as browsers count it.
type cookie struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"` // name + value
}

// A record is the session's record in the store, as in middleware.RecordReport.
type record struct {
	ID       string    `json:"id"`       // a hash
	Bytes    int       `json:"bytes"`    // sealed
	Revision uint64    `json:"revision"` // revision number
	Expires  time.Time `json:"expires"`
	Entries  []string  `json:"entries"` // names whose values are from it
}

// A group is a sealed value in one or more cookies, as in middleware.CookieReport.
type group struct {
	Tag     string   `json:"tag"`
	Kind    string   `json:"kind"`    // head, reference, cell, logout or seen; "" if it did not open
	Counts  bool     `json:"counts"`  // the session uses it
	Entries []string `json:"entries"` // names whose values are from it
	Pieces  int      `json:"pieces"`  // number of cookies
	Bytes   int      `json:"bytes"`   // in the Cookie header
}

// A budget is the limits in effect, and how much of each is used.
type budget struct {
	Platform       string `json:"platform"`         // "" for the default
	CookieBytes    share  `json:"cookie_bytes"`     // the largest cookie, with its attributes
	Cookies        share  `json:"cookies"`          // in the request
	RequestBytes   share  `json:"request_bytes"`    // of the Cookie header
	ResponseBytes  share  `json:"response_bytes"`   // Set-Cookie lines of the session's last write
	SetCookieLines share  `json:"set_cookie_lines"` // in that response
}

// A share is the used part of a limit, or null if this process does not know
// it.
type share struct {
	Max  int  `json:"max"`
	Used *int `json:"used"`
}

// look returns the picture without changing or creating anything.
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

// timeOrNil returns nil for the zero time, so that JSON has null.
func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
