package middleware_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// look is what a request with the jar's cookies finds.
func look(t *testing.T, m *middleware.Sessions, jar *sessiontest.Jar) middleware.Description {
	t.Helper()
	ctx, x := m.Begin(t.Context(), middleware.Request{Method: http.MethodGet, Cookies: []string{jar.Header("")}})
	d := m.Describe(ctx)
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

func TestDescribeNothing(t *testing.T) {
	m := newSessions(t, func(c *middleware.Config) { c.Platform, c.Limits.Parallel = middleware.Nginx, 3 })
	d := look(t, m, &sessiontest.Jar{})
	require.Empty(t, d.Fragments)
	want, _ := middleware.Nginx.Limits()
	want.Parallel = 3
	require.Equal(t, want, d.Limits)
	require.Equal(t, middleware.Limits{}, d.Used)
}

// Every name is listed with the fragment that its present value is from.
func TestDescribeSnapshotAndDeltas(t *testing.T) {
	m, jar := newSessions(t), &sessiontest.Jar{Clock: func() time.Time { return noon }}
	write(t, m, jar, fill("big", 1200))()
	both := []func(){write(t, m, jar, fill("left", 10)), write(t, m, jar, fill("right", 20))}
	for _, land := range both {
		land()
	}
	write(t, m, jar, func(s *session.Session) { s.Delete("left") })()

	d := look(t, m, jar)
	found := map[string]int{}
	for _, f := range d.Fragments {
		require.Equal(t, "accepted", f.Fate)
		require.Equal(t, 1, f.Pieces)
		require.Equal(t, f.Bytes, len("__Host-session.="+f.Suffix+"; ")+len(jar.Value("__Host-session."+f.Suffix)))
		found[f.Kind+" "+strings.Join(f.Entries, "+")]++
	}
	require.Equal(t, map[string]int{"snapshot big": 1, "delta right": 1, "delta ": 2}, found)
	require.Equal(t, 4, d.Used.Cookies)
	require.Equal(t, len(jar.Header(""))+len("; "), d.Used.RequestBytes)
}

func TestDescribeChunks(t *testing.T) {
	m, jar := newSessions(t, wide), &sessiontest.Jar{Clock: func() time.Time { return noon }}
	write(t, m, jar, fill("big", 11000))()
	jar.Put("other", "cookie")
	d := look(t, m, jar)
	require.Len(t, d.Fragments, 1)
	require.Equal(t, 4, d.Fragments[0].Pieces)
	require.Equal(t, []string{"big"}, d.Fragments[0].Entries)
	require.Equal(t, 5, d.Used.Cookies, "the program's own counts")
	require.Greater(t, d.Used.CookieBytes, 4000)
	require.LessOrEqual(t, d.Used.CookieBytes, d.Limits.CookieBytes)

	jar.Evict("__Host-session." + d.Fragments[0].Suffix + ".2")
	d = look(t, m, jar)
	require.Equal(t, middleware.Fragment{
		Suffix: d.Fragments[0].Suffix, Fate: "unopened", Pieces: 3, Bytes: d.Fragments[0].Bytes}, d.Fragments[0])
}

func TestDescribeFates(t *testing.T) {
	now := &clock{now: noon}
	m := newSessions(t, func(c *middleware.Config) { c.Clock = now.Now })
	jar := &sessiontest.Jar{Clock: func() time.Time { return noon }} // keeps what has expired
	fates := func() (all []string) {
		for _, f := range look(t, m, jar).Fragments {
			all = append(all, f.Kind+" "+f.Fate)
		}
		return all
	}
	write(t, m, jar, fill("big", 900))()
	slow := write(t, m, jar, fill("slow", 9))
	now.advance(time.Minute)
	write(t, m, jar, (*session.Session).Renew)()
	slow()
	require.Equal(t, []string{"snapshot accepted", "delta superseded"}, fates())
	write(t, m, jar, (*session.Session).Destroy)()
	require.Equal(t, []string{"logout accepted"}, fates())

	jar = &sessiontest.Jar{Clock: jar.Clock}
	write(t, m, jar, fill("big", 900))()
	now.advance(3 * time.Hour)
	require.Equal(t, []string{"snapshot expired (idle)"}, fates())
	now.advance(24 * time.Hour)
	require.Equal(t, []string{"snapshot expired"}, fates())
}

func TestDescribeFixedName(t *testing.T) {
	m := newSessions(t, func(c *middleware.Config) { c.FixedName = true })
	jar := &sessiontest.Jar{Clock: func() time.Time { return noon }}
	write(t, m, jar, fill("big", 100))()
	d := look(t, m, jar)
	require.Equal(t, []middleware.Fragment{{Kind: "snapshot", Fate: "accepted", Entries: []string{"big"}, Pieces: 1,
		Bytes: len(jar.Header("")) + len("; ")}}, d.Fragments)
}

// A description is shown to people: nothing of the values or cookies is in it.
func TestDescribeKeepsSecrets(t *testing.T) {
	m, jar := newSessions(t), &sessiontest.Jar{Clock: func() time.Time { return noon }}
	write(t, m, jar, func(s *session.Session) { user.Set(s, "ada") })()
	text := fmt.Sprintf("%+v", look(t, m, jar))
	require.Contains(t, text, "user")
	require.NotContains(t, text, "ada")
	require.NotContains(t, text, jar.Value(jar.Names()[0])[:8])
}

func TestDescribeWithoutHandlerPanics(t *testing.T) {
	m, other := newSessions(t), newSessions(t)
	ctx, _ := other.Begin(t.Context(), middleware.Request{})
	require.PanicsWithValue(t, "carryon: Sessions.Describe: this context did not pass this Sessions' Handler; "+
		"wrap the handler that serves this route, and pass r.Context() on", func() { m.Describe(ctx) })
}
