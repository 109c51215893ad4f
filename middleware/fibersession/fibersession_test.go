package fibersession_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"
	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/fibersession"
	"github.com/carryon-go/carryon/session"
)

func TestSessionIsKept(t *testing.T) {
	s := newSite(t, setup{}, func(app *fiber.App) {
		app.Get("/logout", func(c fiber.Ctx) error {
			session.From(c).Destroy()
			return c.Redirect().Status(fiber.StatusSeeOther).To("/")
		})
	})
	response, _ := s.get("/login")
	require.Len(t, response.Header["Set-Cookie"], 1)
	require.Contains(t, response.Header["Set-Cookie"][0], "; Path=/; Secure; HttpOnly; SameSite=Lax")
	require.Equal(t, []string{"private, no-store"}, response.Header["Cache-Control"])
	require.Equal(t, []string{"Cookie"}, response.Header["Vary"])

	response, body := s.get("/read")
	require.Equal(t, "ada ", body)
	require.Equal(t, []string{"private"}, response.Header["Cache-Control"])
	require.Empty(t, response.Header["Set-Cookie"])

	response, _ = s.get("/logout")
	require.Equal(t, http.StatusSeeOther, response.StatusCode)
	require.Equal(t, " ", s.read())
}

func TestSessionIsHadFromEveryContext(t *testing.T) {
	var certain atomic.Pointer[middleware.Sessions]
	s := newSite(t, setup{}, func(app *fiber.App) {
		app.Get("/all", func(c fiber.Ctx) error {
			one := session.From(c)
			require.Same(t, one, session.From(c.Context()))
			require.Same(t, one, session.From(c.RequestCtx()))
			return c.Next()
		})
		app.Get("/all", adaptor.HTTPHandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name, _ := user.Get(session.From(r.Context()))
			room.Set(session.From(r.Context()), "lobby")
			_, _ = io.WriteString(w, name)
		}))
		app.Get("/certain", func(c fiber.Ctx) error { // adding a route after Listener has started would race
			require.Same(t, session.From(c), certain.Load().From(c))
			require.Same(t, session.From(c), certain.Load().From(c.Context()))
			return nil
		})
	})
	certain.Store(s.sessions)
	s.get("/login")
	_, body := s.get("/all")
	require.Equal(t, "ada", body)
	require.Equal(t, "ada lobby", s.read())
	response, _ := s.get("/certain")
	require.Equal(t, http.StatusOK, response.StatusCode)
}

func TestHandlerThatNeverAsks(t *testing.T) {
	s := newSite(t, setup{}, func(app *fiber.App) {
		app.Get("/static", func(c fiber.Ctx) error { return c.SendString("x") })
	})
	s.get("/login")
	response, _ := s.get("/static")
	for _, field := range []string{"Set-Cookie", "Vary", "Cache-Control"} {
		require.Empty(t, response.Header[field])
	}
}

func TestHandlerThatNeverAsksIsCheap(t *testing.T) {
	ring := keyring.Ephemeral()
	sessions, err := middleware.New(middleware.Config{Keys: ring, Platform: middleware.Fasthttp})
	require.NoError(t, err)
	measure := func(withSession bool) float64 {
		app := fiber.New()
		if withSession {
			handler, err := fibersession.New(app, sessions)
			require.NoError(t, err)
			app.Use(handler)
		}
		app.Get("/", func(c fiber.Ctx) error { return nil })
		handle, request := app.Handler(), newRequestCtx("GET", "/", "__Host-session.x=y")
		return testing.AllocsPerRun(100, func() {
			request.ResetUserValues() // as the server does
			handle(request)
		})
	}
	with, without := measure(true), measure(false)
	require.NotZero(t, with, "the handler ran")
	require.LessOrEqual(t, with-without, 6.0)
}

// Tests a group, nesting, and mounting the same Sessions twice.
func TestGroupsAndNesting(t *testing.T) {
	inner, err := middleware.New(middleware.Config{
		Keys: keyring.Ephemeral(), Cookie: middleware.Cookie{Name: "__Host-admin"}, Limits: fibersession.Limits("", fibersession.ReadBufferSize),
	})
	require.NoError(t, err)
	s := newSite(t, setup{}, func(app *fiber.App) {
		own, err := fibersession.New(app, inner)
		require.NoError(t, err)
		after := func(c fiber.Ctx) error {
			err := c.Next()
			room.Set(session.From(c), "outside") // the outer session again
			return err
		}
		admin := app.Group("/admin", after, own, own)
		admin.Get("/", func(c fiber.Ctx) error {
			user.Set(session.From(c), "root")
			return nil
		})
	})
	s.get("/login")
	s.get("/admin")
	require.Equal(t, "ada outside", s.read())
	bases := map[string]int{}
	for _, name := range s.jar.Names() {
		base, _, _ := strings.Cut(name, ".")
		bases[base]++
	}
	require.Equal(t, map[string]int{"__Host-session": 2, "__Host-admin": 1}, bases, "one session each: a head with a cell, and a head")
}

func TestSameSessionsAfterARestart(t *testing.T) {
	s := newSite(t, setup{}, func(app *fiber.App) {
		app.Get("/old", func(c fiber.Ctx) error {
			room.Set(session.From(c), "lobby")
			c.Path("/read")
			return c.RestartRouting()
		})
	})
	s.get("/login")
	_, body := s.get("/old")
	require.Equal(t, "ada lobby", body)
	require.Equal(t, "ada lobby", s.read())
}

func TestManyCookieLines(t *testing.T) {
	for name, config := range map[string]fiber.Config{"": {}, "names as they came": {DisableHeaderNormalizing: true}} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, setup{fiber: config}, nil)
			s.get("/login")
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			require.NoError(t, err)
			defer conn.Close()
			_, err = fmt.Fprintf(conn, "GET /read HTTP/1.1\r\nHost: x\r\ncookie: a=1\r\ncookie: %s\r\ncookie: b=2\r\nConnection: close\r\n\r\n", s.jar.Header(""))
			require.NoError(t, err)
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.Equal(t, "ada ", string(body))
		})
	}
}

// fasthttp reuses its buffers for the next request on a connection.
func TestNothingOfFasthttpsBuffersIsKept(t *testing.T) {
	held := make(chan *session.Session, 1)
	s := newSite(t, setup{}, func(app *fiber.App) {
		app.Get("/hold", func(c fiber.Ctx) error {
			held <- session.From(c) // not loaded yet
			return nil
		})
		app.Get("/room/:name", func(c fiber.Ctx) error {
			room.Set(session.From(c), c.Params("name"))
			return nil
		})
	})
	s.client.Transport.(*http.Transport).MaxConnsPerHost = 1 // use a single connection
	s.get("/login")
	s.get("/room/lobby")
	ada := s.jar.Clone()
	s.get("/hold")
	for range 20 { // other visitors with cookies of the same length
		other := strings.Map(func(c rune) rune {
			if c == 'A' {
				return 'B'
			}
			return c
		}, ada.Header(""))
		s.client.Jar = nil
		s.do(http.MethodGet, "/room/other", nil, "Cookie", other)
	}
	late := <-held
	name, _ := user.Get(late)
	in, _ := room.Get(late)
	require.Equal(t, "ada lobby", name+" "+in)
}

func TestGuard(t *testing.T) {
	s := newSite(t, setup{}, func(app *fiber.App) {
		app.Get("/enter", func(c fiber.Ctx) error {
			user.Set(session.From(c), "ada")
			return c.Redirect().Status(fiber.StatusSeeOther).To(fibersession.Next(c, "/"))
		})
		app.Use("/account", fibersession.Require(user, middleware.Guard{Login: "/enter"}))
		app.Get("/account", func(c fiber.Ctx) error { return c.SendString("account " + c.Query("tab")) })
	})
	response, body := s.get("/account")
	require.Equal(t, http.StatusUnauthorized, response.StatusCode)
	require.Contains(t, body, "login required")
	require.Equal(t, `Session realm="`+strings.TrimPrefix(s.url, "http://")+`"`, response.Header.Get("WWW-Authenticate"))
	require.Equal(t, []string{"private, no-store"}, response.Header["Cache-Control"])

	response, _ = s.do(http.MethodGet, "/account?tab=2", nil, "Accept", "text/html")
	require.Equal(t, http.StatusSeeOther, response.StatusCode)
	require.Equal(t, "/enter?next=%2Faccount%3Ftab%3D2", response.Header.Get("Location"))
	response, _ = s.get(response.Header.Get("Location"))
	require.Equal(t, "/account?tab=2", response.Header.Get("Location"))
	_, body = s.get("/account?tab=2")
	require.Equal(t, "account 2", body)
	response, _ = s.get("/enter?next=//evil.example")
	require.Equal(t, "/", response.Header.Get("Location"))
}

func TestVaryAndCacheControlOfTheHandler(t *testing.T) {
	s := newSite(t, setup{}, func(app *fiber.App) {
		app.Get("/public", func(c fiber.Ctx) error {
			c.Response().Header.Add("Vary", "Accept-Encoding")
			c.Response().Header.Add("Vary", "Origin")
			c.Response().Header.Add("Cache-Control", "public")
			c.Response().Header.Add("Cache-Control", "max-age=60")
			c.Cookie(&fiber.Cookie{Name: "theme", Value: "dark"})
			room.Set(session.From(c), "lobby")
			return nil
		})
		app.Get("/star", func(c fiber.Ctx) error {
			c.Set("Vary", "*")
			c.Set("Cache-Control", "max-age=60")
			return read(c)
		})
	})
	response, _ := s.get("/public")
	require.Equal(t, []string{"private, no-store"}, response.Header["Cache-Control"])
	require.Equal(t, []string{"Accept-Encoding, Origin, Cookie"}, response.Header["Vary"])
	require.Len(t, response.Header["Set-Cookie"], 2)
	require.Contains(t, s.jar.Names(), "theme")
	require.Equal(t, 1, s.count(middleware.EventUncached))
	response, _ = s.get("/star")
	require.Equal(t, []string{"*"}, response.Header["Vary"])
	require.Equal(t, []string{"max-age=60"}, response.Header["Cache-Control"], "a read does not change the program's own")
}

func TestResponsesWithoutABody(t *testing.T) {
	s := newSite(t, setup{}, func(app *fiber.App) {
		app.Get("/status/:code", func(c fiber.Ctx) error {
			room.Set(session.From(c), c.Params("code"))
			return c.SendStatus(fiber.Params[int](c, "code"))
		})
	})
	for _, code := range []string{"204", "304", "404", "500"} {
		response, _ := s.get("/status/" + code)
		require.Equal(t, code, response.Status[:3])
		require.Equal(t, " "+code, s.read())
	}
	response, body := s.do(http.MethodHead, "/login", nil)
	require.Empty(t, body)
	require.NotEmpty(t, response.Header["Set-Cookie"])
	require.Equal(t, "ada 500", s.read())
}

func TestTwoWritersAtOnce(t *testing.T) {
	s := newSite(t, setup{}, func(app *fiber.App) {
		app.Get("/set/:name", func(c fiber.Ctx) error {
			session.Key[string](c.Params("name")).Set(session.From(c), "x")
			return nil
		})
		app.Get("/names", func(c fiber.Ctx) error {
			return c.SendString(strings.Join(session.From(c).Names(), " "))
		})
	})
	s.get("/login")
	before := s.jar.Header("") // the cookies that the second tab sends
	s.get("/set/a")
	s.client.Jar = nil
	response, _ := s.do(http.MethodGet, "/set/b", nil, "Cookie", before)
	s.client.Jar = s.jar
	s.jar.Receive(response.Request, response.Header)
	_, names := s.get("/names")
	require.Equal(t, "a b user", names)
}

func newRequestCtx(method, path, cookie string) *fasthttp.RequestCtx {
	var r fasthttp.RequestCtx
	r.Request.Header.SetMethod(method)
	r.Request.SetRequestURI(path)
	r.Request.Header.Set("Cookie", cookie)
	return &r
}
