package bench

import (
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/encryptcookie"
	"github.com/gofiber/fiber/v3/middleware/session"
	"github.com/valyala/fasthttp"
)

// fast is a handler of fiber, which does not use net/http. It is measured with
// a request context of fasthttp, as fasthttp's server would pass it.
type fast struct{ serve fasthttp.RequestHandler }

// newFast returns an app with one page behind a middleware.
func newFast(middleware, serve fiber.Handler) http.Handler {
	app := fiber.New()
	app.Use(middleware)
	app.All("/news", serve)
	return fast{app.Handler()}
}

// ServeHTTP is used only by the check.
func (f fast) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var c fasthttp.RequestCtx
	c.Init(fastRequest(r), nil, nil)
	f.serve(&c)
	for _, cookie := range c.Response.Header.Cookies() {
		w.Header().Add("Set-Cookie", string(cookie))
	}
	w.WriteHeader(c.Response.StatusCode())
	_, _ = w.Write(c.Response.Body()) // a sink never fails
}

// ready returns a function that serves a fresh copy of the request, because
// parsing changes it.
func (f fast) ready(r *http.Request) func() {
	prepared, c := fastRequest(r), new(fasthttp.RequestCtx)
	c.Init(prepared, nil, nil)
	return func() {
		prepared.CopyTo(&c.Request)
		c.Response.Reset()
		c.ResetUserValues()
		f.serve(c)
	}
}

func fastRequest(r *http.Request) *fasthttp.Request {
	f := new(fasthttp.Request)
	f.Header.SetMethod(r.Method)
	f.SetRequestURI(r.RequestURI)
	f.Header.SetHost(r.Host)
	for name, values := range r.Header {
		for _, value := range values {
			f.Header.Add(name, value)
		}
	}
	return f
}

// buildFiber stores the session as fiber's documentation shows, in its memory
// storage. The middleware saves it and sets the cookie in every response.
func buildFiber(d Data) (*Site, error) {
	handler, store := session.NewWithStore(session.Config{CookieSecure: true, CookieHTTPOnly: true})
	for _, value := range []any{User{}, Prefs{}, []Item{}} {
		store.RegisterType(value)
	}
	with := func(serve func(fiber.Ctx, *session.Middleware) error) http.Handler {
		return newFast(handler, func(c fiber.Ctx) error { return serve(c, session.FromContext(c)) })
	}
	return &Site{
		Stored: true,
		Login: with(func(_ fiber.Ctx, s *session.Middleware) error {
			setAll(d, func(key string, value any) { s.Set(key, value) })
			return nil
		}),
		Untouched: with(func(c fiber.Ctx, _ *session.Middleware) error { return c.SendString("ok") }),
		Read: with(func(c fiber.Ctx, s *session.Middleware) error {
			user, _ := s.Get("user").(User)
			return c.SendString(user.Name)
		}),
		Change: with(func(c fiber.Ctx, s *session.Middleware) error {
			next := nextToken()
			s.Set("csrf", next)
			return c.SendString(next)
		}),
		Dump: with(func(c fiber.Ctx, s *session.Middleware) error {
			return c.JSON(gobValues{}.data(func(key string) any { return s.Get(key) }))
		}),
	}, nil
}

// buildFiberEncrypt stores the session's JSON in a cookie that fiber's
// middleware encrypts. The JSON is in base64, because fasthttp cuts cookie
// values at ";".
func buildFiberEncrypt(d Data) (*Site, error) {
	encrypt := encryptcookie.New(encryptcookie.Config{
		Key: encryptcookie.GenerateKey(32), Except: []string{"_ga", "theme"}, // cookies of other programs
	})
	with := func(serve func(fiber.Ctx, Data) error) http.Handler {
		return newFast(encrypt, func(c fiber.Ctx) error {
			if d, ok := openFiber(c); ok {
				return serve(c, d)
			}
			return nil
		})
	}
	return &Site{
		Login:     newFast(encrypt, func(c fiber.Ctx) error { return saveFiber(c, d) }),
		Untouched: newFast(encrypt, func(c fiber.Ctx) error { return c.SendString("ok") }),
		Read:      with(func(c fiber.Ctx, d Data) error { return c.SendString(d.User.Name) }),
		Change: with(func(c fiber.Ctx, d Data) error {
			d.CSRF = nextToken()
			if err := saveFiber(c, d); err != nil {
				return err
			}
			return c.SendString(d.CSRF)
		}),
		Dump: with(func(c fiber.Ctx, d Data) error { return c.JSON(d) }),
	}, nil
}

func openFiber(c fiber.Ctx) (d Data, ok bool) {
	plain, err := base64.RawURLEncoding.DecodeString(c.Cookies("session"))
	if err != nil {
		return d, false
	}
	err = json.Unmarshal(plain, &d)
	return d, err == nil
}

func saveFiber(c fiber.Ctx, d Data) error {
	plain, err := json.Marshal(d)
	if err != nil {
		return err
	}
	c.Cookie(&fiber.Cookie{Name: "session", Value: base64.RawURLEncoding.EncodeToString(plain),
		MaxAge: 86400, Secure: true, HTTPOnly: true})
	return nil
}
