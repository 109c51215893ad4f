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

	// Mode is "inline" where every fragment of the session is one cookie,
	// "chunked" where one is cut into several, "stored" where the session is in the
	// store, "" where there is no session.
	Mode       string     `json:"mode"`
	Record     *record    `json:"record"`      // null where it is not in the store
	StoreCalls int        `json:"store_calls"` // of this request, so far
	Subject    string     `json:"subject"`     // whose session it is, "" where nobody has said
	Fragments  []fragment `json:"fragments"`
	Chunks     int        `json:"chunks"` // cookies of the session
	Budget     budget     `json:"budget"`
}

// cookie is one cookie's size as browsers count it.
type cookie struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"` // name + value
}

// record is the session's row in the store, as middleware.Record says it.
type record struct {
	ID       string    `json:"id"`       // a hash
	Bytes    int       `json:"bytes"`    // sealed
	Revision uint64    `json:"revision"` // its number
	Expires  time.Time `json:"expires"`
	Entries  []string  `json:"entries"` // the names whose value is from it
}

// fragment is one sealed value, as middleware.Fragment says it.
type fragment struct {
	Suffix  string   `json:"suffix"`
	Kind    string   `json:"kind"`    // snapshot, delta, reference, logout, seen, or "" where it did not open
	Fate    string   `json:"fate"`    // accepted, covered, superseded, late, torn, expired, unopened
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
	Parallel       share  `json:"parallel"`         // calls of this session under way, this one included
}

// share is what is taken of one limit; null where this process cannot know.
type share struct {
	Max  int  `json:"max"`
	Used *int `json:"used"`
}

// look takes the picture without changing or creating anything.
func (a *app) look(r *http.Request, s *session.Session) picture {
	p := picture{
		ID: s.ID(), New: s.IsNew(), Created: timeOrNil(s.Created()), Expires: timeOrNil(s.Expires()),
		Names: append([]string{}, s.Names()...), Cookies: []cookie{}, Fragments: []fragment{},
	}
	d := a.sessions.Describe(r.Context())
	for _, f := range d.Fragments {
		p.Fragments = append(p.Fragments, fragment{f.Suffix, f.Kind, f.Fate, append([]string{}, f.Entries...), f.Pieces, f.Bytes})
		p.Chunks += f.Pieces
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

func mode(s *session.Session, d middleware.Description) string {
	switch {
	case s.IsNew():
		return ""
	case d.Record != nil:
		return "stored"
	case slices.ContainsFunc(d.Fragments, func(f middleware.Fragment) bool { return f.Pieces > 1 }):
		return "chunked"
	}
	return "inline"
}

func (a *app) budget(id string, d middleware.Description) budget {
	calls, last := a.traffic.of(id)
	b := budget{
		Platform:       a.platform,
		CookieBytes:    share{d.Limits.CookieBytes, &d.Used.CookieBytes},
		Cookies:        share{d.Limits.Cookies, &d.Used.Cookies},
		RequestBytes:   share{d.Limits.RequestBytes, &d.Used.RequestBytes},
		ResponseBytes:  share{d.Limits.ResponseBytes, nil},
		SetCookieLines: share{d.Limits.SetCookieLines, nil},
		Parallel:       share{d.Limits.Parallel, &calls},
	}
	if last != nil {
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
