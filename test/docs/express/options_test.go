package express_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
	"github.com/carryon-go/carryon/test/docs/demo"
)

func program(keys keyring.Provider) (http.Handler, error) {
	sessions, err := middleware.New(middleware.Config{Keys: keys})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		views.Update(s, func(n int) int { return n + 1 })
		n, _ := views.Get(s)
		fmt.Fprintf(w, "views: %d", n)
	})
	return sessions.Handler(mux), nil
}

func Example_program() {
	handler, err := program(keys)
	must(err)
	browser := &sessiontest.Jar{}
	for range 2 {
		show(visit(browser, handler, "GET", "/"))
	}
	// Output:
	// 200 views: 1 true
	// 200 views: 2 true
}

func Example_cookie() {
	sessions, err := middleware.New(middleware.Config{
		Keys:        keys,
		Name:        "__Secure-app", // name
		Domain:      "app.example",  // cookie.domain
		Path:        "/shop",        // cookie.path
		SameSite:    http.SameSiteNoneMode,
		Partitioned: true,   // cookie.partitioned
		Priority:    "High", // cookie.priority
	})
	must(err)
	header := demo.Header(sessions, func(s *session.Session) { views.Set(s, 1) })
	_, attributes, _ := strings.Cut(header.Get("Set-Cookie"), "; ")
	show(attributes)

	_, err = middleware.New(middleware.Config{Keys: keys, Name: "__Host-app", Path: "/shop"})
	fmt.Println(err) // a browser would drop this cookie silently
	// Output:
	// Max-Age=86400; Path=/shop; Domain=app.example; Secure; HttpOnly; SameSite=None; Partitioned; Priority=High
	// carryon: Config.Name "__Host-app": browsers refuse "__Host-" with a Domain or a Path other than "/"; use "__Secure-"
}

func Example_maxAge() {
	sessions, err := middleware.New(middleware.Config{
		Keys:           keys,
		Lifetime:       24 * time.Hour,      // the longest, even if it is used
		IdleTimeout:    2 * time.Hour,       // maxAge with rolling: true
		BrowserSession: true,                // maxAge: null
		MaxLifetime:    30 * 24 * time.Hour, // the longest that a handler may set
	})
	must(err)
	login := func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		s.Login("u1")
		user.Set(s, User{ID: "u1", Name: "张三"})
		if r.FormValue("remember") != "" { // req.session.cookie.maxAge = …
			s.SetLifetime(30 * 24 * time.Hour)
			s.SetIdleTimeout(-1)
			s.SetBrowserSession(false)
		}
	}
	browser := &sessiontest.Jar{}
	visit(browser, serve(sessions, login), "POST", "/login?remember=yes")
	s := browser.Session(example{}, sessions)
	show(time.Until(s.Expires()).Round(time.Hour), s.IdleExpires().IsZero())
	// Output: 720h0m0s true
}

func Example_rolling() {
	config := middleware.Config{
		Keys:        keys,
		IdleTimeout: time.Hour,              // maxAge
		TouchAfter:  10 * time.Minute,       // negative: each response, as with rolling: true
		Lifetime:    middleware.MaxLifetime, // 400 days; less is safer
	}
	clock := &sessiontest.Clock{}
	config.Clock = clock.Now
	sessions := newSessions(config)
	handler := serve(sessions, func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		if s.IsNew() {
			views.Set(s, 1)
		}
	})
	browser := &sessiontest.Jar{Clock: clock.Now}
	for range 5 {
		_, _, sets := visit(browser, handler, "GET", "/")
		show(sets)
		clock.Advance(5 * time.Minute)
	}
	// Output:
	// true
	// false
	// true
	// false
	// true
}

func Example_saveUninitialized() {
	sessions := newSessions(middleware.Config{})
	looks := serve(sessions, func(w http.ResponseWriter, r *http.Request) {
		_, ok := user.Get(session.From(r.Context()))
		fmt.Fprint(w, ok)
	})
	const visitor session.Key[bool] = "visitor"
	counts := func(w http.ResponseWriter, r *http.Request) {
		if s := session.From(r.Context()); s.IsNew() {
			visitor.Set(s, true) // saveUninitialized: true
		}
	}
	show(visit(&sessiontest.Jar{}, looks, "GET", "/"))
	show(visit(&sessiontest.Jar{}, serve(sessions, counts), "GET", "/"))
	// Output:
	// 200 false false
	// 200  true
}

func Example_secret() {
	ctx := context.Background()
	directory, err := os.MkdirTemp("", "carryon")
	must(err)
	defer os.RemoveAll(directory)
	file := filepath.Join(directory, "session-keys.json")
	text, err := keys.Marshal()
	must(err)
	must(os.WriteFile(file, text, 0o600))

	keys, err := keyring.Open(ctx, keyring.File(file)) // made by: carryon keys init
	must(err)
	show(len(keys.Ring(ctx).Keys()), "key, and more after: carryon keys rotate")
	// Output: 1 key, and more after: carryon keys rotate
}

func Example_store() {
	store, err := fallback.NewMemory(fallback.MemoryConfig{}) // or sqlstore, redisstore, mongostore, …
	if err != nil {
		panic(err)
	}
	sessions, err := middleware.New(middleware.Config{
		Keys:     keys,
		Fallback: store,
		Mode:     middleware.AlwaysStored, // without it, only sessions that do not fit into cookies
	})
	must(err)
	visit(&sessiontest.Jar{}, serve(sessions, func(w http.ResponseWriter, r *http.Request) {
		views.Set(session.From(r.Context()), 1)
	}), "GET", "/")

	ctx := context.Background()
	n, err := store.Len(ctx) // length
	must(err)
	must(store.Clear(ctx)) // clear
	left, err := store.Len(ctx)
	must(err)
	show(n, left)
	// Output: 1 0
}

func Example_unset() {
	sessions := newSessions(middleware.Config{})
	drop := func(w http.ResponseWriter, r *http.Request) {
		session.From(r.Context()).Destroy() // req.session = null with unset: 'destroy'
	}
	keep := func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		views.Set(s, 100)
		if err := s.Reload(r.Context()); err != nil { // … with unset: 'keep'
			http.Error(w, "please try again", http.StatusServiceUnavailable)
		}
	}
	browser := &sessiontest.Jar{}
	browser.Forge(example{}, sessions, func(s *session.Session) { views.Set(s, 7) })
	visit(browser, serve(sessions, keep), "POST", "/")
	n, ok := views.Get(browser.Session(example{}, sessions))
	show(n, ok)
	visit(browser, serve(sessions, drop), "POST", "/")
	n, ok = views.Get(browser.Session(example{}, sessions))
	show(n, ok)
	// Output:
	// 7 true
	// 0 false
}

func Example_several() {
	shop, err := middleware.New(middleware.Config{Keys: keys})
	must(err)
	admin, err := middleware.New(middleware.Config{
		Keys: keys, Name: "__Secure-admin", Path: "/admin", Lifetime: time.Hour, SameSite: http.SameSiteStrictMode,
	})
	must(err)
	mux := http.NewServeMux()
	mux.Handle("/admin/", admin.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := user.Get(admin.From(r.Context()))
		n, _ := views.Get(shop.From(r.Context()))
		fmt.Fprint(w, who.Name, " ", n)
	})))
	handler := shop.Handler(mux)
	browser := &sessiontest.Jar{}
	browser.Forge(example{}, shop, func(s *session.Session) { views.Set(s, 3) })
	browser.URL = sessiontest.Home + "admin/"
	browser.Receive(browser.Request("GET", "", nil), demo.Header(admin, func(s *session.Session) { user.Set(s, User{Name: "李四"}) }))
	show(visit(browser, handler, "GET", "/admin/"))
	// Output: 200 李四 3 false
}
