package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/codec/securecookieformat"
	"github.com/carryon-go/carryon/codec/xchacha"
	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// began is the time of the visitors' first request.
var began = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// A visitor is a browser with a site that uses the library. The tests inspect
// the cookies that this site really sets.
type visitor struct {
	jar   *sessiontest.Jar
	clock *sessiontest.Clock
	site  http.Handler
	act   func(*session.Session)
	err   error // error of the last response
}

func newVisitor(ring *keyring.Ring, change func(*middleware.Config)) (*visitor, error) {
	v := &visitor{clock: sessiontest.NewClock(began)}
	v.jar = &sessiontest.Jar{Clock: v.clock.Now}
	c := middleware.Config{
		Keys: ring, Clock: v.clock.Now, Formats: []codec.Format{xchacha.New(), securecookieformat.New()},
		Logger:       slog.New(slog.DiscardHandler),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) { v.err = err },
	}
	if change != nil {
		change(&c)
	}
	sessions, err := middleware.New(c)
	if err != nil {
		return nil, err
	}
	v.site = sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { v.act(session.From(r.Context())) }))
	return v, nil
}

// does sends a request that act handles.
func (v *visitor) does(act func(*session.Session)) error {
	v.act, v.err = act, nil
	v.jar.Do(v.site, v.jar.Request(http.MethodGet, "/", nil))
	return v.err
}

func (v *visitor) header() string { return v.jar.Header(sessiontest.Home) }

type user struct{ Name string }

// step runs one step of a script.
func (v *visitor) step(word string) error {
	what, arg, _ := strings.Cut(word, ":")
	switch what {
	case "wait":
		d, err := time.ParseDuration(arg)
		v.clock.Advance(d)
		return err
	case "read":
		return v.does(func(s *session.Session) { s.Names() })
	case "user":
		return v.does(func(s *session.Session) { session.Key[user]("user").Set(s, user{"张三"}) })
	case "set":
		name, size, _ := strings.Cut(arg, "=")
		n, err := strconv.Atoi(size)
		if err != nil {
			return err
		}
		return v.does(func(s *session.Session) { session.Key[[]byte](name).Set(s, random()[:n]) })
	case "delete":
		return v.does(func(s *session.Session) { s.Delete(arg) })
	case "bind":
		return v.does(func(s *session.Session) { s.Login(arg) })
	case "renew":
		return v.does(func(s *session.Session) { s.Renew() })
	case "destroy":
		return v.does(func(s *session.Session) { s.Destroy() })
	case "idle":
		d, err := time.ParseDuration(arg)
		if err != nil {
			return err
		}
		return v.does(func(s *session.Session) { s.SetIdleTimeout(d) })
	}
	return fmt.Errorf("unknown step %q", word)
}

// visit implements "visit RING [CONFIG…] STEP…": a visitor runs the steps,
// beginning at began. It sets COOKIE to the browser's Cookie header at the end,
// and C0, C1, … to its cookies.
func visit(ts *testscript.TestScript, _ bool, args []string) {
	ring, err := keyring.Parse([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	var steps []string
	v, err := newVisitor(ring, func(c *middleware.Config) {
		for _, word := range args[1:] {
			what, arg, _ := strings.Cut(word, ":")
			switch what {
			case "name":
				c.Cookie.Name = arg
			case "audience":
				c.Audience = arg
			case "fixed":
				c.Cookie.FixedName = true
			case "browser":
				c.Cookie.BrowserSession = true
			case "store":
				c.Fallback.Store, err = fallback.NewMemory(fallback.MemoryConfig{MaxBytes: 1 << 20, Clock: c.Clock})
				ts.Check(err)
				c.Fallback.Mode = middleware.AlwaysStored
			default:
				steps = append(steps, word)
			}
		}
	})
	ts.Check(err)
	for _, word := range steps {
		ts.Check(v.step(word))
	}
	ts.Setenv("COOKIE", v.header())
	for i, c := range v.jar.All() {
		ts.Setenv("C"+strconv.Itoa(i), c.Name+"="+c.Value)
	}
}

// fill implements "fill FILE": it replaces every $VAR in the file by the
// variable's value.
func fill(ts *testscript.TestScript, _ bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}
