package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// express is one setting of those options of express-session that decide when it
// saves and when it sets a cookie. With Carryon a program gets the same as follows:
//
//	resave             nothing to do: a request without changes writes nothing,
//	                   and parallel writes do not undo each other
//	saveUninitialized  the program sets a value if there is no session yet
//	rolling            Idle is maxAge, and TouchAfter is below 0; without
//	                   rolling, Absolute is maxAge, and there is no idle limit
//	unset              Destroy, or Reload for "keep"
//	maxAge             see rolling; null is BrowserSession
type express struct {
	resave, saveUninitialized, rolling bool
	unset                              string
	maxAge                             time.Duration // 0: null
}

const (
	hour    = time.Hour
	rowLife = 24 * time.Hour // how long a store of express-session keeps a row without a maxAge
)

const visited session.Key[bool] = "visited"

func (e express) configure(c *middleware.Config) {
	age := e.maxAge
	if e.maxAge == 0 {
		c.Cookie.BrowserSession, age = true, rowLife
	}
	c.Lifetimes.Absolute, c.Lifetimes.Idle = age, -1
	if e.rolling {
		c.Lifetimes.Absolute, c.Lifetimes.Idle, c.Lifetimes.TouchAfter = middleware.MaxLifetime, age, -1
	}
}

// program has the paths /look, /write?user= and /unset, which changes a value
// first.
func (e express) program(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	if e.saveUninitialized && s.IsNew() {
		visited.Set(s, true)
	}
	name, _ := user.Get(s)
	w.Header().Set("X-Idle", s.IdleExpires().Format(time.RFC3339))
	switch r.URL.Path {
	case "/write":
		user.Set(s, r.FormValue("user"))
	case "/unset":
		user.Set(s, "dropped")
		if e.unset == "destroy" {
			s.Destroy()
		} else if err := s.Reload(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	}
	_, _ = io.WriteString(w, name)
}

func everyExpress(t *testing.T, test func(t *testing.T, e express)) {
	for i := range 32 {
		e := express{resave: i&1 != 0, saveUninitialized: i&2 != 0, rolling: i&4 != 0, unset: "keep"}
		if i&8 != 0 {
			e.unset = "destroy"
		}
		if i&16 != 0 {
			e.maxAge = hour
		}
		name := fmt.Sprintf("resave=%v,saveUninitialized=%v,rolling=%v,unset=%s,maxAge=%v",
			e.resave, e.saveUninitialized, e.rolling, e.unset, e.maxAge)
		t.Run(name, func(t *testing.T) { test(t, e) })
	}
}

// expressVisit is a visitor of such a program.
type expressVisit struct {
	*site
	express
	store *watched
	began time.Time // when the first request began the session
}

func (e express) visit(t *testing.T, mode middleware.Mode) *expressVisit {
	s, store := storedSite(t, asProgram(e.program), config(func(c *middleware.Config) {
		e.configure(c)
		c.Fallback.Mode = mode
	}))
	return &expressVisit{site: s, express: e, store: store, began: noon.Add(10 * time.Minute)}
}

// ask sends a request, ten minutes after the last one. It checks whether the
// response sets a cookie, and until when the browser keeps that cookie.
func (v *expressVisit) ask(path string, sets bool) (body, idle string) {
	v.t.Helper()
	v.clock.advance(10 * time.Minute)
	v.store.since()
	a := v.get(path)
	require.Equal(v.t, 200, a.StatusCode, a.body)
	lines := a.Header.Values("Set-Cookie")
	require.Equal(v.t, sets, len(lines) > 0, "%s: %q", path, lines)
	ended := path == "/unset" && v.unset == "destroy" // the response then sets a logout marker
	for _, line := range lines {
		if !ended && !strings.Contains(line, "=; Max-Age=0;") {
			v.checkExpiry(line)
		}
	}
	return a.body, a.Header.Get("X-Idle")
}

// checkExpiry checks that the browser keeps the cookie until the absolute end of
// the session, which no request moves. Only the idle end moves; it is sealed
// inside the cookie.
func (v *expressVisit) checkExpiry(line string) {
	v.t.Helper()
	if v.maxAge == 0 {
		require.NotContains(v.t, line, "Max-Age")
		require.NotContains(v.t, line, "Expires")
		return
	}
	end := v.began.Add(v.maxAge)
	if v.rolling {
		end = v.began.Add(middleware.MaxLifetime)
	}
	require.Contains(v.t, line, "; Max-Age="+strconv.Itoa(int(end.Sub(v.clock.Now())/time.Second))+";")
}

func (v *expressVisit) calls(want ...string) {
	v.t.Helper()
	require.Equal(v.t, want, v.store.since())
}

// idleEnd returns the value of X-Idle for a session that was last seen at the
// given time.
func (v *expressVisit) idleEnd(seen time.Time) string {
	switch {
	case !v.rolling:
		return time.Time{}.Format(time.RFC3339)
	case v.maxAge == 0:
		return seen.Add(rowLife).Format(time.RFC3339)
	}
	return seen.Add(v.maxAge).Format(time.RFC3339)
}

// The behaviour table of express-session over HTTP, for sessions in the store, as
// in express-session. The option resave changes nothing in any row.
func TestBehaviourOfExpressStored(t *testing.T) {
	everyExpress(t, func(t *testing.T, e express) {
		v := e.visit(t, middleware.AlwaysStored)
		v.ask("/look", e.saveUninitialized)
		if e.saveUninitialized {
			v.calls("save")
		} else {
			v.calls()
			v.began = noon.Add(20 * time.Minute)
		}

		v.ask("/write?user=ada", true)
		if e.saveUninitialized {
			v.calls("load", "save")
		} else {
			v.calls("save")
		}
		seen := v.clock.Now()

		name, idle := v.ask("/look", e.rolling)
		require.Equal(t, "ada", name)
		require.Equal(t, v.idleEnd(seen), idle)
		if e.rolling {
			v.calls("load", "touch")
			seen = v.clock.Now()
		} else {
			v.calls("load")
		}

		// Unlike in express-session, every change sets the cookie: its reference holds the
		// record's revision.
		_, idle = v.ask("/write?user=eve", true)
		v.calls("load", "save")
		require.Equal(t, v.idleEnd(seen), idle)

		v.ask("/unset", e.rolling || e.unset == "destroy")
		switch {
		case e.unset == "destroy":
			v.calls("load", "save") // these calls end every copy of the cookie
		case e.rolling:
			v.calls("load", "load", "touch")
		default:
			v.calls("load", "load")
		}
		v.afterUnset()
	})
}

// The same table for sessions in cookies, without a store.
func TestBehaviourOfExpressInCookies(t *testing.T) {
	everyExpress(t, func(t *testing.T, e express) {
		v := e.visit(t, middleware.AlwaysCookies)
		v.ask("/look", e.saveUninitialized)
		if !e.saveUninitialized {
			v.began = noon.Add(20 * time.Minute)
		}
		v.ask("/write?user=ada", true)
		seen := v.clock.Now()
		name, idle := v.ask("/look", e.rolling)
		require.Equal(t, "ada", name)
		require.Equal(t, v.idleEnd(seen), idle)
		v.ask("/write?user=eve", true)
		v.ask("/unset", e.rolling || e.unset == "destroy")
		require.Empty(t, v.store.since())
		v.afterUnset()
		require.Empty(t, v.store.since())
	})
}

// afterUnset checks that "keep" has dropped the request's changes, and that
// "destroy" has ended the session.
func (v *expressVisit) afterUnset() {
	v.t.Helper()
	a := v.get("/look")
	if v.unset == "keep" {
		require.Equal(v.t, "eve", a.body)
		return
	}
	require.Empty(v.t, a.body)
	require.Equal(v.t, v.saveUninitialized, len(a.Header.Values("Set-Cookie")) > 0, "the visitor begins a new session")
}

// A session with a maxAge expires: maxAge after its last use if it rolls, and
// maxAge after its beginning if it does not.
func TestEndOfExpressSessions(t *testing.T) {
	everyExpress(t, func(t *testing.T, e express) {
		if e.maxAge == 0 {
			t.Skip("with null, the browser ends the session")
		}
		v := e.visit(t, middleware.AlwaysStored)
		v.ask("/write?user=ada", true)
		for range 5 {
			name, _ := v.ask("/look", e.rolling)
			require.Equal(t, "ada", name)
		}
		v.clock.advance(11 * time.Minute)
		if e.rolling {
			require.Equal(t, "ada", v.get("/look").body)
			v.clock.advance(hour)
		}
		require.Empty(t, v.get("/look").body)
	})
}

// Carryon always behaves like saveUninitialized: false. A session without entries
// does not begin, whatever was done to it.
func TestNothingToSaveSetsNoCookie(t *testing.T) {
	for name, do := range map[string]func(s *session.Session){
		"read":          func(s *session.Session) { user.Get(s); s.ID(); s.Names(); s.IsNew() },
		"pop":           func(s *session.Session) { user.Pop(s) },
		"renew":         (*session.Session).Renew,
		"clear":         (*session.Session).Clear,
		"destroy":       (*session.Session).Destroy,
		"set, delete":   func(s *session.Session) { user.Set(s, "ada"); user.Delete(s) },
		"set, clear":    func(s *session.Session) { user.Set(s, "ada"); s.Clear() },
		"set, destroy":  func(s *session.Session) { user.Set(s, "ada"); s.Destroy() },
		"terms":         func(s *session.Session) { s.SetLifetime(hour); s.SetIdleTimeout(hour); s.SetBrowserSession(true) },
		"renew, reload": func(s *session.Session) { s.Renew(); _ = s.Reload(t.Context()) },
	} {
		for _, mode := range []middleware.Mode{middleware.Auto, middleware.AlwaysStored} {
			t.Run(name, func(t *testing.T) {
				s, store := storedSite(t, asProgram(func(_ http.ResponseWriter, r *http.Request) { do(session.From(r.Context())) }),
					config(func(c *middleware.Config) {
						c.Fallback.Mode, c.Lifetimes.TouchAfter, c.Fallback.Revocation = mode, -1, middleware.RevocationOn
					}))
				a := s.get("/")
				require.Equal(t, 200, a.StatusCode)
				require.Empty(t, a.Header.Values("Set-Cookie"))
				require.Empty(t, store.since())
			})
		}
	}
}

// Of many requests in an hour, only those that find the last-seen time older than
// TouchAfter renew it.
func TestRollingWithAThreshold(t *testing.T) {
	for threshold, want := range map[time.Duration]int{-1: 60, 10 * time.Minute: 6, 0: 1, 59 * time.Minute: 1} {
		for _, mode := range []middleware.Mode{middleware.AlwaysCookies, middleware.AlwaysStored} {
			s, store := storedSite(t, lives(24*hour, 2*hour, threshold), config(func(c *middleware.Config) { c.Fallback.Mode = mode }))
			s.get("/set?user=ada")
			store.since()
			set := 0
			for range 60 {
				s.clock.advance(time.Minute)
				if len(s.get("/read").Header.Values("Set-Cookie")) > 0 {
					set++
				}
			}
			require.Equal(t, want, set, "TouchAfter %v", threshold)
			touches := strings.Count(strings.Join(store.since(), " "), "touch")
			require.Equal(t, map[bool]int{true: want}[mode == middleware.AlwaysStored], touches)
		}
	}
}
