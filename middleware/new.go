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
	if c.DangerouslyAllowPlainHTTP {
		s.Logger.Warn("carryon: sessions travel over plain HTTP, where anyone on the network path can read and plant them; " +
			"unset Config.DangerouslyAllowPlainHTTP outside of development")
	}
	return &Sessions{settings: s, records: records.Client{Store: s.Fallback, Timeout: s.timeout, Idle: s.idle, Clock: s.Clock,
		Audience: s.Audience, Name: s.Name}}, nil
}

// warnOfOverlap says so where a key of the ring opens for less long than a session
// lives. It is no error: the ring changes while the program runs, and one that
// was rotated in a hurry must not keep the next replica from starting.
func (s *settings) warnOfOverlap() {
	ring := s.Keys.Ring(context.Background())
	if err := ring.CheckLifetime(s.Clock(), max(s.Lifetime, s.MaxLifetime)); err != nil {
		s.Logger.Warn("carryon: visitors who stay away for long are logged out before their time: " + err.Error())
	}
}

func (s *settings) fill() {
	if s.Path == "" {
		s.Path = "/"
	}
	if s.Name == "" {
		s.Name = s.defaultName()
	}
	if s.SameSite == 0 || s.SameSite == http.SameSiteDefaultMode {
		s.SameSite = http.SameSiteLaxMode
	}
	s.Lifetime = orDefault(s.Lifetime, DefaultLifetime)
	s.IdleTimeout = orDefault(s.IdleTimeout, DefaultIdleTimeout)
	s.TouchAfter = orDefault(s.TouchAfter, s.IdleTimeout/2)
	s.lifetime = s.Lifetime.Milliseconds()
	s.idle = max(s.IdleTimeout.Milliseconds(), 0)
	s.touch = max(s.TouchAfter.Milliseconds(), 0)
	s.timeout = max(orDefault(s.StoreTimeout, DefaultStoreTimeout), 0)
	s.staleness = max(orDefault(s.RevocationMaxAge, DefaultRevocationMaxAge), 0)
	if isNil(s.Fallback) {
		s.Fallback = nil
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
	platform, _ := s.Platform.Limits()
	s.limits = s.Limits.withDefaults(platform)
	if s.Partitioned {
		s.limits.RequestBytes = min(s.limits.RequestBytes, partitionBytes)
	}
	s.form = cookiejar.LineFormat{Name: s.Name, Fixed: s.FixedName,
		Attributes: cookiejar.Attributes(s.Path, s.Domain, !s.DangerouslyAllowPlainHTTP, s.SameSite, s.Partitioned, s.Priority)}
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
	case s.DangerouslyAllowPlainHTTP:
		return "session"
	case s.Domain != "" || s.Path != "/":
		return "__Secure-session"
	}
	return DefaultName
}
