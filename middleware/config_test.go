package middleware_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

var quiet = slog.New(slog.DiscardHandler)

func TestNewRefusesWhatBrowsersWouldRefuse(t *testing.T) {
	long := strings.Repeat("n", 65)
	for _, test := range []struct {
		name   string
		change func(c *middleware.Config)
		fault  string // "" is none
	}{
		{"zero", func(c *middleware.Config) {}, ""},
		{"no keys", func(c *middleware.Config) { c.Keys = nil }, "Config.Keys: it is nil"},
		{"a nil ring", func(c *middleware.Config) { c.Keys = (*keyring.Ring)(nil) }, "Config.Keys: it is nil"},

		{"name", func(c *middleware.Config) { c.Cookie.Name = "__Host-id" }, ""},
		{"name without prefix", func(c *middleware.Config) { c.Cookie.Name = "id" }, ""},
		{"name with a dot", func(c *middleware.Config) { c.Cookie.Name = "my.session" }, "contains a dot"},
		{"name with a space", func(c *middleware.Config) { c.Cookie.Name = "my session" }, "not a cookie name"},
		{"name with =", func(c *middleware.Config) { c.Cookie.Name = "a=b" }, "not a cookie name"},
		{"name with ;", func(c *middleware.Config) { c.Cookie.Name = "a;b" }, "not a cookie name"},
		{"name in Chinese", func(c *middleware.Config) { c.Cookie.Name = "会话" }, "not a cookie name"},
		{"name with a line break", func(c *middleware.Config) { c.Cookie.Name = "a\r\nSet-Cookie" }, "not a cookie name"},
		{"name of 64", func(c *middleware.Config) { c.Cookie.Name = long[1:] }, ""},
		{"name of 65", func(c *middleware.Config) { c.Cookie.Name = long }, "65 bytes"},

		{"__Host- with domain", func(c *middleware.Config) { c.Cookie.Name, c.Cookie.Domain = "__Host-a", "a.test" }, `refuse "__Host-"`},
		{"__host- with path", func(c *middleware.Config) { c.Cookie.Name, c.Cookie.Path = "__host-a", "/app" }, `refuse "__Host-"`},
		{"__Secure- with both", func(c *middleware.Config) {
			c.Cookie.Name, c.Cookie.Domain, c.Cookie.Path = "__Secure-a", "a.test", "/app"
		}, ""},
		{"__Host- over plain http", func(c *middleware.Config) { c.Cookie.Name, c.Cookie.DangerouslyAllowPlainHTTP = "__Host-a", true }, "without Secure"},
		{"__Secure- over plain http", func(c *middleware.Config) { c.Cookie.Name, c.Cookie.DangerouslyAllowPlainHTTP = "__SECURE-a", true }, "without Secure"},
		{"__Http- over plain http", func(c *middleware.Config) { c.Cookie.Name, c.Cookie.DangerouslyAllowPlainHTTP = "__Http-a", true }, "without Secure"},
		{"plain HTTP", func(c *middleware.Config) { c.Cookie.DangerouslyAllowPlainHTTP = true }, ""},

		{"path", func(c *middleware.Config) { c.Cookie.Path = "/app/" }, ""},
		{"path without slash", func(c *middleware.Config) { c.Cookie.Path = "app" }, "Config.Cookie.Path:"},
		{"path with ;", func(c *middleware.Config) { c.Cookie.Path = "/a;b" }, "Config.Cookie.Path:"},
		{"path with a line break", func(c *middleware.Config) { c.Cookie.Path = "/a\nb" }, "Config.Cookie.Path:"},
		{"path of 1024", func(c *middleware.Config) { c.Cookie.Path = "/" + strings.Repeat("p", 1023) }, ""},
		{"path of 1025", func(c *middleware.Config) { c.Cookie.Path = "/" + strings.Repeat("p", 1024) }, "Config.Cookie.Path:"},

		{"domain", func(c *middleware.Config) { c.Cookie.Domain = "shop.example.com" }, ""},
		{"domain with a leading dot", func(c *middleware.Config) { c.Cookie.Domain = ".example.com" }, "Config.Cookie.Domain:"},
		{"domain with scheme", func(c *middleware.Config) { c.Cookie.Domain = "https://example.com" }, "Config.Cookie.Domain:"},
		{"domain with port", func(c *middleware.Config) { c.Cookie.Domain = "example.com:443" }, "Config.Cookie.Domain:"},
		{"domain with attributes", func(c *middleware.Config) { c.Cookie.Domain = "example.com; Secure" }, "Config.Cookie.Domain:"},
		{"domain with hyphens", func(c *middleware.Config) { c.Cookie.Domain = "a-b.example.com" }, ""},
		{"domain label begins with a hyphen", func(c *middleware.Config) { c.Cookie.Domain = "-a.example.com" }, "Config.Cookie.Domain:"},
		{"domain label ends in a hyphen", func(c *middleware.Config) { c.Cookie.Domain = "a-.example.com" }, "Config.Cookie.Domain:"},
		{"domain label of 64", func(c *middleware.Config) { c.Cookie.Domain = long[1:] + ".test" }, "Config.Cookie.Domain:"},
		{"domain of 254", func(c *middleware.Config) { c.Cookie.Domain = strings.Repeat("a.", 126) + "aa" }, "Config.Cookie.Domain:"},

		{"SameSite Strict", func(c *middleware.Config) { c.Cookie.SameSite = http.SameSiteStrictMode }, ""},
		{"SameSite None", func(c *middleware.Config) { c.Cookie.SameSite = http.SameSiteNoneMode }, ""},
		{"SameSite 5", func(c *middleware.Config) { c.Cookie.SameSite = 5 }, "Config.Cookie.SameSite: 5"},
		{"SameSite -1", func(c *middleware.Config) { c.Cookie.SameSite = -1 }, "Config.Cookie.SameSite: -1"},
		{"Partitioned over plain http", func(c *middleware.Config) { c.Cookie.Partitioned, c.Cookie.DangerouslyAllowPlainHTTP = true, true }, "Config.Cookie.Partitioned:"},
		{"Priority", func(c *middleware.Config) { c.Cookie.Priority = "high" }, "Config.Cookie.Priority:"},
		{"longest lifetime below the usual", func(c *middleware.Config) { c.Lifetimes.Max = time.Hour }, "Config.Lifetimes.Max:"},
		{"longest lifetime above what browsers keep", func(c *middleware.Config) { c.Lifetimes.Max = 401 * 24 * time.Hour }, "at most 9600h"},
		{"all attributes", func(c *middleware.Config) {
			c.Cookie.SameSite, c.Cookie.Partitioned, c.Cookie.Priority = http.SameSiteNoneMode, true, "High"
		}, ""},
		{"SameSite None over plain http", func(c *middleware.Config) {
			c.Cookie.SameSite, c.Cookie.DangerouslyAllowPlainHTTP = http.SameSiteNoneMode, true
		}, "None"},

		{"lifetime of a second", func(c *middleware.Config) { c.Lifetimes.Absolute = time.Second }, ""},
		{"lifetime below", func(c *middleware.Config) { c.Lifetimes.Absolute = time.Second - 1 }, "whole seconds"},
		{"lifetime negative", func(c *middleware.Config) { c.Lifetimes.Absolute = -1 }, "Config.Lifetimes.Absolute: it is negative"},
		{"lifetime of 400 days", func(c *middleware.Config) { c.Lifetimes.Absolute = middleware.MaxLifetime }, ""},
		{"lifetime above", func(c *middleware.Config) { c.Lifetimes.Absolute = middleware.MaxLifetime + 1 }, "at most"},
		{"idle negative", func(c *middleware.Config) { c.Lifetimes.Idle = -1 }, ""},
		{"idle of a second", func(c *middleware.Config) { c.Lifetimes.Idle = time.Second }, ""},
		{"idle below", func(c *middleware.Config) { c.Lifetimes.Idle = time.Second - 1 }, "Config.Lifetimes.Idle:"},
		{"idle for ever", func(c *middleware.Config) { c.Lifetimes.Idle = 1<<63 - 1 }, ""},
		{"touch negative", func(c *middleware.Config) { c.Lifetimes.TouchAfter = -1 }, ""},
		{"touch below idle", func(c *middleware.Config) { c.Lifetimes.TouchAfter = middleware.DefaultIdleTimeout - 1 }, ""},
		{"touch as long as idle", func(c *middleware.Config) { c.Lifetimes.TouchAfter = middleware.DefaultIdleTimeout }, "Config.Lifetimes.TouchAfter:"},
		{"touch without idle", func(c *middleware.Config) { c.Lifetimes.TouchAfter, c.Lifetimes.Idle = time.Hour, -1 }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := middleware.Config{Keys: newRing(t), Logger: quiet}
			test.change(&c)
			m, err := middleware.New(c)
			if test.fault == "" {
				require.NoError(t, err)
				return
			}
			require.Nil(t, m)
			require.ErrorContains(t, err, test.fault)
			require.Equal(t, 1, strings.Count(err.Error(), "carryon: "), "one fault, told once: %v", err)
		})
	}
}

// faultsOf returns the faults that an error of New joins, by field.
func faultsOf(t *testing.T, err error) map[string]*middleware.ConfigError {
	t.Helper()
	joined, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok, "%v", err)
	all := map[string]*middleware.ConfigError{}
	for _, err := range joined.Unwrap() {
		fault, ok := errors.AsType[*middleware.ConfigError](err)
		require.True(t, ok, "%v", err)
		all[fault.Field] = fault
	}
	return all
}

func TestNewReturnsAllFaultsAtOnce(t *testing.T) {
	_, err := middleware.New(middleware.Config{
		Formats:   []codec.Format{nil},
		Cookie:    middleware.Cookie{Name: "my session.", Path: "app", Domain: "http://x", SameSite: 9, Priority: "Highest"},
		Lifetimes: middleware.Lifetimes{Absolute: -time.Hour, Max: -1, Idle: time.Minute, TouchAfter: time.Hour},
		Platform:  "mainframe",
		Limits:    middleware.Limits{RequestBytes: 1, SetCookieLines: 65},
		Fallback:  middleware.Fallback{Mode: 4, Outage: 3, Revocation: -1},
		Migration: middleware.Migration{From: []middleware.Importer{nil}},
	})
	var first *middleware.ConfigError
	require.ErrorAs(t, err, &first)
	require.Equal(t, "Keys", first.Field)
	all := faultsOf(t, err)
	require.ElementsMatch(t, []string{
		"Keys", "Formats", "Cookie.Name", "Cookie.Path", "Cookie.Domain", "Cookie.SameSite", "Cookie.Priority",
		"Lifetimes.Absolute", "Lifetimes.Max", "Lifetimes.TouchAfter", "Platform", "Limits.RequestBytes", "Limits.SetCookieLines",
		"Fallback.Mode", "Fallback.Outage", "Fallback.Revocation", "Migration.From[0]", "Migration.Until",
	}, slices.Collect(maps.Keys(all)))
	for field, fault := range all {
		require.Contains(t, err.Error(), "carryon: Config."+field+": "+fault.Problem)
		require.NotEmpty(t, fault.Problem)
	}
	require.Error(t, all["Formats"].Err, "the cause")
	require.ErrorIs(t, err, all["Formats"].Err)
}

func TestNewRefusesUnknownValues(t *testing.T) {
	for field, change := range map[string]func(c *middleware.Config, by int){
		"Fallback.Mode": func(c *middleware.Config, by int) { c.Fallback.Mode = middleware.AlwaysStored + middleware.Mode(by) },
		"Fallback.Outage": func(c *middleware.Config, by int) {
			c.Fallback.Outage = middleware.OutageStrict + middleware.Outage(by)
		},
		"Fallback.Revocation": func(c *middleware.Config, by int) {
			c.Fallback.Revocation = middleware.RevocationOff + middleware.Revocation(by)
		},
	} {
		for by, refused := range map[int]bool{0: false, 1: true, -4: true} {
			c := middleware.Config{Keys: newRing(t), Logger: quiet, Fallback: middleware.Fallback{Store: mem(t, nil)}}
			change(&c, by)
			_, err := middleware.New(c)
			if !refused {
				require.NoError(t, err, field)
				continue
			}
			all := faultsOf(t, err)
			require.Len(t, all, 1)
			require.Contains(t, all, field)
		}
	}
}

// Limits are as small as they may be if a session of one byte can begin and change.
func TestNewRefusesLimitsInWhichNoSessionFits(t *testing.T) {
	longest := func(c *middleware.Config) {
		c.Platform, c.Cookie.Name, c.Cookie.Path = middleware.Portable, strings.Repeat("n", 64), "/"+strings.Repeat("p", 1023)
	}
	fields := map[string]func(*middleware.Limits) *int{
		"Limits.CookieBytes":    func(l *middleware.Limits) *int { return &l.CookieBytes },
		"Limits.Cookies":        func(l *middleware.Limits) *int { return &l.Cookies },
		"Limits.RequestBytes":   func(l *middleware.Limits) *int { return &l.RequestBytes },
		"Limits.ResponseBytes":  func(l *middleware.Limits) *int { return &l.ResponseBytes },
		"Limits.SetCookieLines": func(l *middleware.Limits) *int { return &l.SetCookieLines },
	}
	for name, test := range map[string]struct {
		config  func(*middleware.Config)
		refused []string // the fields whose least number is not enough
	}{
		"default":     {func(*middleware.Config) {}, []string{"Limits.RequestBytes"}},
		"fixed name":  {func(c *middleware.Config) { c.Cookie.FixedName = true }, []string{"Limits.RequestBytes"}},
		"long names":  {longest, []string{"Limits.CookieBytes", "Limits.RequestBytes", "Limits.ResponseBytes"}},
		"with stores": {func(c *middleware.Config) { c.Fallback.Store = mem(t, nil) }, nil},
	} {
		for field, number := range fields {
			t.Run(name+" "+field, func(t *testing.T) {
				var c middleware.Config
				sessions := func(n int) (*middleware.Sessions, error) {
					c = middleware.Config{Keys: newRing(t), Logger: quiet}
					test.config(&c)
					*number(&c.Limits) = n
					return middleware.New(c)
				}
				least := 1
				if strings.HasSuffix(field, "Bytes") {
					least = 512
				}
				m, err := sessions(least)
				if slices.Contains(test.refused, field) {
					fault := faultsOf(t, err)[field]
					require.NotNil(t, fault, "%v", err)
					require.Contains(t, fault.Problem, "512 is too small")
					enough := least + sort.Search(4096-least, func(n int) bool { _, err := sessions(least + n); return err == nil })
					require.Contains(t, fault.Problem, strconv.Itoa(enough), "the text says what is enough")
					m, err = sessions(enough)
				}
				require.NoError(t, err)
				jar := &sessiontest.Jar{URL: strings.TrimSuffix(sessiontest.Home, "/") + c.Cookie.Path}
				for range 3 {
					write(t, m, jar, func(s *session.Session) { session.Key[bool]("a").Set(s, !s.Has("a")) })()
				}
				require.NotEmpty(t, jar.All())
			})
		}
	}
}

func TestPlainHTTPIsWarnedOf(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(slog.NewTextHandler(&b, nil))
	_, err := middleware.New(middleware.Config{Keys: newRing(t), Logger: log})
	require.NoError(t, err)
	require.Empty(t, b.String(), "the safe default says nothing")
	_, err = middleware.New(middleware.Config{Keys: newRing(t), Logger: log, Cookie: middleware.Cookie{DangerouslyAllowPlainHTTP: true}, Lifetimes: middleware.Lifetimes{Absolute: -1}})
	require.Error(t, err)
	require.Empty(t, b.String(), "nothing runs")
	_, err = middleware.New(middleware.Config{Keys: newRing(t), Logger: log, Cookie: middleware.Cookie{DangerouslyAllowPlainHTTP: true}})
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(b.String(), "\n"))
	require.Contains(t, b.String(), "level=WARN")
	require.Contains(t, b.String(), "plain HTTP")
}

// The program's own Config may change after New without effect.
func TestConfigIsCopied(t *testing.T) {
	c := middleware.Config{Keys: newRing(t)}
	m, err := middleware.New(c)
	require.NoError(t, err)
	c.Cookie.Name, c.Keys = "evil", nil
	_, x := m.Begin(t.Context(), middleware.Request{Method: http.MethodGet})
	user.Set(m.From(x), "ada")
	fields, err := x.Commit(t.Context(), middleware.Response{Status: 200})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(fmt.Sprint(fields.SetCookie), "[__Host-session."))
}

// A Sessions has no exported fields, not even by embedding: pkg.go.dev and completion
// show its methods only.
func TestSessionsHasNoFields(t *testing.T) {
	for _, v := range []any{middleware.Sessions{}, middleware.Exchange{}} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			require.False(t, f.IsExported() && f.Name != "Context", "%T.%s", v, f.Name)
		}
	}
}
