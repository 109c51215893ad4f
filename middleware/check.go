package middleware

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/cookiejar"
	"github.com/carryon-go/carryon/keyring"
)

// check returns all faults but those of checkRoom. A configuration that a browser
// would refuse is one.
func (s *settings) check() (f faults) {
	f.add(isNil(s.config.Keys), "Keys", "it is nil; open a ring with keyring.Open, or use keyring.Ephemeral() in development")
	s.checkFormats(&f)
	s.checkName(&f)
	s.checkScope(&f)
	s.checkLifetimes(&f)
	s.checkFallback(&f)
	s.checkMigration(&f)
	_, known := s.config.Platform.Limits()
	f.add(!known, "Platform", "%q is not one of %v", s.config.Platform, Platforms())
	s.limits.check(&f)
	return f
}

// isNil reports whether a field is nil, or holds a nil pointer.
func isNil(field any) bool {
	v := reflect.ValueOf(field)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// checkFormats creates the formats and checks that they suit the ring.
func (s *settings) checkFormats(f *faults) {
	var err error
	if s.formats, err = codec.NewFormats(s.config.Formats...); err != nil {
		f.add(true, "Formats", "%w", err)
		return
	}
	if isNil(s.config.Keys) {
		return
	}
	check := func(r *keyring.Ring) error { return s.formats.Check(r, s.config.Clock()) }
	if live, ok := s.config.Keys.(interface {
		Require(check func(*keyring.Ring) error) error
	}); ok {
		err = live.Require(check) // also for rings that are reloaded later
	} else {
		err = check(s.config.Keys.Ring(context.Background()))
	}
	f.add(err != nil, "Keys", "the ring does not suit Config.Formats: %w", err)
}

func (s *settings) checkName(f *faults) {
	const field = "Cookie.Name"
	c := &s.config.Cookie
	f.add(!isToken(c.Name), field, "%q is not a cookie name (RFC 6265: letters, digits and !#$%%&'*+-^_`|~)", c.Name)
	f.add(strings.Contains(c.Name, "."), field, "%q contains a dot, which is reserved for the suffix; leave it out", c.Name)
	f.add(len(c.Name) > 64, field, "it has %d bytes; 64 is the most, because it is sent with every cookie", len(c.Name))
	host, secure := hasPrefix(c.Name, "__Host-"), hasPrefix(c.Name, "__Secure-") || hasPrefix(c.Name, "__Http-")
	f.add(host && (c.Domain != "" || c.Path != "/"), field,
		"browsers refuse \"__Host-\" with a Domain or a Path other than \"/\", as in %q; use \"__Secure-\"", c.Name)
	f.add((host || secure) && c.DangerouslyAllowPlainHTTP, field,
		"browsers refuse the prefix of %q without Secure; drop the prefix or Cookie.DangerouslyAllowPlainHTTP", c.Name)
}

func (s *settings) checkScope(f *faults) {
	const none = http.SameSiteNoneMode
	c := &s.config.Cookie
	f.add(!strings.HasPrefix(c.Path, "/") || !isAttribute(c.Path) || len(c.Path) > 1024, "Cookie.Path",
		"it must begin with \"/\", have at most 1024 bytes, and no semicolon or control character")
	f.add(c.Domain != "" && !isDomain(c.Domain), "Cookie.Domain", "%q is not a host name; give it without scheme, port and path", c.Domain)
	f.add(c.SameSite < http.SameSiteDefaultMode || c.SameSite > none, "Cookie.SameSite", "%d is not one of http.SameSite…Mode", c.SameSite)
	f.add(c.SameSite == none && c.DangerouslyAllowPlainHTTP, "Cookie.SameSite",
		"browsers refuse None without Secure; drop Cookie.DangerouslyAllowPlainHTTP")
	f.add(c.Partitioned && c.DangerouslyAllowPlainHTTP, "Cookie.Partitioned",
		"browsers refuse it without Secure; drop Cookie.DangerouslyAllowPlainHTTP")
	f.add(!slices.Contains([]string{"", "Low", "Medium", "High"}, c.Priority), "Cookie.Priority", "%q is none of Low, Medium and High", c.Priority)
}

func (s *settings) checkLifetimes(f *faults) {
	l := &s.config.Lifetimes
	f.add(l.Absolute < 0, "Lifetimes.Absolute", "it is negative; 0 means %v, at most %v", DefaultLifetime, MaxLifetime)
	f.add(l.Absolute > 0 && l.Absolute < time.Second, "Lifetimes.Absolute", "it is %v; cookies count in whole seconds", l.Absolute)
	f.add(l.Absolute > MaxLifetime, "Lifetimes.Absolute", "it is %v, but browsers keep a cookie for at most %v", l.Absolute, MaxLifetime)
	f.add(l.Max < 0 || l.Max > 0 && l.Max < l.Absolute, "Lifetimes.Max", "it is %v, less than Absolute (%v); 0 means the same", l.Max, l.Absolute)
	f.add(l.Max > MaxLifetime, "Lifetimes.Max", "it is %v, but browsers keep a cookie for at most %v", l.Max, MaxLifetime)
	f.add(l.Idle > 0 && l.Idle < time.Second, "Lifetimes.Idle",
		"it is %v, at least a second is needed; 0 means %v, negative no idle limit", l.Idle, DefaultIdleTimeout)
	f.add(l.Idle > 0 && l.TouchAfter >= l.Idle, "Lifetimes.TouchAfter",
		"%v must be shorter than Idle (%v), or sessions in use would end", l.TouchAfter, l.Idle)
}

func (s *settings) checkFallback(f *faults) {
	b := &s.config.Fallback
	f.add(b.Mode < Auto || b.Mode > AlwaysStored, "Fallback.Mode", "%d is none of Auto, AlwaysCookies and AlwaysStored", b.Mode)
	f.add(b.Mode == AlwaysStored && isNil(b.Store), "Fallback.Mode", "it needs a store, and Config.Fallback.Store is nil; set it")
	f.add(b.Outage < OutageRefuse || b.Outage > OutageStrict, "Fallback.Outage",
		"%d is none of OutageRefuse, OutageAbsent and OutageStrict", b.Outage)
	f.add(b.Revocation < RevocationOn || b.Revocation > RevocationOff, "Fallback.Revocation",
		"%d is none of RevocationOn, RevocationStrict and RevocationOff", b.Revocation)
	f.add(b.List && isNil(b.Store), "Fallback.List", "the list is kept in a store, and Config.Fallback.Store is nil; set it")
	f.add(b.List && b.Revocation == RevocationOff, "Fallback.List", "it needs revocation, and Config.Fallback.Revocation is RevocationOff; leave that out")
}

// checkMigration refuses a migration without an end, and importers whose cookies have
// the names of ours.
func (s *settings) checkMigration(f *faults) {
	g := &s.config.Migration
	f.add(len(g.From) > 0 && g.Until.IsZero(), "Migration.Until",
		"it is not set, but Migration.From is; set the time at which the imports end")
	for i, from := range g.From {
		field := fmt.Sprintf("Migration.From[%d]", i)
		if isNil(from) {
			f.add(true, field, "it is nil; leave it out, or give it an importer")
			continue
		}
		name := from.Cookie().Name
		f.add(!isToken(name), field, "its cookie has the name %q, which is not a cookie name", name)
		_, ours := cookiejar.ParsePair(name+"=x", s.config.Cookie.Name, s.config.Cookie.FixedName)
		f.add(ours, field, "it reads the cookie %q, which is one of ours; choose another Config.Cookie.Name", name)
	}
}

func hasPrefix(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func isToken(s string) bool {
	const special = "!#$%&'*+-.^_`|~"
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(special, c) >= 0) {
			return false
		}
	}
	return s != ""
}

func isAttribute(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r >= 0x7f || r == ';' }) < 0
}

func isDomain(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.IndexFunc(label, notHost) >= 0 {
			return false
		}
	}
	return len(s) <= 253
}

func notHost(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-')
}
