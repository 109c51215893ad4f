package middleware

import (
	"context"
	"errors"
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

// check lists every fault. A configuration that a browser would refuse is one.
func (s *settings) check() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf("carryon: "+format, args...))
		}
	}
	fault(isNil(s.Keys), "Config.Keys is nil; open a ring with keyring.Open, or use keyring.Ephemeral() in development")
	s.checkFormats(fault)
	s.checkName(fault)
	s.checkScope(fault)
	s.checkTimes(fault)
	s.checkImport(fault)
	fault(s.Mode < Auto || s.Mode > AlwaysStored, "Config.Mode %d is none of Auto, AlwaysCookies and AlwaysStored", s.Mode)
	fault(s.Mode == AlwaysStored && isNil(s.Fallback), "Config.Mode needs a store, and Config.Fallback is nil; set it")
	_, known := s.Platform.Limits()
	fault(!known, "Config.Platform %q is not one of %v", s.Platform, Platforms())
	faults = append(faults, s.limits.faults()...)
	return errors.Join(faults...)
}

// isNil also finds the nil pointer of a variable that nobody has filled yet.
func isNil(field any) bool {
	v := reflect.ValueOf(field)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// checkFormats makes the formats, and holds the ring against them.
func (s *settings) checkFormats(fault func(bool, string, ...any)) {
	var err error
	if s.formats, err = codec.NewFormats(s.Formats...); err != nil {
		fault(true, "Config.Formats: %w", err)
		return
	}
	if isNil(s.Keys) {
		return
	}
	check := func(r *keyring.Ring) error { return s.formats.Check(r, s.Clock()) }
	if live, ok := s.Keys.(interface {
		Require(check func(*keyring.Ring) error) error
	}); ok {
		err = live.Require(check) // a reloaded ring that this program cannot use is refused, too
	} else {
		err = check(s.Keys.Ring(context.Background()))
	}
	if err != nil {
		fault(true, "Config.Keys and Config.Formats: %w", err)
	}
}

func (s *settings) checkName(fault func(bool, string, ...any)) {
	fault(!isToken(s.Name), "Config.Name %q is not a cookie name (RFC 6265: letters, digits and !#$%%&'*+-^_`|~)", s.Name)
	fault(strings.Contains(s.Name, "."), "Config.Name %q has a dot, which parts the name from its suffix; leave it out", s.Name)
	fault(len(s.Name) > 64, "Config.Name has %d bytes; 64 is the most, for it is sent with every cookie", len(s.Name))
	host, secure := hasPrefix(s.Name, "__Host-"), hasPrefix(s.Name, "__Secure-") || hasPrefix(s.Name, "__Http-")
	fault(host && (s.Domain != "" || s.Path != "/"),
		"Config.Name %q: browsers refuse \"__Host-\" with a Domain or a Path other than \"/\"; use \"__Secure-\"", s.Name)
	fault((host || secure) && s.DangerouslyAllowPlainHTTP,
		"Config.Name %q: browsers refuse this prefix without Secure; drop the prefix or DangerouslyAllowPlainHTTP", s.Name)
}

func (s *settings) checkScope(fault func(bool, string, ...any)) {
	fault(!strings.HasPrefix(s.Path, "/") || !isAttribute(s.Path) || len(s.Path) > 1024,
		"Config.Path must begin with \"/\", have at most 1024 bytes, and no semicolon or control character")
	fault(s.Domain != "" && !isDomain(s.Domain), "Config.Domain %q is not a host name; give it without scheme, port and path", s.Domain)
	fault(s.SameSite < http.SameSiteDefaultMode || s.SameSite > http.SameSiteNoneMode, "Config.SameSite %d is not one of http.SameSite…Mode", s.SameSite)
	fault(s.Partitioned && s.DangerouslyAllowPlainHTTP, "Config.Partitioned: browsers refuse it without Secure; drop DangerouslyAllowPlainHTTP")
	fault(!slices.Contains([]string{"", "Low", "Medium", "High"}, s.Priority), "Config.Priority %q is none of Low, Medium and High", s.Priority)
	fault(s.SameSite == http.SameSiteNoneMode && s.DangerouslyAllowPlainHTTP,
		"Config.SameSite is None, which browsers refuse without Secure; drop DangerouslyAllowPlainHTTP")
}

func (s *settings) checkTimes(fault func(bool, string, ...any)) {
	fault(s.Lifetime < 0, "Config.Lifetime is negative; 0 means %v, at most %v", DefaultLifetime, MaxLifetime)
	fault(s.Lifetime > 0 && s.Lifetime < time.Second, "Config.Lifetime is %v; cookies count in whole seconds", s.Lifetime)
	fault(s.Lifetime > MaxLifetime, "Config.Lifetime is %v, but browsers keep a cookie for at most %v", s.Lifetime, MaxLifetime)
	fault(s.Config.MaxLifetime < 0 || s.Config.MaxLifetime > 0 && s.Config.MaxLifetime < s.Lifetime,
		"Config.MaxLifetime is %v, less than Lifetime (%v); 0 means the same", s.Config.MaxLifetime, s.Lifetime)
	fault(s.Config.MaxLifetime > MaxLifetime, "Config.MaxLifetime is %v, but browsers keep a cookie for at most %v", s.Config.MaxLifetime, MaxLifetime)
	fault(s.IdleTimeout > 0 && s.IdleTimeout < time.Second,
		"Config.IdleTimeout is %v, at least a second is needed; 0 means %v, negative no idle limit", s.IdleTimeout, DefaultIdleTimeout)
	fault(s.IdleTimeout > 0 && s.TouchAfter >= s.IdleTimeout,
		"Config.TouchAfter (%v) must be shorter than IdleTimeout (%v), or sessions in use would end", s.TouchAfter, s.IdleTimeout)
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

// checkImport refuses a migration that never ends, and one that cannot tell the
// two libraries' cookies apart.
func (s *settings) checkImport(fault func(bool, string, ...any)) {
	fault(len(s.Import) > 0 && s.ImportUntil.IsZero(),
		"Config.Import is set and Config.ImportUntil is not; say until when sessions of the other library are taken over")
	for i, from := range s.Import {
		if isNil(from) {
			fault(true, "Config.Import[%d] is nil", i)
			continue
		}
		name := from.Cookie().Name
		fault(!isToken(name), "Config.Import[%d] has %q for its cookie's name, which no cookie has", i, name)
		_, ours := cookiejar.ParsePair(name+"=x", s.Name, s.FixedName)
		fault(ours, "Config.Import[%d] reads the cookie %q, which is one of ours; choose another Config.Name", i, name)
	}
}
