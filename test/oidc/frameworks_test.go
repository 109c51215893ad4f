package oidc_test

import (
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/fibersession"
	"github.com/carryon-go/carryon/middleware/lambdasession/lambdatest"
	"github.com/carryon-go/carryon/test/internal/providers"
)

// frameworks serve the program with their own routers and handlers.
var frameworks = map[string]func(t *testing.T, p program) http.Handler{
	"chi": func(_ *testing.T, p program) http.Handler {
		r := chi.NewRouter()
		r.Handle("/auth/*", p.auth)
		r.Get("/token", p.serveToken)
		r.Get("/public", p.servePublic)
		r.With(p.auth.Require).Get("/page", p.servePage)
		return p.sessions.Handler(r)
	},
	"gin": func(_ *testing.T, p program) http.Handler {
		gin.SetMode(gin.ReleaseMode)
		engine := gin.New()
		engine.Any("/auth/*route", gin.WrapH(p.auth))
		engine.GET("/token", func(c *gin.Context) {
			text, status := p.token(c.Request.Context())
			c.String(status, "%s", text)
		})
		engine.GET("/public", gin.WrapF(p.servePublic))
		engine.GET("/page", gin.WrapH(p.auth.Require(http.HandlerFunc(p.servePage))))
		return p.sessions.Handler(engine)
	},
	"echo": func(_ *testing.T, p program) http.Handler {
		e := echo.New()
		e.Logger.SetOutput(io.Discard)
		e.Any("/auth/*", echo.WrapHandler(p.auth))
		e.GET("/token", func(c echo.Context) error {
			text, status := p.token(c.Request().Context())
			return c.String(status, text)
		})
		e.GET("/public", echo.WrapHandler(http.HandlerFunc(p.servePublic)))
		e.GET("/page", func(c echo.Context) error {
			return c.HTML(http.StatusOK, p.greet(c.Request().Context(), c.Path()))
		}, echo.WrapMiddleware(p.auth.Require))
		return p.sessions.Handler(e)
	},
	"fiber": func(t *testing.T, p program) http.Handler {
		app := fiber.New(fiber.Config{ReadBufferSize: fibersession.ReadBufferSize})
		sessions, err := fibersession.New(app, p.sessions)
		require.NoError(t, err)
		app.Use(sessions)
		app.All("/auth/*", adaptor.HTTPHandler(p.auth))
		app.Get("/token", func(c fiber.Ctx) error {
			text, status := p.token(c)
			return c.Status(status).SendString(text)
		})
		app.Get("/public", adaptor.HTTPHandler(http.HandlerFunc(p.servePublic)))
		app.Get("/page", adaptor.HTTPHandler(p.auth.Require(http.HandlerFunc(p.servePage))))
		return proxyTo(t, listen(t, app))
	},
}

// listen serves a Fiber app and returns its URL. The end of the test closes the listener
// and does not call Shutdown: in fasthttp 1.69 that races with contexts that were made of
// a request's.
func listen(t *testing.T, app *fiber.App) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true}) }()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
	return "http://" + listener.Addr().String()
}

func proxyTo(t *testing.T, address string) http.Handler {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(u)
		r.Out.Host = r.In.Host
	}}
}

// A visitor signs in and the tokens are refreshed with each framework.
func TestFrameworks(t *testing.T) {
	w := newWorld(t, providers.OIDCProvider, nil)
	for name, build := range frameworks {
		t.Run(name, func(t *testing.T) {
			s := w.newSite(t, func(set *setup) { set.sessions.Limits = middleware.Limits{RequestBytes: 14_336}; set.store = memory })
			set := s.setup
			set.sessions.Clock, set.config.Clock = s.clock.now, s.clock.now
			set.sessions.Fallback.Store = memory(t, s.clock.now)
			p, err := newParts(t.Context(), set.sessions, set.config)
			require.NoError(t, err)
			s.replicas = []http.Handler{build(t, p)}
			v := s.visitor()
			require.Equal(t, http.StatusUnauthorized, v.withoutHTML("/page"))
			id := v.signInWithID(t)
			v.refreshInBurst(t, 30, name)
			require.Contains(t, v.get("/page").body, "Ada ada at /page")
			s.clock.advance(-time.Duration(s.Settings.Seconds+1) * time.Second) // the logout token is young
			s.end(id)
			s.clock.advance(middleware.DefaultRevocationMaxAge)
			require.False(t, v.signedIn())
			v.signIn()
			require.Equal(t, http.StatusSeeOther, v.step(http.MethodPost, "/auth/logout", url.Values{}).StatusCode)
			require.False(t, v.signedIn())
		})
	}
}

// withoutHTML returns the status of a request that asks for no page.
func (v *visitor) withoutHTML(page string) int {
	v.t.Helper()
	r := v.request(http.MethodGet, page, nil)
	r.Header.Del("Accept")
	a, err := v.send(r)
	require.NoError(v.t, err)
	return a.StatusCode
}

// functionVariable makes the test binary a Lambda function.
const functionVariable = "CARRYON_OIDC_FUNCTION"

// A visitor signs in and the tokens are refreshed in Lambda, behind each of its fronts.
// A load balancer without multi-value headers passes on one cookie for each response; a
// sign-in needs several.
func TestLambda(t *testing.T) {
	w := newWorld(t, providers.OIDCProvider, nil)
	for _, front := range []lambdatest.Front{lambdatest.REST, lambdatest.HTTPAPI, lambdatest.HTTPAPI1, lambdatest.URL, lambdatest.ALBMulti} {
		t.Run(string(front), func(t *testing.T) {
			s := w.newSite(t, func(set *setup) { set.sessions.Platform = middleware.APIGateway })
			f := s.startFunction(t)
			s.replicas = []http.Handler{throughFront(t, front, f)}
			v := s.visitor()
			v.signIn()
			old := v.token()
			before, _ := s.Refreshes()
			advance := url.Values{"by": {(time.Duration(s.Settings.Seconds+1) * time.Second).String()}}
			require.Equal(t, http.StatusOK, v.step(http.MethodPost, "/advance", advance).StatusCode)
			next := v.token()
			require.NotEqual(t, old, next)
			require.Equal(t, next, v.token())
			after, _ := s.Refreshes()
			require.Equal(t, before+1, after)
			require.Contains(t, v.get("/page").body, "Ada ada at /page")
		})
	}
}

// startFunction starts the test binary as a function.
func (s *site) startFunction(t *testing.T) *lambdatest.Function {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	ring, err := s.setup.sessions.Keys.(*keyring.Ring).Marshal()
	require.NoError(t, err)
	text, err := json.Marshal(replicaSettings{Name: "function", Issuer: s.URL, Redirect: s.setup.config.RedirectURL, Ring: ring, Platform: middleware.APIGateway})
	require.NoError(t, err)
	return lambdatest.Start(t, binary, functionVariable+"="+string(text))
}

// throughFront passes requests to a function, one at a time.
func throughFront(t *testing.T, front lambdatest.Front, f *lambdatest.Function) http.Handler {
	var mu sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		r.URL.Scheme, r.URL.Host = "https", r.Host
		response, err := lambdatest.Visitor{Front: front, Function: f}.RoundTrip(r)
		if err != nil {
			t.Error(err)
			return
		}
		defer response.Body.Close()
		maps.Copy(w.Header(), response.Header)
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, response.Body)
	})
}
