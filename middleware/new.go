package middleware

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/carryon-go/carryon/internal/cookiejar"
	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/records"
)

// New checks the configuration and returns all its faults at once.
func New(c Config) (*Sessions, error) {
	s := settings{Config: c}
	s.fill()
	if err := s.check(); err != nil {
		return nil, err
	}
	s.warnOfOverlap()
	if c.Cookie.DangerouslyAllowPlainHTTP {
		s.Logger.Warn("carryon: sessions travel over plain HTTP, where anyone on the network path can read and plant them; " +
			"unset Config.Cookie.DangerouslyAllowPlainHTTP outside of development")
	}
	return &Sessions{settings: s, records: records.Client{Store: s.Fallback.Store, Timeout: s.timeout, Idle: s.idle, Clock: s.Clock,
		Audience: s.Audience, Name: s.Cookie.Name}}, nil
}

// warnOfOverlap says so where a key of the ring opens for less long than a session
// lives. It is no error: the ring changes while the program runs, and one that
// was rotated in a hurry must not keep the next replica from starting.
func (s *settings) warnOfOverlap() {
	ring := s.Keys.Ring(context.Background())
	if err := ring.CheckLifetime(s.Clock(), max(s.Lifetimes.Absolute, s.Lifetimes.Max)); err != nil {
		s.Logger.Warn("carryon: visitors who stay away for long are logged out before their time: " + err.Error())
	}
}

func (s *settings) fill() {
	if s.Cookie.Path == "" {
		s.Cookie.Path = "/"
	}
	if s.Cookie.Name == "" {
		s.Cookie.Name = s.defaultName()
	}
	if s.Cookie.SameSite == 0 || s.Cookie.SameSite == http.SameSiteDefaultMode {
		s.Cookie.SameSite = http.SameSiteLaxMode
	}
	s.Lifetimes.Absolute = orDefault(s.Lifetimes.Absolute, DefaultLifetime)
	s.Lifetimes.Idle = orDefault(s.Lifetimes.Idle, DefaultIdleTimeout)
	s.Lifetimes.TouchAfter = orDefault(s.Lifetimes.TouchAfter, s.Lifetimes.Idle/2)
	s.lifetime = s.Lifetimes.Absolute.Milliseconds()
	s.idle = max(s.Lifetimes.Idle.Milliseconds(), 0)
	s.touch = max(s.Lifetimes.TouchAfter.Milliseconds(), 0)
	s.timeout = max(orDefault(s.Fallback.Timeout, DefaultStoreTimeout), 0)
	s.staleness = max(orDefault(s.Fallback.RevocationMaxAge, DefaultRevocationMaxAge), 0)
	if isNil(s.Fallback.Store) {
		s.Fallback.Store = nil
	}
	if s.ErrorHandler == nil {
		s.ErrorHandler = answerError
	}
	if s.Clock == nil {
		s.Clock = time.Now
	}
	if s.Logger == nil {
		s.Logger = slog.Default()
	}
	s.failures = &eventLog{logger: s.Logger, now: s.Clock}
	platform, known := s.Platform.Limits()
	if !known {
		platform, _ = Default.Limits() // the platform is the only fault then
	}
	s.limits = s.Limits.withDefaults(platform)
	if s.Cookie.Partitioned {
		s.limits.RequestBytes = min(s.limits.RequestBytes, partitionBytes)
	}
	s.form = cookiejar.LineFormat{Name: s.Cookie.Name, Fixed: s.Cookie.FixedName,
		Attributes: cookiejar.Attributes(s.Cookie.Path, s.Cookie.Domain, !s.Cookie.DangerouslyAllowPlainHTTP, s.Cookie.SameSite, s.Cookie.Partitioned, s.Cookie.Priority)}
	s.sizer = policy.Sizer{Name: s.form.NameLen(), Attributes: s.form.MaxAttributes(), CookieBytes: s.limits.CookieBytes}
}

// partitionBytes is what Chromium keeps of the partitioned cookies of one site
// under another: 10 KiB, names and values counted.
const partitionBytes = 10 << 10

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

func (s *settings) defaultName() string {
	switch {
	case s.Cookie.DangerouslyAllowPlainHTTP:
		return "session"
	case s.Cookie.Domain != "" || s.Cookie.Path != "/":
		return "__Secure-session"
	}
	return DefaultName
}
