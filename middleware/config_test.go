package middleware_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
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
		{"no keys", func(c *middleware.Config) { c.Keys = nil }, "Config.Keys is nil"},
		{"a nil ring", func(c *middleware.Config) { c.Keys = (*keyring.Ring)(nil) }, "Config.Keys is nil"},

		{"name", func(c *middleware.Config) { c.Cookie.Name = "__Host-id" }, ""},
		{"name without prefix", func(c *middleware.Config) { c.Cookie.Name = "id" }, ""},
		{"name with a dot", func(c *middleware.Config) { c.Cookie.Name = "my.session" }, "has a dot"},
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
		{"path without slash", func(c *middleware.Config) { c.Cookie.Path = "app" }, "Config.Path"},
		{"path with ;", func(c *middleware.Config) { c.Cookie.Path = "/a;b" }, "Config.Path"},
		{"path with a line break", func(c *middleware.Config) { c.Cookie.Path = "/a\nb" }, "Config.Path"},
		{"path of 1024", func(c *middleware.Config) { c.Cookie.Path = "/" + strings.Repeat("p", 1023) }, ""},
		{"path of 1025", func(c *middleware.Config) { c.Cookie.Path = "/" + strings.Repeat("p", 1024) }, "Config.Path"},

		{"domain", func(c *middleware.Config) { c.Cookie.Domain = "shop.example.com" }, ""},
		{"domain with a leading dot", func(c *middleware.Config) { c.Cookie.Domain = ".example.com" }, "Config.Domain"},
		{"domain with scheme", func(c *middleware.Config) { c.Cookie.Domain = "https://example.com" }, "Config.Domain"},
		{"domain with port", func(c *middleware.Config) { c.Cookie.Domain = "example.com:443" }, "Config.Domain"},
		{"domain with attributes", func(c *middleware.Config) { c.Cookie.Domain = "example.com; Secure" }, "Config.Domain"},
		{"domain with hyphens", func(c *middleware.Config) { c.Cookie.Domain = "a-b.example.com" }, ""},
		{"domain label begins with a hyphen", func(c *middleware.Config) { c.Cookie.Domain = "-a.example.com" }, "Config.Domain"},
		{"domain label ends in a hyphen", func(c *middleware.Config) { c.Cookie.Domain = "a-.example.com" }, "Config.Domain"},
		{"domain label of 64", func(c *middleware.Config) { c.Cookie.Domain = long[1:] + ".test" }, "Config.Domain"},
		{"domain of 254", func(c *middleware.Config) { c.Cookie.Domain = strings.Repeat("a.", 126) + "aa" }, "Config.Domain"},

		{"SameSite Strict", func(c *middleware.Config) { c.Cookie.SameSite = http.SameSiteStrictMode }, ""},
		{"SameSite None", func(c *middleware.Config) { c.Cookie.SameSite = http.SameSiteNoneMode }, ""},
		{"SameSite 5", func(c *middleware.Config) { c.Cookie.SameSite = 5 }, "Config.SameSite 5"},
		{"SameSite -1", func(c *middleware.Config) { c.Cookie.SameSite = -1 }, "Config.SameSite -1"},
		{"Partitioned over plain http", func(c *middleware.Config) { c.Cookie.Partitioned, c.Cookie.DangerouslyAllowPlainHTTP = true, true }, "Config.Partitioned"},
		{"Priority", func(c *middleware.Config) { c.Cookie.Priority = "high" }, "Config.Priority"},
		{"MaxLifetime below Lifetime", func(c *middleware.Config) { c.Lifetimes.Max = time.Hour }, "Config.MaxLifetime"},
		{"MaxLifetime above what browsers keep", func(c *middleware.Config) { c.Lifetimes.Max = 401 * 24 * time.Hour }, "at most 9600h"},
		{"all attributes", func(c *middleware.Config) {
			c.Cookie.SameSite, c.Cookie.Partitioned, c.Cookie.Priority = http.SameSiteNoneMode, true, "High"
		}, ""},
		{"SameSite None over plain http", func(c *middleware.Config) {
			c.Cookie.SameSite, c.Cookie.DangerouslyAllowPlainHTTP = http.SameSiteNoneMode, true
		}, "None"},

		{"lifetime of a second", func(c *middleware.Config) { c.Lifetimes.Absolute = time.Second }, ""},
		{"lifetime below", func(c *middleware.Config) { c.Lifetimes.Absolute = time.Second - 1 }, "whole seconds"},
		{"lifetime negative", func(c *middleware.Config) { c.Lifetimes.Absolute = -1 }, "Config.Lifetime is negative"},
		{"lifetime of 400 days", func(c *middleware.Config) { c.Lifetimes.Absolute = middleware.MaxLifetime }, ""},
		{"lifetime above", func(c *middleware.Config) { c.Lifetimes.Absolute = middleware.MaxLifetime + 1 }, "at most"},
		{"idle negative", func(c *middleware.Config) { c.Lifetimes.Idle = -1 }, ""},
		{"idle of a second", func(c *middleware.Config) { c.Lifetimes.Idle = time.Second }, ""},
		{"idle below", func(c *middleware.Config) { c.Lifetimes.Idle = time.Second - 1 }, "Config.IdleTimeout"},
		{"idle for ever", func(c *middleware.Config) { c.Lifetimes.Idle = 1<<63 - 1 }, ""},
		{"touch negative", func(c *middleware.Config) { c.Lifetimes.TouchAfter = -1 }, ""},
		{"touch below idle", func(c *middleware.Config) { c.Lifetimes.TouchAfter = middleware.DefaultIdleTimeout - 1 }, ""},
		{"touch as long as idle", func(c *middleware.Config) { c.Lifetimes.TouchAfter = middleware.DefaultIdleTimeout }, "Config.TouchAfter"},
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

func TestNewReturnsAllFaultsAtOnce(t *testing.T) {
	_, err := middleware.New(middleware.Config{
		Cookie:    middleware.Cookie{Name: "my session.", Path: "app", Domain: "http://x", SameSite: 9},
		Lifetimes: middleware.Lifetimes{Absolute: -time.Hour, Idle: time.Minute, TouchAfter: time.Hour},
	})
	require.Error(t, err)
	for _, field := range []string{"Keys", "Name", "Path", "Domain", "SameSite", "Lifetime", "TouchAfter"} {
		require.Contains(t, err.Error(), "Config."+field)
	}
	require.Greater(t, len(strings.Split(err.Error(), "\n")), 6)
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
