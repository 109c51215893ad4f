package middleware_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// withHandler makes the next request of the visitor run do. All other requests run
// storedApp.
func withHandler(s *site, do func(w http.ResponseWriter, r *http.Request, v *session.Session)) (then func() answer) {
	s.t.Helper()
	next := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/within" {
			next.ServeHTTP(w, r)
			return
		}
		s.sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			do(w, r, session.From(r.Context()))
		})).ServeHTTP(w, r)
	})
	return func() answer { s.t.Helper(); return s.get("/within") }
}

// In cookies, Reload drops the request's changes and shows the session as the
// request carried it.
func TestReloadDropsTheChanges(t *testing.T) {
	for name, change := range map[string]func(v *session.Session){
		"set":          func(v *session.Session) { user.Set(v, "eve") },
		"delete":       func(v *session.Session) { user.Delete(v) },
		"clear":        (*session.Session).Clear,
		"renew":        (*session.Session).Renew,
		"destroy":      (*session.Session).Destroy,
		"bind":         func(v *session.Session) { v.Login("eve") },
		"lifetime":     func(v *session.Session) { v.SetLifetime(time.Minute) },
		"not encoded":  func(v *session.Session) { session.Key[chan int]("c").Set(v, make(chan int)) },
		"destroy, set": func(v *session.Session) { v.Destroy(); user.Set(v, "eve") },
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := storedSite(t)
			s.get("/set?user=ada")
			var id, name string
			a := withHandler(s, func(_ http.ResponseWriter, r *http.Request, v *session.Session) {
				before := v.ID()
				change(v)
				require.NoError(t, v.Reload(r.Context()))
				id, name = before, v.ID()
				got, _ := user.Get(v)
				require.Equal(t, "ada", got)
				require.NoError(t, v.Err())
			})()
			require.Equal(t, 200, a.StatusCode)
			require.Equal(t, id, name)
			require.Empty(t, a.Header.Values("Set-Cookie"), "there is no change left to write")
			require.Equal(t, "ada", s.who())
		})
	}
}

func TestReloadBeforeAnythingElseLoads(t *testing.T) {
	s, store := storedSite(t)
	s.grow("large", 50_000)
	store.since()
	a := withHandler(s, func(w http.ResponseWriter, r *http.Request, v *session.Session) {
		require.NoError(t, v.Reload(r.Context()))
		_, _ = io.WriteString(w, strings.Join(v.Names(), " "))
	})()
	require.Equal(t, "large", a.body)
	require.Equal(t, []string{"load"}, store.since())

	s, store = storedSite(t)
	a = withHandler(s, func(_ http.ResponseWriter, r *http.Request, v *session.Session) {
		user.Set(v, "ada")
		require.NoError(t, v.Reload(r.Context()))
		require.True(t, v.IsNew())
		require.Empty(t, v.ID())
	})()
	require.Empty(t, a.Header.Values("Set-Cookie"), "a session that was never written leaves no cookie")
	require.Empty(t, store.since())
}

// Reload reads a stored session again, with the changes that other requests and
// this one have saved.
func TestReloadReadsTheRecordAgain(t *testing.T) {
	s, store := storedSite(t)
	s.grow("large", 50_000)
	header := s.header()
	a := withHandler(s, func(w http.ResponseWriter, r *http.Request, v *session.Session) {
		user.Set(v, "saved")
		require.NoError(t, v.Save(r.Context()))
		require.Equal(t, 200, s.bare("/put?name=other&size=9", header).StatusCode)
		require.False(t, v.Has("other"))
		note.Set(v, "dropped")
		store.since()
		require.NoError(t, v.Reload(r.Context()))
		require.Equal(t, []string{"load"}, store.since())
		_, _ = io.WriteString(w, strings.Join(v.Names(), " "))
	})()
	require.Equal(t, "large other user", a.body)
	require.NotEmpty(t, a.Header.Values("Set-Cookie"), "for the Save")
	require.Equal(t, "large other user", s.get("/names").body)
}

// Reload also works after the header was sent, when a stored session can still be
// changed.
func TestReloadAfterTheHeader(t *testing.T) {
	s, _ := storedSite(t)
	s.grow("large", 50_000)
	header := s.header()
	a := withHandler(s, func(w http.ResponseWriter, r *http.Request, v *session.Session) {
		_ = v.Names()
		_, _ = io.WriteString(w, "header ")
		require.NoError(t, http.NewResponseController(w).Flush())
		require.Equal(t, 200, s.bare("/put?name=other&size=9", header).StatusCode)
		require.NoError(t, v.Reload(r.Context()))
		require.True(t, v.Has("other"))
		note.Set(v, "late, and written")
		require.NoError(t, v.Save(r.Context()))
	})()
	require.Equal(t, "header ", a.body)
	require.Equal(t, "large note other", s.get("/names").body)
	require.Empty(t, s.events.of(middleware.EventLateRead))
}

// A session in cookies stays as the response has sent it.
func TestReloadAfterTheHeaderOfCookies(t *testing.T) {
	for name, login := range map[string]func(v *session.Session){
		"a change": func(v *session.Session) { user.Set(v, "eve") },
		"a login":  func(v *session.Session) { v.Renew(); user.Set(v, "eve") },
		"another":  func(v *session.Session) { v.Destroy(); user.Set(v, "eve") },
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := storedSite(t, config(func(c *middleware.Config) { c.Fallback.Revocation = middleware.RevocationOn }))
			s.get("/set?user=ada")
			withHandler(s, func(w http.ResponseWriter, r *http.Request, v *session.Session) {
				login(v)
				id := v.ID()
				require.NoError(t, http.NewResponseController(w).Flush())
				require.NoError(t, v.Reload(r.Context()))
				got, _ := user.Get(v)
				require.Equal(t, "eve", got)
				require.Equal(t, id, v.ID())
			})()
			require.Equal(t, "eve", s.who())
		})
	}
}

// A handler that runs for long finds out by Reload that its session has ended.
func TestReloadFindsTheEnd(t *testing.T) {
	for want, end := range map[reason.Reason]func(s *site, header, id string){
		reason.LoggedOut: func(s *site, header, _ string) { s.bare("/logout", header) },
		reason.Revoked:   func(s *site, _, id string) { require.NoError(s.t, s.sessions.Revoke(s.t.Context(), id)) },
		reason.Expired:   func(s *site, _, _ string) { s.clock.advance(24 * time.Hour) },
	} {
		for _, size := range []int{10, 50_000} {
			for _, after := range []bool{false, true} {
				t.Run(want.String(), func(t *testing.T) {
					s, _ := storedSite(t, config(func(c *middleware.Config) { c.Fallback.Revocation = middleware.RevocationOn }))
					s.get("/set?user=ada")
					s.grow("data", size)
					header := s.header()
					a := withHandler(s, func(w http.ResponseWriter, r *http.Request, v *session.Session) {
						require.True(t, v.Has("user"))
						id := v.ID()
						if after {
							require.NoError(t, http.NewResponseController(w).Flush())
						}
						require.NoError(t, v.Reload(r.Context()))
						require.True(t, v.Has("user"), "the session has not ended yet")
						end(s, header, id)
						s.clock.advance(11 * time.Second) // RevocationMaxAge
						require.NoError(t, v.Reload(r.Context()))
						require.Empty(t, v.Names())
						require.True(t, v.IsNew())
						require.Equal(t, want, v.Reason())
					})()
					require.Equal(t, 200, a.StatusCode)
				})
			}
		}
	}
}

// If Reload fails, the session stays as it was, and the next Reload may succeed.
func TestReloadWhileTheStoreIsDown(t *testing.T) {
	s, store := storedSite(t)
	s.get("/set?user=ada")
	s.grow("large", 50_000)
	a := withHandler(s, func(_ http.ResponseWriter, r *http.Request, v *session.Session) {
		user.Set(v, "eve")
		store.fail(errors.New("down"))
		require.ErrorIs(t, v.Reload(r.Context()), session.ErrStoreDown)
		require.NoError(t, v.Err())
		got, _ := user.Get(v)
		require.Equal(t, "eve", got, "the change is kept")
		store.fail(nil)
	})()
	require.Equal(t, 200, a.StatusCode)
	require.Equal(t, "eve", s.who())

	s, store = storedSite(t)
	s.get("/set?user=ada")
	s.grow("large", 50_000)
	store.fail(errors.New("down"))
	a = withHandler(s, func(w http.ResponseWriter, r *http.Request, v *session.Session) {
		require.Error(t, v.Load(r.Context()))
		require.Error(t, v.Reload(r.Context()))
		store.fail(nil)
		require.NoError(t, v.Reload(r.Context()), "Reload asks the store again")
		require.NoError(t, v.Load(r.Context()))
		got, _ := user.Get(v)
		_, _ = io.WriteString(w, got)
		user.Set(v, "eve")
	})()
	require.Equal(t, 200, a.StatusCode)
	require.Equal(t, "ada", a.body)
	require.Equal(t, "eve", s.who())
}

// If the revocation status was unknown, a request treats its visitor as having no
// session. Reload in the same request does not ask again and does not bring the
// session back.
func TestReloadDoesNotBringBackWhoMayBeRevoked(t *testing.T) {
	s, store := storedSite(t, config(func(c *middleware.Config) {
		c.Fallback.Revocation = middleware.RevocationStrict
	}))
	s.get("/set?user=ada")
	store.fail(errors.New("down"))
	a := withHandler(s, func(_ http.ResponseWriter, r *http.Request, v *session.Session) {
		require.ErrorIs(t, v.Load(r.Context()), session.ErrStoreDown)
		store.fail(nil)
		require.ErrorIs(t, v.Reload(r.Context()), session.ErrStoreDown)
		require.Empty(t, v.Names())
	})()
	require.Equal(t, 503, a.StatusCode)
}

func TestReloadOfARecordThatIsGone(t *testing.T) {
	s, store := storedSite(t)
	s.grow("large", 50_000)
	withHandler(s, func(_ http.ResponseWriter, r *http.Request, v *session.Session) {
		require.True(t, v.Has("large"))
		require.NoError(t, store.Delete(r.Context(), store.onlyRecord(t)))
		require.NoError(t, v.Reload(r.Context()))
		require.Empty(t, v.Names())
		require.Equal(t, reason.RecordMissing, v.Reason())
	})()
}

// If the session has moved back into cookies and its row was emptied, Reload keeps
// the loaded state, because the request cannot know a newer one.
func TestReloadOfARecordThatHasMoved(t *testing.T) {
	s, _ := storedSite(t, config(func(c *middleware.Config) { c.Lifetimes.Idle = -1 }))
	s.grow("keep", 50)
	s.grow("large", 50_000)
	a := withHandler(s, func(_ http.ResponseWriter, r *http.Request, v *session.Session) {
		require.True(t, v.Has("keep"))
		request := func(path string) { s.receive(s.bare(path, s.header())) }
		request("/drop?name=large")
		s.clock.advance(16*time.Minute + 2*time.Second)
		request("/put?name=a&size=10")
		require.NoError(t, v.Reload(r.Context()))
		require.True(t, v.Has("keep"))
	})()
	require.Equal(t, 200, a.StatusCode)
	require.Equal(t, "a keep", s.get("/names").body)
}

func TestReloadTellsOfARollback(t *testing.T) {
	for outage, refuse := range map[middleware.Outage]bool{
		middleware.OutageRefuse: false, middleware.OutageAbsent: false, middleware.OutageStrict: true,
	} {
		s, store := storedSite(t, config(func(c *middleware.Config) { c.Fallback.Outage = outage }))
		s.grow("large", 50_000)
		id := store.onlyRecord(t)
		old, err := store.Store.Load(t.Context(), id)
		require.NoError(t, err)
		withHandler(s, func(_ http.ResponseWriter, r *http.Request, v *session.Session) {
			note.Set(v, "saved")
			require.NoError(t, v.Save(r.Context()))
			require.NoError(t, store.Store.Delete(r.Context(), id))
			require.NoError(t, store.Store.Save(r.Context(), id, fallback.Revision{}, old))
			err := v.Reload(r.Context())
			require.Equal(t, refuse, errors.Is(err, session.ErrStoreDown))
			require.Equal(t, refuse, v.Has("note"))
		})()
		refused := s.events.of(middleware.EventRefused)
		require.NotEmpty(t, refused)
		require.Equal(t, reason.StoreRolledBack, refused[0].Reason)
	}
}
