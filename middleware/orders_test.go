package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

func mem(t testing.TB, now func() time.Time) *fallback.Memory {
	m, err := fallback.NewMemory(fallback.MemoryConfig{Clock: now})
	require.NoError(t, err)
	return m
}

// A handler logs in, saves, and then destroys the session, in the response that
// begins a stored session. The session must be gone.
func TestDestroyAfterASaveEndsANewStoredSession(t *testing.T) {
	for _, revocation := range []middleware.Revocation{middleware.RevocationOn, middleware.RevocationOff} {
		for mode, size := range map[middleware.Mode]int{middleware.AlwaysStored: 10, middleware.Auto: 60_000} {
			t.Run(fmt.Sprint(revocation, mode), func(t *testing.T) {
				a := newAdversary(t, nil)
				m := a.replica(a.clock.Now, func(c *middleware.Config) {
					c.Fallback.Store, c.Fallback.Mode, c.Fallback.Revocation = mem(t, a.clock.Now), mode, revocation
				})
				a.sessions = m
				jar := cookies{}
				a.ask(jar, func(s *session.Session) {
					s.Login("ada")
					user.Set(s, "ada"+strings.Repeat("é", 0)+text(min(size, 60_000)))
					require.NoError(t, s.Save(context.Background()))
					s.Destroy() // a later check failed
				})
				seen, reason := a.sees(jar)
				require.Empty(t, seen, "the destroyed session is back (%v)", reason)
			})
		}
	}
}

// An imported session in one stored cookie survives the other library's removal of
// its own session.
func TestImportIntoOneStoredCookie(t *testing.T) {
	s, old := migrating(t, config(func(c *middleware.Config) { c.Cookie.FixedName, c.Fallback.Mode = true, middleware.AlwaysStored }))
	require.Equal(t, "ada", s.who())
	s.clock.advance(time.Minute)
	delete(old.sessions, "token") // the other library removes its session
	require.Equal(t, "ada", s.who())
}

// After a logout of an imported session, a late request with the old cookie does
// not bring the session back. The importer has no state, and there is no store.
func TestLogoutOfAnImportedSessionHoldsAgainstALateImport(t *testing.T) {
	old := &oldLibrary{path: "/", sessions: map[string]*middleware.Imported{"token": {
		Values: map[string]any{"user": "ada"}, Created: noon.Add(-time.Hour), Expires: noon.Add(9 * time.Hour)}}}
	a := newAdversary(t, func(c *middleware.Config) {
		c.Migration.From, c.Migration.Until = []middleware.Importer{stateless{old}}, noon.Add(time.Hour)
	})
	jar := cookies{"old": "token"}
	late := open(a.sessions, jar, func(s *session.Session) { s.Names() })
	a.ask(jar, func(s *session.Session) { s.Destroy() })
	require.Empty(t, jar["old"])
	lines, err := late()
	require.NoError(t, err)
	jar.land(lines)
	seen, reason := a.sees(jar)
	require.Empty(t, seen, "the session is back after its logout (%v)", reason)
}

type stateless struct{ *oldLibrary }

func (stateless) Forget(context.Context, string) error { return nil }

// Pop in a prefetch keeps the value, also if the handler calls Save.
func TestPopLeavesTheValueInAPrefetchThatSaves(t *testing.T) {
	for name, do := range map[string]func(w http.ResponseWriter, r *http.Request){
		"saved": func(w http.ResponseWriter, r *http.Request) {
			s := session.From(r.Context())
			note.Pop(s)
			require.NoError(t, s.Save(r.Context()))
		},
		"late": func(w http.ResponseWriter, r *http.Request) {
			s := session.From(r.Context())
			s.Names()
			w.WriteHeader(200)
			note.Pop(s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := storedSite(t, config(func(c *middleware.Config) { c.Fallback.Mode = middleware.AlwaysStored }), asProgram(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/pop" {
					do(w, r)
					return
				}
				storedApp(w, r)
			}))
			s.get("/put?name=note&size=10")
			s.get("/pop", "Sec-Purpose: prefetch")
			require.Equal(t, "10", s.length("note"), "the visitor has not seen the flash message")
		})
	}
}

// A renewal counts if the handler panics after the header was sent.
func TestRenewalCountsWhereTheHandlerPanicsAfterTheHeader(t *testing.T) {
	sites, _ := sharing(t, 2, asProgram(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/renew" {
			session.From(r.Context()).Renew()
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler) // as httputil.ReverseProxy does if a copy fails
		}
		bindApp(w, r)
	}))
	s := sites[0]
	s.get("/bind?user=ada")
	before := s.header()
	thief := s.stealJar()
	r, _ := http.NewRequest("GET", s.URL+"/renew", nil)
	if response, err := s.client.Do(r); err == nil {
		_, _ = io.Copy(io.Discard, response.Body) // until the server has ended the request
		response.Body.Close()
	}
	require.NotEqual(t, before, s.header(), "the renewed cookie was sent")
	require.Equal(t, "ada", s.who())
	after(s, time.Hour/4)
	thief.requireEnded(sites...)
}

// slowStore is slow, and returns early if its context ends.
type slowStore struct {
	fallback.Store
	wait time.Duration
}

func (s slowStore) Load(ctx context.Context, id string) (fallback.Record, error) {
	select {
	case <-ctx.Done():
		return fallback.Record{}, ctx.Err()
	case <-time.After(s.wait):
	}
	return s.Store.Load(ctx, id)
}

// The deadline of a request must not count as an outage of the store. Otherwise an
// attacker could use a short deadline to stop the replica from asking for
// revocations.
func TestADeadlineOfAVisitorsOwnIsNoOutage(t *testing.T) {
	a := newAdversary(t, nil)
	store := mem(t, a.clock.Now)
	with := func(c *middleware.Config) { c.Fallback.Store = slowStore{store, 2 * time.Millisecond} }
	one, two := a.replica(a.clock.Now, with), a.replica(a.clock.Now, with)
	a.sessions = one
	jar := cookies{}
	var id string
	a.ask(jar, func(s *session.Session) { s.Login("ada"); user.Set(s, "ada"); id = s.ID() })
	require.NoError(t, one.Revoke(context.Background(), id))
	require.NoError(t, one.RevokeSubject(context.Background(), "ada"))

	// The attacker's first request reaches its deadline in the handler, as with an
	// http.TimeoutHandler around the sessions and a slow body. The second one must not
	// profit.
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, x := two.Begin(ctx, middleware.Request{Method: "POST", Cookies: []string{jar.header()}})
	_ = session.From(x).Load(x)

	_, y := two.Begin(context.Background(), middleware.Request{Method: "POST", Cookies: []string{jar.header()}})
	got, _ := user.Get(session.From(y))
	require.Empty(t, got, "the session is revoked, the store is up, and this request has no deadline")
}

// Estimate works for a login without values.
func TestEstimateOfALoginWithoutValues(t *testing.T) {
	_, err := middleware.Estimate(middleware.Config{}, func(s *session.Session) { s.Login("ada") })
	require.NoError(t, err)
}

type ring struct {
	Name string
	Next *ring
	Map  map[string]any
}

// A value that contains itself is an error, not an endless loop.
func TestCyclicValuesAreAnError(t *testing.T) {
	a := newAdversary(t, nil)
	r := &ring{Name: "a"}
	r.Next = r
	m := map[string]any{}
	m["m"] = m
	for _, v := range []any{r, m} {
		_, err := open(a.sessions, cookies{}, func(s *session.Session) { session.Key[any]("x").Set(s, v) })()
		require.Error(t, err)
	}
}
