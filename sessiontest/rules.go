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

// origin is the source of a request, as SameSite defines it.
type origin int

const (
	sameSite    origin = iota
	navigation         // another site's page: a link, form or redirect at top level
	subresource        // another site's page: a fetch, image or frame
)

// store applies the storage model of rfc6265bis section 5.7 to one line. The
// jar must be locked. foreign is true for the response to another site's
// subresource request, which must not set SameSite cookies.
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

// cookie returns the cookie that the line requests on the page u, or false if
// the page may not set it.
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
	// SameSite=None and Partitioned require Secure.
	return c, c.Secure || c.SameSite != http.SameSiteNoneMode && !c.Partitioned
}

// replace replaces the cookie with the same key by c, or only removes it if c
// has expired. A cookie that is set again with the same value keeps its age,
// as in Chromium.
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

// sameKey reports whether two cookies have the same identity. A host-only
// cookie and a Domain cookie of the same host are different.
func (c *Stored) sameKey(d *Stored) bool {
	return c.Name == d.Name && c.Domain == d.Domain && c.HostOnly == d.HostOnly &&
		c.Path == d.Path && c.Partitioned == d.Partitioned
}

// shadowsSecure reports whether c would hide a Secure cookie of the same name,
// which an insecure page must not do ("leave Secure cookies alone").
func (j *Jar) shadowsSecure(c *Stored) bool {
	return slices.ContainsFunc(j.cookies, func(old *Stored) bool {
		return old.Secure && old.Name == c.Name && pathWithin(c.Path, old.Path) &&
			(within(old.Domain, c.Domain) || within(c.Domain, old.Domain))
	})
}

// purge enforces the browser's limits for a site after c was stored: the
// number of cookies and, for Partitioned ones, their bytes.
func (j *Jar) purge(c *Stored) {
	group := j.purgeOrder(c)
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

// purgeOrder returns the cookies that share c's limits in the order in which
// they are dropped: first those without Secure, then the least recently used,
// then the oldest.
func (j *Jar) purgeOrder(c *Stored) []*Stored {
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

// matches reports whether the cookie belongs to a request for u.
func (c *Stored) matches(u *url.URL) bool {
	host := hostOf(u)
	if c.HostOnly && host != c.Domain || !within(host, c.Domain) {
		return false
	}
	return pathWithin(cmp.Or(u.Path, "/"), c.Path) && (!c.Secure || trustworthy(u))
}

// allows applies SameSite. Lax cookies are sent only with a top-level
// navigation by a safe method, Strict cookies never.
func (c *Stored) allows(from origin, method string) bool {
	safe := method == http.MethodGet || method == http.MethodHead
	switch {
	case from == sameSite:
		return true
	case c.Partitioned && from == subresource:
		return false // it exists only under its own top-level site
	case c.SameSite == http.SameSiteNoneMode:
		return true
	case c.SameSite == http.SameSiteLaxMode:
		return from == navigation && safe
	}
	return false
}

// trustworthy reports whether a page may set and receive Secure cookies: it
// uses https, or plain http on localhost.
func trustworthy(u *url.URL) bool {
	host := hostOf(u)
	return u.Scheme == "https" || host == "localhost" || host == "127.0.0.1"
}

// within implements the domain match of rfc6265bis section 5.1.3.
func within(host, domain string) bool {
	return host == domain || strings.HasSuffix(host, "."+domain) && net.ParseIP(host) == nil
}

// pathWithin implements the path match of rfc6265bis section 5.1.4.
func pathWithin(path, dir string) bool {
	if path == dir {
		return true
	}
	return strings.HasPrefix(path, dir) && (strings.HasSuffix(dir, "/") || path[len(dir)] == '/')
}

// site returns the registrable domain, as far as possible without a public
// suffix list.
func site(host string) string {
	if net.ParseIP(host) != nil {
		return host
	}
	labels := strings.Split(host, ".")
	return strings.Join(labels[max(0, len(labels)-2):], ".")
}

func hostOf(u *url.URL) string { return strings.ToLower(u.Hostname()) }
