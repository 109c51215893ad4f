package sessiontest

import (
	"cmp"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// origin is where a request comes from, as SameSite sees it.
type origin int

const (
	sameSite    origin = iota
	navigation         // another site's page: a link, a form, a redirect at top level
	subresource        // another site's page: fetch, image, frame
)

// store applies the storage model of rfc6265bis section 5.7 to one line. The
// jar is locked. foreign is true for the answer to another site's subresource,
// which may not set SameSite cookies.
func (j *Jar) store(u *url.URL, line string, foreign bool) bool {
	a, ok := parseSetCookie(line)
	if !ok || !a.allowed() {
		return false
	}
	c, ok := a.cookie(u, j.now())
	if !ok || foreign && (c.SameSite != http.SameSiteNoneMode || c.Partitioned) {
		return false
	}
	if !trustworthy(u) && (c.Secure || j.shadowsSecure(c)) {
		return false
	}
	j.expire()
	j.replace(c)
	j.purge(c)
	return true
}

// cookie is the cookie that the line asks for on the page u, false when the
// page may not ask for it.
func (a *attributes) cookie(u *url.URL, now time.Time) (*Stored, bool) {
	host := hostOf(u)
	c := &Stored{
		Name: a.name, Value: a.value, Domain: host, Path: a.path, HostOnly: true,
		Secure: a.secure, HttpOnly: a.httpOnly, Partitioned: a.partitioned,
		SameSite: cmp.Or(a.sameSite, http.SameSiteLaxMode),
		Created:  now, Accessed: now, Expires: a.end(now),
	}
	if !a.pathGiven {
		c.Path = defaultPath(u)
	}
	if a.domain != "" && a.domain != host {
		if !within(host, a.domain) || !strings.Contains(a.domain, ".") {
			return nil, false
		}
	}
	// A domain without a dot is a public suffix, and an address has no
	// subdomains: both fall back to host-only.
	if a.domain != "" && strings.Contains(a.domain, ".") && net.ParseIP(a.domain) == nil {
		c.Domain, c.HostOnly = a.domain, false
	}
	// SameSite=None and Partitioned without Secure are refused whole.
	return c, c.Secure || c.SameSite != http.SameSiteNoneMode && !c.Partitioned
}

// replace puts c in the place of its equal, or removes that when c has ended.
// A cookie that is set again with the same value keeps its age, as in
// Chromium.
func (j *Jar) replace(c *Stored) {
	c.age = j.nextAge()
	j.cookies = slices.DeleteFunc(j.cookies, func(old *Stored) bool {
		if !old.sameKey(c) {
			return false
		}
		if old.Value == c.Value {
			c.Created, c.age = old.Created, old.age
		}
		return true
	})
	if c.ended(j.now()) {
		return
	}
	at, _ := slices.BinarySearchFunc(j.cookies, c.age, func(old *Stored, age uint64) int {
		return cmp.Compare(old.age, age)
	})
	j.cookies = slices.Insert(j.cookies, at, c)
}

// sameKey is the identity of a cookie. The host-only one and the Domain one of
// the same host are two.
func (c *Stored) sameKey(d *Stored) bool {
	return c.Name == d.Name && c.Domain == d.Domain && c.HostOnly == d.HostOnly &&
		c.Path == d.Path && c.Partitioned == d.Partitioned
}

// shadowsSecure is "leave Secure cookies alone": a plain page may not lay a
// cookie over a Secure one of the same name.
func (j *Jar) shadowsSecure(c *Stored) bool {
	return slices.ContainsFunc(j.cookies, func(old *Stored) bool {
		return old.Secure && old.Name == c.Name && pathWithin(c.Path, old.Path) &&
			(within(old.Domain, c.Domain) || within(c.Domain, old.Domain))
	})
}

// purge keeps the number (and, for Partitioned ones, the bytes) of a site's
// cookies within what browsers keep, after c was stored.
func (j *Jar) purge(c *Stored) {
	group := j.victims(c)
	if c.Partitioned {
		bytes := 0
		for _, old := range group {
			bytes += old.Size()
		}
		for len(group) > 0 && bytes > MaxPartitionedBytes {
			bytes -= group[0].Size()
			j.remove(group[0])
			group = group[1:]
		}
	}
	if len(group) > MaxPerSite {
		for _, old := range group[:len(group)-PurgedPerSite] {
			j.remove(old)
		}
	}
}

// victims are the cookies that share c's limits, the first to go first:
// those without Secure, then those not used for longest, then the oldest.
func (j *Jar) victims(c *Stored) []*Stored {
	var group []*Stored
	for _, old := range j.cookies {
		if site(old.Domain) == site(c.Domain) && old.Partitioned == c.Partitioned {
			group = append(group, old)
		}
	}
	slices.SortStableFunc(group, func(a, b *Stored) int {
		if a.Secure != b.Secure {
			if b.Secure {
				return -1
			}
			return 1
		}
		return a.Accessed.Compare(b.Accessed)
	})
	return group
}

func (j *Jar) remove(c *Stored) {
	j.cookies = slices.DeleteFunc(j.cookies, func(old *Stored) bool { return old == c })
}

func (j *Jar) expire() {
	now := j.now()
	j.cookies = slices.DeleteFunc(j.cookies, func(c *Stored) bool { return c.ended(now) })
}

func (c *Stored) ended(now time.Time) bool {
	return !c.Expires.IsZero() && !c.Expires.After(now)
}

// matches says whether the cookie belongs to a request for u.
func (c *Stored) matches(u *url.URL) bool {
	host := hostOf(u)
	if c.HostOnly && host != c.Domain || !within(host, c.Domain) {
		return false
	}
	return pathWithin(cmp.Or(u.Path, "/"), c.Path) && (!c.Secure || trustworthy(u))
}

// allows is SameSite: Lax goes along only when the visitor is brought to the
// page itself, by a method that changes nothing; Strict never.
func (c *Stored) allows(from origin, method string) bool {
	safe := method == http.MethodGet || method == http.MethodHead
	switch {
	case from == sameSite:
		return true
	case c.Partitioned && from == subresource:
		return false // it lives under our own top-level site only
	case c.SameSite == http.SameSiteNoneMode:
		return true
	case c.SameSite == http.SameSiteLaxMode:
		return from == navigation && safe
	}
	return false
}

// trustworthy pages may set and get Secure cookies: https, and plain http on
// the machine itself.
func trustworthy(u *url.URL) bool {
	host := hostOf(u)
	return u.Scheme == "https" || host == "localhost" || host == "127.0.0.1"
}

// within is the domain match of rfc6265bis section 5.1.3.
func within(host, domain string) bool {
	return host == domain || strings.HasSuffix(host, "."+domain) && net.ParseIP(host) == nil
}

// pathWithin is the path match of rfc6265bis section 5.1.4.
func pathWithin(path, dir string) bool {
	if path == dir {
		return true
	}
	return strings.HasPrefix(path, dir) && (strings.HasSuffix(dir, "/") || path[len(dir)] == '/')
}

// site is the registrable domain as far as one can tell without a list.
func site(host string) string {
	if net.ParseIP(host) != nil {
		return host
	}
	labels := strings.Split(host, ".")
	return strings.Join(labels[max(0, len(labels)-2):], ".")
}

func hostOf(u *url.URL) string { return strings.ToLower(u.Hostname()) }
