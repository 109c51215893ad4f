package middleware_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// look is what a request with the jar's cookies finds.
func look(t *testing.T, m *middleware.Sessions, jar *sessiontest.Jar) middleware.Explanation {
	t.Helper()
	ctx, x := m.Begin(t.Context(), middleware.Request{Method: http.MethodHead, Cookies: []string{jar.Header("")}})
	d := m.Explain((&http.Request{}).WithContext(ctx))
	fields, err := x.Commit(ctx, middleware.Response{Status: 200})
	require.NoError(t, err)
	require.Empty(t, fields.SetCookie, "looking changes nothing")
	return d
}

// write has a request change the session of the jar; its response lands when
// the returned function is called.
func write(t *testing.T, m *middleware.Sessions, jar *sessiontest.Jar, change func(*session.Session)) (land func()) {
	t.Helper()
	ctx, x := m.Begin(t.Context(), middleware.Request{Method: http.MethodPost, Cookies: []string{jar.Header("")}})
	change(session.From(ctx))
	fields, err := x.Commit(ctx, middleware.Response{Status: 200})
	require.NoError(t, err)
	return func() {
		for _, line := range fields.SetCookie {
			require.True(t, jar.Set(line), line)
		}
	}
}

func fill(name string, n int) func(*session.Session) {
	return func(s *session.Session) { session.Key[[]byte](name).Set(s, noise(n)) }
}

func readOnly(s *session.Session) { s.Names() }

// newJar is a browser that keeps what has expired.
func newJar() *sessiontest.Jar { return &sessiontest.Jar{Clock: func() time.Time { return noon }} }

// kinds lists what a request's cookies are, and which count.
func kinds(d middleware.Explanation) (all []string) {
	for _, c := range d.Cookies {
		counts := map[bool]string{true: " counts", false: ""}[c.Counts]
		all = append(all, strings.TrimSpace(c.Kind+" "+strings.Join(c.Entries, "+"))+counts)
	}
	return all
}

func TestExplainNothing(t *testing.T) {
	m := newSessions(t, func(c *middleware.Config) { c.Platform, c.Limits.Cookies = middleware.Nginx, 13 })
	d := look(t, m, &sessiontest.Jar{})
	require.Empty(t, d.Cookies)
	require.Nil(t, d.Record)
	require.Zero(t, d.StoreCalls)
	want, _ := middleware.Nginx.Limits()
	want.Cookies = 13
	require.Equal(t, want, d.Limits)
	require.Equal(t, middleware.Limits{}, d.Used)
}

// Every name is listed with the cookie that its present value is from.
func TestExplainHeadAndCells(t *testing.T) {
	m, jar := newSessions(t), newJar()
	write(t, m, jar, fill("big", 1200))()
	require.Equal(t, []string{"head big counts"}, kinds(look(t, m, jar)))
	both := []func(){write(t, m, jar, fill("left", 10)), write(t, m, jar, fill("right", 20))}
	for _, land := range both {
		land()
	}
	write(t, m, jar, func(s *session.Session) { s.Delete("left") })()
	require.ElementsMatch(t, []string{"head big counts", "cell right counts", "cell counts"}, kinds(look(t, m, jar)))
	write(t, m, jar, fill("big", 1300))()

	d := look(t, m, jar)
	require.ElementsMatch(t, []string{"head counts", "cell big counts", "cell right counts", "cell counts"}, kinds(d))
	for _, c := range d.Cookies {
		require.Equal(t, 1, c.Pieces)
		require.Equal(t, c.Bytes, len("__Host-session.="+c.Tag+"; ")+len(jar.Value("__Host-session."+c.Tag)))
	}
	require.Equal(t, 4, d.Used.Cookies)
	require.Equal(t, len(jar.Header(""))+len("; "), d.Used.RequestBytes)
}

func TestExplainChunks(t *testing.T) {
	m, jar := newSessions(t, wide), newJar()
	write(t, m, jar, fill("big", 11000))()
	jar.Put("other", "cookie")
	d := look(t, m, jar)
	require.Equal(t, []string{"head big counts"}, kinds(d))
	require.Equal(t, 4, d.Cookies[0].Pieces)
	require.Equal(t, 5, d.Used.Cookies, "the program's own counts")
	require.Greater(t, d.Used.CookieBytes, 4000)
	require.LessOrEqual(t, d.Used.CookieBytes, d.Limits.CookieBytes)

	jar.Evict("__Host-session." + d.Cookies[0].Tag + ".2")
	d = look(t, m, jar)
	require.Equal(t, []middleware.CookieReport{{Tag: d.Cookies[0].Tag, Pieces: 3, Bytes: d.Cookies[0].Bytes}}, d.Cookies)
}

// What belongs to an older session, or holds an older value, does not count.
func TestExplainWhatDoesNotCount(t *testing.T) {
	now := &clock{now: noon}
	m := newSessions(t, func(c *middleware.Config) { c.Clock = now.Now })
	jar := newJar()
	found := func() []string { return kinds(look(t, m, jar)) }
	write(t, m, jar, fill("big", 900))()
	slow := write(t, m, jar, fill("slow", 9))
	now.advance(time.Minute)
	write(t, m, jar, (*session.Session).Renew)()
	slow()
	require.ElementsMatch(t, []string{"head big counts", "head", "cell"}, found())
	write(t, m, jar, (*session.Session).Destroy)()
	require.Equal(t, []string{"logout counts"}, found())

	jar = newJar()
	write(t, m, jar, fill("big", 900))()
	now.advance(25 * time.Hour)
	require.Equal(t, []string{"head"}, found(), "its time is over")
}

// A touch of a session whose head is costly to set again has a cookie of its own.
func TestExplainSeen(t *testing.T) {
	now := &clock{now: noon}
	m := newSessions(t, func(c *middleware.Config) { c.Clock = now.Now })
	jar := newJar()
	write(t, m, jar, fill("big", 900))()
	now.advance(90 * time.Minute)
	write(t, m, jar, readOnly)()
	require.ElementsMatch(t, []string{"head big counts", "seen counts"}, kinds(look(t, m, jar)))
}

func TestExplainReferenceAndRecord(t *testing.T) {
	now := &clock{now: noon}
	memory, err := fallback.NewMemory(fallback.MemoryConfig{Clock: now.Now})
	require.NoError(t, err)
	m := newSessions(t, func(c *middleware.Config) {
		c.Clock, c.Fallback.Store, c.Fallback.Revocation = now.Now, memory, middleware.RevocationOff
	})
	jar := newJar()
	write(t, m, jar, fill("big", 60_000))()
	write(t, m, jar, fill("small", 60))()
	write(t, m, jar, func(s *session.Session) { s.Delete("small"); fill("last", 7)(s) })()
	d := look(t, m, jar)
	require.Equal(t, []string{"reference counts"}, kinds(d))
	require.Equal(t, 1, d.StoreCalls)
	require.NotNil(t, d.Record)
	require.Equal(t, []string{"big", "last"}, d.Record.Entries)
	require.EqualValues(t, 3, d.Record.Number)
	stored, err := memory.Load(t.Context(), d.Record.ID)
	require.NoError(t, err)
	require.Len(t, stored.Data, d.Record.Bytes)
	require.Equal(t, stored.Expires, d.Record.Expires)
}

func TestExplainFixedName(t *testing.T) {
	m, jar := newSessions(t, func(c *middleware.Config) { c.Cookie.FixedName = true }), newJar()
	write(t, m, jar, fill("big", 100))()
	require.Equal(t, []middleware.CookieReport{{Kind: "head", Counts: true, Entries: []string{"big"}, Pieces: 1,
		Bytes: len(jar.Header("")) + len("; ")}}, look(t, m, jar).Cookies)
}

// An explanation is shown to people: nothing of the values or cookies is in it.
func TestExplainKeepsSecrets(t *testing.T) {
	m, jar := newSessions(t), newJar()
	write(t, m, jar, func(s *session.Session) { user.Set(s, "ada") })()
	write(t, m, jar, func(s *session.Session) { user.Set(s, "ada lovelace") })()
	text := fmt.Sprintf("%+v", look(t, m, jar))
	require.Contains(t, text, "user")
	require.NotContains(t, text, "ada")
	require.Len(t, jar.Names(), 2)
	for _, name := range jar.Names() {
		require.NotContains(t, text, jar.Value(name)[8:16])
	}
}

// A handler that asks gets what its own load has found, whether anyone observes it.
func TestExplainUsesTheSessionOfTheHandler(t *testing.T) {
	for name, observed := range map[string]bool{"observed": true, "unobserved": false} {
		t.Run(name, func(t *testing.T) {
			store, told := &watched{ids: map[string]bool{}, Store: mem(t, func() time.Time { return noon })}, &events{}
			m := newSessions(t, func(c *middleware.Config) {
				c.Fallback.Store, c.Fallback.Mode = store, middleware.AlwaysStored
				if c.Logger = quiet; observed {
					c.Observer = told.observe
				}
			})
			jar := newJar()
			write(t, m, jar, fill("big", 1000))()
			jar.Put("__Host-session.aaaaaaaaaa", strings.Repeat("A", 200))
			outside := m.Explain(&http.Request{Header: http.Header{"Cookie": {jar.Header("")}}})
			require.Equal(t, reason.None, outside.Reason)
			require.Len(t, outside.Refused, 1)
			require.Equal(t, "aaaaaaaaaa", outside.Refused[0].Tag)
			require.Equal(t, 1, outside.StoreCalls)
			told.forget()
			store.since()

			ctx, x := m.Begin(t.Context(), middleware.Request{Method: http.MethodGet, Cookies: []string{jar.Header("")}})
			r := (&http.Request{}).WithContext(ctx)
			require.Len(t, session.From(ctx).Names(), 1)
			for range 2 {
				require.Equal(t, outside, m.Explain(r))
			}
			session.From(ctx).Renew()
			require.NoError(t, session.From(ctx).Save(ctx))
			renewed := m.Explain(r)
			require.Equal(t, outside.Refused, renewed.Refused, "what was found stays found")
			require.NotEqual(t, outside.SessionID, renewed.SessionID)
			_, err := x.Commit(ctx, middleware.Response{Status: 200})
			require.NoError(t, err)
			require.Len(t, told.of(middleware.EventLoaded), map[bool]int{true: 1}[observed], "one load")
		})
	}
}

// The session of one Sessions is not the other's.
func TestExplainOfAnotherHandler(t *testing.T) {
	m, other := newSessions(t), newSessions(t)
	jar := newJar()
	write(t, m, jar, fill("big", 100))()
	ctx, _ := other.Begin(t.Context(), middleware.Request{})
	r := (&http.Request{Header: http.Header{"Cookie": {jar.Header("")}}}).WithContext(ctx)
	require.Equal(t, reason.None, m.Explain(r).Reason)
	require.Equal(t, reason.Absent, other.Explain(r).Reason)
}
