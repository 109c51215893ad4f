package sessiontest

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Home is the page of a [Jar] without a URL.
const Home = "https://app.example/"

// Jar is an [http.CookieJar] that keeps and drops cookies as browsers do. The
// jar of net/http/cookiejar is less strict: it keeps cookies of any size and
// number, and a "__Host-" cookie with any attributes. So a test that passes
// with it can still fail in every browser.
//
// Jar follows measurements of Chromium 156 and Firefox 153, and Chromium where
// the two differ. Unlike Chromium, Firefox keeps a "__Host-" cookie without
// Path from a page in the root directory, treats a line without "=" as a name,
// and keeps 12,288 bytes of Partitioned cookies.
//
// Three rules are simpler than in a browser. A site is the last two labels of
// a host name, without a public suffix list: "a.co.uk" and "b.co.uk" are one
// site here. There is no limit over all sites. Partitioned cookies exist only
// under their own top-level site. A cookie without SameSite is treated as Lax.
//
// The zero Jar is empty and ready to use. Jar is safe for concurrent use.
type Jar struct {
	// URL is the page that methods without an address use; "" means Home.
	URL string
	// Clock returns the current time; nil means time.Now.
	Clock func() time.Time

	mu      sync.Mutex
	cookies []*Stored // in order of age
	made    uint64    // number of cookies ever made, which gives the age of the next one
}

// Stored is a cookie in the jar.
type Stored struct {
	Name, Value string
	// Domain is the host that set the cookie (HostOnly) or the domain it
	// requested, without a leading dot.
	Domain, Path string
	HostOnly     bool
	Secure       bool
	HttpOnly     bool
	Partitioned  bool
	SameSite     http.SameSite // never 0: the default is Lax
	Created      time.Time
	Accessed     time.Time // updated once a minute, as in Chromium
	Expires      time.Time // zero: at the end of the browser session

	age uint64 // order of creation, even if the clock does not move
}

// Size returns the size that counts against MaxCookieBytes: name + value.
func (c *Stored) Size() int { return len(c.Name) + len(c.Value) }

// Set stores one Set-Cookie line (the value of the field) from the jar's own
// page, and reports whether it stored or removed a cookie.
func (j *Jar) Set(line string) bool {
	return j.SetFrom(j.home(), line)
}

// SetFrom stores one Set-Cookie line of a response from page. It panics if
// page is not an absolute http or https URL.
func (j *Jar) SetFrom(page, line string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.store(mustURL(page), line, false)
}

// SetCookies implements http.CookieJar: it stores the cookies of a response
// from u. It uses the original Set-Cookie lines (Cookie.Raw) if net/http kept
// them.
func (j *Jar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range cookies {
		line := c.Raw
		if line == "" {
			line = c.String()
		}
		j.store(u, line, false)
	}
}

// Cookies implements http.CookieJar: it returns the cookies that a page of u's
// own site would send to u.
func (j *Jar) Cookies(u *url.URL) []*http.Cookie {
	var list []*http.Cookie
	for _, c := range j.send(u, sameSite, http.MethodGet) {
		list = append(list, &http.Cookie{Name: c.Name, Value: c.Value})
	}
	return list
}

// Header returns the Cookie field that a page of the same site sends to page,
// or "". An empty page means the jar's own page.
func (j *Jar) Header(page string) string {
	if page == "" {
		page = j.home()
	}
	return line(j.send(mustURL(page), sameSite, http.MethodGet))
}

// Put writes a cookie without applying any rule, as the user can with the
// browser's tools or another client. It changes the value of all cookies with
// that name. If there is none, it adds a host-only cookie of the jar's own
// page.
func (j *Jar) Put(name, value string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	found := false
	for _, c := range j.cookies {
		if c.Name == name {
			c.Value, found = value, true
		}
	}
	if found {
		return
	}
	now := j.now()
	j.cookies = append(j.cookies, &Stored{
		age: j.nextAge(), Name: name, Value: value, Domain: hostOf(mustURL(j.home())), Path: "/", HostOnly: true,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, Created: now, Accessed: now,
	})
}

// Evict drops every cookie with that name, as a browser may at any time, and
// reports whether there was one.
func (j *Jar) Evict(name string) bool {
	return j.drop(func(c *Stored) bool { return c.Name == name })
}

// Restart closes the browser: it drops cookies without Max-Age and Expires.
func (j *Jar) Restart() {
	j.drop(func(c *Stored) bool { return c.Expires.IsZero() })
}

// Clone returns an independent copy: another browser with the same cookies, or
// a backup to replay.
func (j *Jar) Clone() *Jar {
	j.mu.Lock()
	defer j.mu.Unlock()
	twin := &Jar{URL: j.URL, Clock: j.Clock, made: j.made}
	for _, c := range j.cookies {
		copied := *c
		twin.cookies = append(twin.cookies, &copied)
	}
	return twin
}

// All returns all cookies that have not expired, in order of creation.
func (j *Jar) All() []Stored {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.expire()
	var list []Stored
	for _, c := range j.cookies {
		list = append(list, *c)
	}
	return list
}

// Names returns the sorted names of all cookies. A name that two cookies share
// is listed twice.
func (j *Jar) Names() []string {
	var names []string
	for _, c := range j.All() {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names
}

// Value returns the value of the first cookie with that name, or "".
func (j *Jar) Value(name string) string {
	for _, c := range j.All() {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// Bytes returns the total size of the names and values of all cookies.
func (j *Jar) Bytes() int {
	n := 0
	for _, c := range j.All() {
		n += c.Size()
	}
	return n
}

// send returns the cookies for a request to u in the order of rfc6265bis
// section 5.8.3: longer paths first, then older cookies first.
func (j *Jar) send(u *url.URL, from origin, method string) []*Stored {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.expire()
	now := j.now()
	var list []*Stored
	for _, c := range j.cookies {
		if !c.matches(u) || !c.allows(from, method) {
			continue
		}
		if now.Sub(c.Accessed) >= time.Minute {
			c.Accessed = now
		}
		copied := *c
		list = append(list, &copied)
	}
	slices.SortStableFunc(list, func(a, b *Stored) int {
		return cmp.Compare(len(b.Path), len(a.Path))
	})
	return list
}

func (j *Jar) drop(which func(*Stored) bool) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	before := len(j.cookies)
	j.cookies = slices.DeleteFunc(j.cookies, which)
	return len(j.cookies) < before
}

func (j *Jar) now() time.Time {
	if j.Clock == nil {
		return time.Now()
	}
	return j.Clock()
}

func (j *Jar) nextAge() uint64 {
	j.made++
	return j.made
}

func (j *Jar) home() string { return cmp.Or(j.URL, Home) }

// line formats cookies as one Cookie field. A nameless cookie is its value
// alone.
func line(list []*Stored) string {
	var parts []string
	for _, c := range list {
		if c.Name == "" {
			parts = append(parts, c.Value)
			continue
		}
		parts = append(parts, c.Name+"="+c.Value)
	}
	return strings.Join(parts, "; ")
}

// mustURL panics for an invalid address, because a jar that silently stored
// nothing would hide the mistake in the test.
func mustURL(page string) *url.URL {
	u, err := url.Parse(page)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		panic("sessiontest: " + page + " is not an absolute URL; write it like " + Home)
	}
	return u
}
