package main

import (
	"net/http"
	"strings"
	"time"

	"github.com/carryon-go/carryon/session"
)

// browserCookieBytes is what browsers keep of one cookie, name and value
// together.
const browserCookieBytes = 4096

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
}

// cookie is one cookie's size as browsers count it.
type cookie struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"` // name + value
}

// look takes the picture without changing or creating anything.
func look(r *http.Request, s *session.Session, base string) picture {
	p := picture{
		ID: s.ID(), New: s.IsNew(), Created: timeOrNil(s.Created()), Expires: timeOrNil(s.Expires()),
		Names: append([]string{}, s.Names()...), Cookies: []cookie{},
	}
	for _, line := range r.Header.Values("Cookie") {
		p.RequestCookieBytes += len(line)
	}
	for _, c := range r.Cookies() {
		if c.Name == base || strings.HasPrefix(c.Name, base+".") {
			p.Cookies = append(p.Cookies, cookie{c.Name, len(c.Name) + len(c.Value)})
		}
	}
	return p
}

// timeOrNil makes null of a time that there is not.
func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
