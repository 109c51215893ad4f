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

// Home is the page that a [Jar] without a URL of its own is on.
const Home = "https://app.example/"

// Jar is an [http.CookieJar] that keeps and drops what browsers keep and drop.
// The jar of net/http/cookiejar is more generous: it keeps a cookie of any
// size, any number of them, and a "__Host-" cookie whatever its attributes, so
// a test that passes with it can still fail in every browser.
//
// It follows what was measured in Chromium 156 and Firefox 153, and Chromium
// where the two differ. Firefox keeps a "__Host-" cookie without Path that a
// page in the root directory sets, takes a line without "=" for a name, and
// keeps 12,288 bytes of Partitioned cookies.
//
// Three things are simpler than in a browser: a site is the last two labels of
// a host name (no public suffix list: "a.co.uk" and "b.co.uk" are one site
// here), there is no limit over all sites, and Partitioned cookies exist only
// under their own top-level site. A cookie without SameSite counts as Lax.
//
// The zero Jar is empty and ready to use. It is safe for concurrent use.
type Jar struct {
	// URL is the page that the methods without an address are about; "" is
	// Home.
	URL string
	// Clock tells the time; nil is time.Now.
	Clock func() time.Time

	mu      sync.Mutex
	cookies []*Stored // in order of age
	made    uint64    // how many were ever made: the age of the next one
}

// Stored is a cookie as the jar keeps it.
type Stored struct {
	Name, Value string
	// Domain is the host that set it (HostOnly) or the domain it asked for,
	// without a leading dot.
	Domain, Path string
	HostOnly     bool
	Secure       bool
	HttpOnly     bool
	Partitioned  bool
	SameSite     http.SameSite // never 0: a cookie that says nothing is Lax
	Created      time.Time
	Accessed     time.Time // looked after once a minute, as Chromium does
	Expires      time.Time // zero: ends with the browser session

	age uint64 // order of creation, also where the clock stands still
}

// Size is what counts against MaxCookieBytes: name + value.
func (c *Stored) Size() int { return len(c.Name) + len(c.Value) }

// Set stores one Set-Cookie line (the value of the field) that came from the
// jar's own page, and says whether anything was stored or removed by it.
func (j *Jar) Set(line string) bool {
	return j.SetFrom(j.home(), line)
}

// SetFrom stores one Set-Cookie line of a response from page. It panics when
// page is not an absolute http or https URL.
func (j *Jar) SetFrom(page, line string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.store(mustURL(page), line, false)
}

// SetCookies stores the cookies of a response from u. It reads the Set-Cookie
// lines as they came (Cookie.Raw) where net/http kept them.
// It makes Jar an http.CookieJar.
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

// Cookies is what a page of u's own site would send to u.
// It makes Jar an http.CookieJar.
func (j *Jar) Cookies(u *url.URL) []*http.Cookie {
	var list []*http.Cookie
	for _, c := range j.send(u, sameSite, http.MethodGet) {
		list = append(list, &http.Cookie{Name: c.Name, Value: c.Value})
	}
	return list
}

// Header is the Cookie field that a page of the same site sends to page, ""
// when there is none to send. page "" is the jar's own.
func (j *Jar) Header(page string) string {
	if page == "" {
		page = j.home()
	}
	return line(j.send(mustURL(page), sameSite, http.MethodGet))
}

// Put writes a cookie past every rule, as its owner can with the browser's
// tools or with any other client. Where the jar has cookies of that name their
// value is changed and the rest stays; else it becomes a host-only cookie of
// the jar's own page.
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

// Evict drops every cookie of that name, as a browser may at any time, and
// says whether there was one.
func (j *Jar) Evict(name string) bool {
	return j.drop(func(c *Stored) bool { return c.Name == name })
}

// Restart closes the browser: what has no Max-Age and no Expires is gone.
func (j *Jar) Restart() {
	j.drop(func(c *Stored) bool { return c.Expires.IsZero() })
}

// Clone is an independent copy: another browser with the same cookies, or a
// backup to replay.
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

// All is every cookie that has not ended, in order of creation.
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

// Names are the names of all cookies, sorted; a name that two cookies have is
// there twice.
func (j *Jar) Names() []string {
	var names []string
	for _, c := range j.All() {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names
}

// Value is the value of the first cookie of that name, "" if there is none.
func (j *Jar) Value(name string) string {
	for _, c := range j.All() {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// Bytes is name + value of all cookies together.
func (j *Jar) Bytes() int {
	n := 0
	for _, c := range j.All() {
		n += c.Size()
	}
	return n
}

// send picks the cookies that go to u, in the order that rfc6265bis section
// 5.8.3 asks for: longer paths first, then older ones first.
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

// line writes cookies as one Cookie field. A nameless one is its value alone.
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

// mustURL panics: a test that misspells its address is wrong, and a jar that
// stored nothing for it would hide that.
func mustURL(page string) *url.URL {
	u, err := url.Parse(page)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		panic("sessiontest: " + page + " is not an absolute URL; write it like " + Home)
	}
	return u
}
