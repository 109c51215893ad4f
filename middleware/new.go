package middleware

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/carryon-go/carryon/internal/cookiejar"
	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/records"
)

// New checks the configuration and returns all its faults at once.
func New(c Config) (*Sessions, error) {
	s := settings{config: c}
	s.fill()
	f := s.check()
	if len(f) == 0 {
		s.checkRoom(&f)
	}
	if len(f) > 0 {
		return nil, errors.Join(f...)
	}
	s.warnOfOverlap()
	if c.Cookie.DangerouslyAllowPlainHTTP {
		s.config.Logger.Warn("carryon: sessions travel over plain HTTP, where anyone on the network path can read and plant them; " +
			"unset Config.Cookie.DangerouslyAllowPlainHTTP outside of development")
	}
	m := &Sessions{settings: s, records: records.Client{Store: s.config.Fallback.Store, Timeout: s.timeout, Idle: s.idle, Clock: s.config.Clock,
		Audience: s.config.Audience, Name: s.config.Cookie.Name}}
	m.records.Sealer = rowSealer{m}
	return m, nil
}

// warnOfOverlap logs a warning if a key of the ring expires before the sessions that
// it seals. That is not an error: the ring can change while the program runs, and a
// ring that was rotated in a hurry must not keep a replica from starting.
func (s *settings) warnOfOverlap() {
	ring := s.config.Keys.Ring(context.Background())
	if err := ring.CheckLifetime(s.config.Clock(), max(s.config.Lifetimes.Absolute, s.config.Lifetimes.Max)); err != nil {
		s.config.Logger.Warn("carryon: some sessions end before their lifetime: " + err.Error())
	}
}

func (s *settings) fill() {
	c, l, b := &s.config.Cookie, &s.config.Lifetimes, &s.config.Fallback
	if c.Path == "" {
		c.Path = "/"
	}
	if c.Name == "" {
		c.Name = s.defaultName()
	}
	if c.SameSite == 0 || c.SameSite == http.SameSiteDefaultMode {
		c.SameSite = http.SameSiteLaxMode
	}
	l.Absolute = orDefault(l.Absolute, DefaultLifetime)
	l.Idle = orDefault(l.Idle, DefaultIdleTimeout)
	l.TouchAfter = orDefault(l.TouchAfter, l.Idle/2)
	s.lifetime = l.Absolute.Milliseconds()
	s.idle = max(l.Idle.Milliseconds(), 0)
	s.touch = max(l.TouchAfter.Milliseconds(), 0)
	s.timeout = max(orDefault(b.Timeout, DefaultStoreTimeout), 0)
	s.staleness = max(orDefault(b.RevocationMaxAge, DefaultRevocationMaxAge), 0)
	if isNil(b.Store) {
		b.Store = nil
	}
	if s.config.ErrorHandler == nil {
		s.config.ErrorHandler = answerError
	}
	if s.config.Clock == nil {
		s.config.Clock = time.Now
	}
	if s.config.Logger == nil {
		s.config.Logger = slog.Default()
	}
	s.failures = &eventLog{logger: s.config.Logger, now: s.config.Clock}
	platform, known := s.config.Platform.Limits()
	if !known {
		platform, _ = Default.Limits() // so that the limits are not faults, too
	}
	s.limits = s.config.Limits.withDefaults(platform)
	if c.Partitioned {
		s.limits.RequestBytes = min(s.limits.RequestBytes, partitionBytes)
	}
	s.form = cookiejar.LineFormat{Name: c.Name, Fixed: c.FixedName,
		Attributes: cookiejar.Attributes(c.Path, c.Domain, !c.DangerouslyAllowPlainHTTP, c.SameSite, c.Partitioned, c.Priority)}
	s.sizer = policy.Sizer{Name: s.form.NameLen(), Attributes: s.form.MaxAttributes(), CookieBytes: s.limits.CookieBytes}
}

// partitionBytes is Chromium's limit for the partitioned cookies of one site under
// another site: 10 KiB of names and values.
const partitionBytes = 10 << 10

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

func (s *settings) defaultName() string {
	switch {
	case s.config.Cookie.DangerouslyAllowPlainHTTP:
		return "session"
	case s.config.Cookie.Domain != "" || s.config.Cookie.Path != "/":
		return "__Secure-session"
	}
	return DefaultName
}
