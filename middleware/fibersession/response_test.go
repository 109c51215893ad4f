package fibersession_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/cache"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/gofiber/fiber/v3/middleware/timeout"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/fibersession"
	"github.com/carryon-go/carryon/session"
)

// An error page is a normal response: it can read the session, and its changes
// are saved.
func TestErrorHandlerHasTheSession(t *testing.T) {
	calls := 0
	page := func(c fiber.Ctx, err error) error {
		calls++
		var e *fiber.Error
		require.ErrorAs(t, err, &e)
		name, _ := user.Get(session.From(c))
		room.Set(session.From(c), e.Message)
		return c.Status(e.Code).SendString("sorry, " + name)
	}
	s := newSite(t, setup{fiber: fiber.Config{ErrorHandler: page}}, func(app *fiber.App) {
		app.Get("/teapot", func(c fiber.Ctx) error {
			user.Set(session.From(c), "eve")
			return fiber.ErrTeapot
		})
	})
	s.get("/login")
	response, body := s.get("/teapot")
	require.Equal(t, http.StatusTeapot, response.StatusCode)
	require.Equal(t, "sorry, eve", body)
	require.Equal(t, "eve "+fiber.ErrTeapot.Message, s.read())

	response, body = s.get("/nowhere")
	require.Equal(t, http.StatusNotFound, response.StatusCode)
	require.Equal(t, "sorry, eve", body)
	response, _ = s.do(http.MethodPost, "/read", nil)
	require.Equal(t, http.StatusMethodNotAllowed, response.StatusCode)
	require.Equal(t, "eve Method Not Allowed", s.read())
	require.Equal(t, 3, calls, "once for each error")
}

func TestErrorHandlerThatFails(t *testing.T) {
	s := newSite(t, setup{fiber: fiber.Config{ErrorHandler: func(fiber.Ctx, error) error { return errDown }}}, func(app *fiber.App) {
		app.Get("/fails", func(c fiber.Ctx) error {
			user.Set(session.From(c), "eve")
			return errDown
		})
	})
	response, _ := s.get("/fails")
	require.Equal(t, http.StatusInternalServerError, response.StatusCode)
	require.Equal(t, "eve ", s.read())
}

// The ErrorHandler of a mounted app handles errors of its paths.
func TestErrorHandlerOfAMountedApp(t *testing.T) {
	s := newSite(t, setup{}, func(app *fiber.App) {
		sub := fiber.New(fiber.Config{ErrorHandler: func(c fiber.Ctx, err error) error {
			name, _ := user.Get(session.From(c))
			return c.Status(fiber.StatusConflict).SendString("sub, " + name)
		}})
		sub.Get("/fails", func(c fiber.Ctx) error { return errDown })
		app.Use("/sub", sub)
	})
	s.get("/login")
	response, body := s.get("/sub/fails")
	require.Equal(t, http.StatusConflict, response.StatusCode)
	require.Equal(t, "sub, ada", body)
}

func panics(c fiber.Ctx) error {
	user.Set(session.From(c), "eve")
	panic("the handler has panicked")
}

// A panic that propagates through the session commits nothing. A panic that is
// recovered inside is a normal error.
func TestPanics(t *testing.T) {
	s := newSite(t, setup{before: func(app *fiber.App) { app.Use(recover.New()) }}, func(app *fiber.App) {
		app.Get("/outside", panics)
		app.Get("/inside", recover.New(), panics)
	})
	s.get("/login")
	response, _ := s.get("/outside")
	require.Equal(t, http.StatusInternalServerError, response.StatusCode)
	require.Empty(t, response.Header["Set-Cookie"])
	require.Equal(t, "ada ", s.read())
	response, _ = s.get("/inside")
	require.Equal(t, http.StatusInternalServerError, response.StatusCode)
	require.Equal(t, "eve ", s.read())
}

// refusals are handlers that respond in every possible way and whose session
// cannot be saved.
var refusals = map[string]fiber.Handler{
	"text": func(c fiber.Ctx) error { return c.SendString("secret") },
	"redirect": func(c fiber.Ctx) error {
		return c.Redirect().To("/secret")
	},
	"stream": func(c fiber.Ctx) error {
		return c.SendStreamWriter(func(w *bufio.Writer) { _, _ = w.WriteString("secret") })
	},
	"reader": func(c fiber.Ctx) error { return c.SendStream(strings.NewReader("secret"), 6) },
	"error":  func(fiber.Ctx) error { return fiber.NewError(fiber.StatusTeapot, "secret") },
	"upgrade": func(c fiber.Ctx) error {
		c.Set("Upgrade", "secret")
		c.Set("Connection", "Upgrade")
		c.RequestCtx().Hijack(hijacked)
		return c.SendStatus(fiber.StatusSwitchingProtocols)
	},
	"silence": func(c fiber.Ctx) error {
		c.RequestCtx().Hijack(hijacked)
		c.RequestCtx().HijackSetNoResponse(true)
		return nil
	},
}

func TestFailedCommitLeavesNothingOfTheResponse(t *testing.T) {
	for name, answer := range refusals {
		t.Run(name, func(t *testing.T) {
			outer := func(app *fiber.App) {
				app.Use(func(c fiber.Ctx) error {
					c.Set("X-Request-Id", "7")
					c.Append("Vary", "Origin")
					return c.Next()
				})
			}
			s := newSite(t, setup{before: outer}, func(app *fiber.App) {
				app.Get("/bad", func(c fiber.Ctx) error {
					c.Set("X-Secret", "secret")
					c.Set("X-Request-Id", "secret")
					c.Cookie(&fiber.Cookie{Name: "other", Value: "secret"})
					user.Set(session.From(c), "secret")
					bad.Set(session.From(c), nil)
					return answer(c)
				})
			})
			s.get("/login")
			response, body := s.get("/bad")
			require.Equal(t, http.StatusInternalServerError, response.StatusCode)
			require.Equal(t, "the session could not be saved", body)
			require.Equal(t, []string{"7"}, response.Header["X-Request-Id"])
			require.Equal(t, []string{"Origin, Cookie"}, response.Header["Vary"])
			require.Equal(t, []string{"private, no-store"}, response.Header["Cache-Control"])
			for _, field := range []string{"Set-Cookie", "X-Secret", "Location", "Upgrade"} {
				require.Empty(t, response.Header[field])
			}
			require.Equal(t, 1, s.count(middleware.EventFailed))
			require.Equal(t, "ada ", s.read())
		})
	}
}

func hijacked(conn net.Conn) { _, _ = io.WriteString(conn, "secret") }

// The program's own ErrorHandler can distinguish a failed commit from other
// errors.
func TestFailedCommitHasANameAndAStatus(t *testing.T) {
	var seen error
	store := newFaulty(t)
	s := newSite(t, setup{
		config: middleware.Config{Fallback: middleware.Fallback{Store: store, Mode: middleware.AlwaysStored}},
		fiber: fiber.Config{ErrorHandler: func(c fiber.Ctx, err error) error {
			seen = err
			return fiber.DefaultErrorHandler(c, err)
		}},
	}, func(app *fiber.App) {
		app.Get("/loaded", fibersession.Load, func(fiber.Ctx) error { panic("this handler must not run") })
		app.Get("/guarded", fibersession.Require(user, middleware.Guard{Login: "/login"}), read)
	})
	s.get("/login")
	store.down.Store(true)
	for _, path := range []string{"/read", "/loaded", "/guarded"} {
		response, body := s.get(path)
		require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
		require.NotContains(t, body, "ada")
		require.NotContains(t, body, errDown.Error())
		require.ErrorIs(t, seen, session.ErrStoreDown)
		require.ErrorIs(t, seen, errDown)
	}
	store.down.Store(false)
	require.Equal(t, "ada ", s.read())
}

// expiring gives requests a context that the test ends. Fiber's timeout then
// responds at a moment that does not depend on the machine.
func expiring(expire *context.CancelFunc) fiber.Handler {
	return func(c fiber.Ctx) error {
		ctx, cancel := context.WithCancel(c.Context())
		*expire = cancel
		c.SetContext(ctx)
		return c.Next()
	}
}

// Fiber's timeout responds while the handler is still running and writing to a
// response that will not be sent.
func TestTimeout(t *testing.T) {
	goOn, ended := make(chan bool), make(chan error, 2)
	var expire context.CancelFunc
	s := newSite(t, setup{}, func(app *fiber.App) {
		slow := func(c fiber.Ctx) error {
			one := session.From(c.Context())
			room.Set(one, "lobby")
			if c.Query("bad") != "" {
				bad.Set(one, nil)
			}
			expire()
			<-goOn
			c.Set("X-Late", "late")
			user.Set(one, "too late")
			ended <- one.Err()
			return c.SendString("late")
		}
		app.Get("/slow", expiring(&expire), timeout.New(slow, timeout.Config{Timeout: time.Hour}))
	})
	s.get("/login")
	response, body := s.get("/slow")
	require.Equal(t, http.StatusRequestTimeout, response.StatusCode)
	require.Equal(t, fiber.ErrRequestTimeout.Message, body)
	require.Equal(t, "ada lobby", s.read(), "the changes of the handler so far")
	goOn <- true
	require.ErrorIs(t, <-ended, session.ErrLate)
	require.Equal(t, "ada lobby", s.read())

	response, body = s.get("/slow?bad=1")
	goOn <- true
	require.Error(t, <-ended)
	require.Equal(t, http.StatusInternalServerError, response.StatusCode)
	require.Equal(t, "the session could not be saved", body)
	require.Empty(t, response.Header["Set-Cookie"])
}

// If the timeout is outside of the session, no response can carry the
// handler's changes.
func TestTimeoutFurtherOut(t *testing.T) {
	goOn := make(chan bool)
	var expire context.CancelFunc
	var ended atomic.Bool
	s := newSite(t, setup{before: func(app *fiber.App) {
		next := func(c fiber.Ctx) error {
			err := c.Next()
			ended.Store(c.IsAbandoned())
			return err
		}
		app.Use(expiring(&expire), timeout.New(next, timeout.Config{Timeout: time.Hour}))
	}}, func(app *fiber.App) {
		app.Get("/slow", func(c fiber.Ctx) error {
			room.Set(session.From(c), "lobby")
			expire()
			<-goOn
			return nil
		})
	})
	s.get("/login")
	committed := s.count(middleware.EventCommitted)
	response, _ := s.get("/slow")
	require.Equal(t, http.StatusRequestTimeout, response.StatusCode)
	require.Empty(t, response.Header["Set-Cookie"])
	goOn <- true
	require.Eventually(t, ended.Load, patience, time.Millisecond)
	require.Equal(t, committed, s.count(middleware.EventCommitted))
	require.Equal(t, "ada ", s.read())
}

// An outer cache stores nothing personal: neither a response that changed a
// session nor one that read it.
func TestCacheFurtherOut(t *testing.T) {
	s := newSite(t, setup{before: func(app *fiber.App) {
		app.Use(cache.New(cache.Config{Expiration: time.Hour, StoreResponseHeaders: true}))
	}}, func(app *fiber.App) {
		app.Get("/static", func(c fiber.Ctx) error { return c.SendString("x") })
	})
	s.get("/login")
	require.Equal(t, "ada ", s.read())
	s.client.Jar = nil // another visitor
	require.Equal(t, " ", s.read())
	response, _ := s.get("/login")
	require.NotEmpty(t, response.Header["Set-Cookie"], "created for this visitor")
	s.get("/static")
	response, _ = s.get("/static")
	require.Equal(t, "hit", response.Header.Get("X-Cache"), "the cache works")
}

func TestFailureIsBothErrors(t *testing.T) {
	s := newSite(t, setup{before: func(app *fiber.App) {
		app.Use(func(c fiber.Ctx) error {
			err := c.Next()
			var encode *session.EncodeError
			var status *fiber.Error
			require.True(t, errors.As(err, &encode))
			require.True(t, errors.As(err, &status))
			return err
		})
	}}, func(app *fiber.App) {
		app.Get("/bad", func(c fiber.Ctx) error {
			bad.Set(session.From(c), nil)
			return nil
		})
	})
	response, _ := s.get("/bad")
	require.Equal(t, http.StatusInternalServerError, response.StatusCode)
}
