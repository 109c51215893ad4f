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

// within has one request run do, in a program that is else storedApp.
func within(s *site, do func(w http.ResponseWriter, r *http.Request, v *session.Session)) (then func() answer) {
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

// In cookies Reload drops what the request has done, and shows what it brought.
func TestReloadDropsTheChanges(t *testing.T) {
	for name, change := range map[string]func(v *session.Session){
		"set":          func(v *session.Session) { user.Set(v, "eve") },
		"delete":       func(v *session.Session) { user.Delete(v) },
		"clear":        (*session.Session).Clear,
		"renew":        (*session.Session).Renew,
		"destroy":      (*session.Session).Destroy,
		"bind":         func(v *session.Session) { v.Bind("eve") },
		"lifetime":     func(v *session.Session) { v.SetLifetime(time.Minute) },
		"not encoded":  func(v *session.Session) { session.Key[chan int]("c").Set(v, make(chan int)) },
		"destroy, set": func(v *session.Session) { v.Destroy(); user.Set(v, "eve") },
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := storedSite(t)
			s.get("/set?user=ada")
			var id, name string
			a := within(s, func(_ http.ResponseWriter, r *http.Request, v *session.Session) {
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
			require.Empty(t, a.Header.Values("Set-Cookie"), "there is nothing left to write")
			require.Equal(t, "ada", s.who())
		})
	}
}

func TestReloadBeforeAnythingElseLoads(t *testing.T) {
	s, store := storedSite(t)
	s.grow("large", 50_000)
	store.since()
	a := within(s, func(w http.ResponseWriter, r *http.Request, v *session.Session) {
		require.NoError(t, v.Reload(r.Context()))
		_, _ = io.WriteString(w, strings.Join(v.Names(), " "))
	})()
	require.Equal(t, "large", a.body)
	require.Equal(t, []string{"load"}, store.since())

	s, store = storedSite(t)
	a = within(s, func(_ http.ResponseWriter, r *http.Request, v *session.Session) {
		user.Set(v, "ada")
		require.NoError(t, v.Reload(r.Context()))
		require.True(t, v.IsNew())
		require.Empty(t, v.ID())
	})()
	require.Empty(t, a.Header.Values("Set-Cookie"), "of a session that was never written nothing is left")
	require.Empty(t, store.since())
}

// A stored session is read again: what another request has written is there,
// and what this one saved.
func TestReloadReadsTheRecordAgain(t *testing.T) {
	s, store := storedSite(t)
	s.grow("large", 50_000)
	header := s.header()
	a := within(s, func(w http.ResponseWriter, r *http.Request, v *session.Session) {
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
	require.NotEmpty(t, a.Header.Values("Set-Cookie"), "of the Save")
	require.Equal(t, "large other user", s.get("/names").body)
}

// Also after the header, where a stored session still takes changes.
func TestReloadAfterTheHeader(t *testing.T) {
	s, _ := storedSite(t)
	s.grow("large", 50_000)
	header := s.header()
	a := within(s, func(w http.ResponseWriter, r *http.Request, v *session.Session) {
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

// What a session in cookies has sent stays what it is.
func TestReloadAfterTheHeaderOfCookies(t *testing.T) {
	for name, login := range map[string]func(v *session.Session){
		"a change": func(v *session.Session) { user.Set(v, "eve") },
		"a login":  func(v *session.Session) { v.Renew(); user.Set(v, "eve") },
		"another":  func(v *session.Session) { v.Destroy(); user.Set(v, "eve") },
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := storedSite(t, config(func(c *middleware.Config) { c.WithoutRevocation = false }))
			s.get("/set?user=ada")
			within(s, func(w http.ResponseWriter, r *http.Request, v *session.Session) {
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

// A long response finds out that its session is over.
func TestReloadFindsTheEnd(t *testing.T) {
	for want, end := range map[reason.Reason]func(s *site, header, id string){
		reason.LoggedOut: func(s *site, header, _ string) { s.bare("/logout", header) },
		reason.Revoked:   func(s *site, _, id string) { require.NoError(s.t, s.sessions.Revoke(s.t.Context(), id)) },
		reason.Expired:   func(s *site, _, _ string) { s.clock.advance(24 * time.Hour) },
	} {
		for _, size := range []int{10, 50_000} {
			for _, after := range []bool{false, true} {
				t.Run(want.String(), func(t *testing.T) {
					s, _ := storedSite(t, config(func(c *middleware.Config) { c.WithoutRevocation = false }))
					s.get("/set?user=ada")
					s.grow("data", size)
					header := s.header()
					a := within(s, func(w http.ResponseWriter, r *http.Request, v *session.Session) {
						require.True(t, v.Has("user"))
						id := v.ID()
						if after {
							require.NoError(t, http.NewResponseController(w).Flush())
						}
						require.NoError(t, v.Reload(r.Context()))
						require.True(t, v.Has("user"), "nothing has happened yet")
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

// With an error everything is as it was, and the next Reload may help.
func TestReloadWhileTheStoreIsDown(t *testing.T) {
	s, store := storedSite(t)
	s.get("/set?user=ada")
	s.grow("large", 50_000)
	a := within(s, func(_ http.ResponseWriter, r *http.Request, v *session.Session) {
		user.Set(v, "eve")
		store.fail(errors.New("down"))
		require.ErrorIs(t, v.Reload(r.Context()), session.ErrStoreDown)
		require.NoError(t, v.Err())
		got, _ := user.Get(v)
		require.Equal(t, "eve", got, "the change is still there")
		store.fail(nil)
	})()
	require.Equal(t, 200, a.StatusCode)
	require.Equal(t, "eve", s.who())

	s, store = storedSite(t)
	s.get("/set?user=ada")
	s.grow("large", 50_000)
	store.fail(errors.New("down"))
	a = within(s, func(w http.ResponseWriter, r *http.Request, v *session.Session) {
		require.Error(t, v.Load(r.Context()))
		require.Error(t, v.Reload(r.Context()))
		store.fail(nil)
		require.NoError(t, v.Reload(r.Context()), "it asks again")
		require.NoError(t, v.Load(r.Context()))
		got, _ := user.Get(v)
		_, _ = io.WriteString(w, got)
		user.Set(v, "eve")
	})()
	require.Equal(t, 200, a.StatusCode)
	require.Equal(t, "ada", a.body)
	require.Equal(t, "eve", s.who())
}

// A revocation that could not be asked for is not asked again: who then looked
// like nobody stays nobody for this request.
func TestReloadDoesNotBringBackWhoMayBeRevoked(t *testing.T) {
	s, store := storedSite(t, config(func(c *middleware.Config) {
		c.WithoutRevocation, c.RefuseIfRevocationUnknown = false, true
	}))
	s.get("/set?user=ada")
	store.fail(errors.New("down"))
	a := within(s, func(_ http.ResponseWriter, r *http.Request, v *session.Session) {
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
	within(s, func(_ http.ResponseWriter, r *http.Request, v *session.Session) {
		require.True(t, v.Has("large"))
		require.NoError(t, store.Delete(r.Context(), store.the(t)))
		require.NoError(t, v.Reload(r.Context()))
		require.Empty(t, v.Names())
		require.Equal(t, reason.RecordMissing, v.Reason())
	})()
}

// Where the session has moved back into cookies and its row was emptied, the
// state that was loaded is the newest that this request can know of.
func TestReloadOfARecordThatHasMoved(t *testing.T) {
	s, _ := storedSite(t, config(func(c *middleware.Config) { c.IdleTimeout = -1 }))
	s.grow("keep", 50)
	s.grow("large", 50_000)
	a := within(s, func(_ http.ResponseWriter, r *http.Request, v *session.Session) {
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
	for _, refuse := range []bool{false, true} {
		s, store := storedSite(t, config(func(c *middleware.Config) { c.RefuseRolledBack = refuse }))
		s.grow("large", 50_000)
		id := store.the(t)
		old, err := store.Store.Load(t.Context(), id)
		require.NoError(t, err)
		within(s, func(_ http.ResponseWriter, r *http.Request, v *session.Session) {
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
