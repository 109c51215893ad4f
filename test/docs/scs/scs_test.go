// Package scs_test has the code of docs/scs.md: a test in the folder above
// compares the page with this code.
package scs_test

import (
	"context"
	"encoding/gob"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"

	"github.com/carryon-go/carryon/fallback/scsstore"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
	"github.com/carryon-go/carryon/test/docs/demo"
)

type example = demo.T

var (
	keys  = demo.Keys()
	must  = demo.Must
	visit = demo.Visit
	serve = demo.Serve
	show  = fmt.Println
)

var manager = scs.New()

func init() { manager.Store = memstore.NewWithCleanupInterval(0) } // without its goroutine

func oldLogin(w http.ResponseWriter, r *http.Request) {
	if err := manager.RenewToken(r.Context()); err != nil {
		http.Error(w, "please try again", http.StatusInternalServerError)
		return
	}
	manager.Put(r.Context(), "user", r.FormValue("user"))
	manager.Put(r.Context(), "visits", 1)
}

func oldHome(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, manager.GetString(r.Context(), "user"), manager.GetInt(r.Context(), "visits"))
}

func oldLogout(w http.ResponseWriter, r *http.Request) {
	_ = manager.Destroy(r.Context())
}

const (
	user   session.Key[string] = "user"
	visits session.Key[int]    = "visits"
)

func newLogin(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	s.Renew()
	user.Set(s, r.FormValue("user"))
	visits.Set(s, 1)
}

func newHome(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	name, _ := user.Get(s)
	n, _ := visits.Get(s)
	fmt.Fprint(w, name, n)
}

func newLogout(w http.ResponseWriter, r *http.Request) {
	session.From(r.Context()).Destroy()
}

func Example_had() {
	browser := &sessiontest.Jar{}
	ask := func(h http.HandlerFunc, method, target string) {
		_, body, _ := visit(browser, manager.LoadAndSave(h), method, target)
		show(strings.TrimSpace("home: " + body))
	}
	visit(browser, manager.LoadAndSave(http.HandlerFunc(oldLogin)), "POST", "/?user=ada")
	ask(oldHome, "GET", "/")
	visit(browser, manager.LoadAndSave(http.HandlerFunc(oldLogout)), "POST", "/")
	ask(oldHome, "GET", "/")
	// Output:
	// home: ada1
	// home: 0
}

func Example_write() {
	app, err := middleware.New(middleware.Config{Keys: keys})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", newLogin)
	mux.HandleFunc("POST /logout", newLogout)
	mux.HandleFunc("GET /", newHome)
	handler := app.Handler(mux) // manager.LoadAndSave(mux)
	browser := &sessiontest.Jar{}
	for _, do := range [][2]string{{"POST", "/login?user=ada"}, {"GET", "/"}, {"POST", "/logout"}, {"GET", "/"}} {
		_, body, _ := visit(browser, handler, do[0], do[1])
		show(strings.TrimSpace("home: " + body))
	}
	// Output:
	// home:
	// home: ada1
	// home:
	// home: 0
}

// Cart is a value with a type of its own.
type Cart struct{ Items []string }

func Example_types() {
	gob.Register(Cart{}) // or the commit fails
	oldAdd := func(w http.ResponseWriter, r *http.Request) {
		c, _ := manager.Get(r.Context(), "cart").(Cart)
		c.Items = append(c.Items, "apples")
		manager.Put(r.Context(), "cart", c)
	}
	const cart session.Key[Cart] = "cart"
	newAdd := func(w http.ResponseWriter, r *http.Request) {
		cart.Update(session.From(r.Context()), func(c Cart) Cart {
			c.Items = append(c.Items, "apples")
			return c
		})
	}
	app := newSessions(middleware.Config{})
	browser := &sessiontest.Jar{}
	for range 2 {
		visit(browser, manager.LoadAndSave(http.HandlerFunc(oldAdd)), "POST", "/")
		visit(browser, serve(app, newAdd), "POST", "/")
	}
	c, _ := cart.Get(browser.Session(example{}, app))
	visit(browser, manager.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		show(manager.Get(r.Context(), "cart"), c)
	})), "GET", "/")
	// Output: {[apples apples]} {[apples apples]}
}

func newSessions(c middleware.Config) *middleware.Sessions {
	c.Keys = keys
	app, err := middleware.New(c)
	must(err)
	return app
}

func Example_options() {
	manager := scs.New()
	manager.Lifetime = 12 * time.Hour
	manager.IdleTimeout = 20 * time.Minute
	manager.Cookie.Name = "id"
	manager.Cookie.SameSite = http.SameSiteStrictMode
	manager.Cookie.Persist = false
	manager.ErrorFunc = func(w http.ResponseWriter, r *http.Request, err error) {
		http.Error(w, "please try again", http.StatusServiceUnavailable)
	}
	app, err := middleware.New(middleware.Config{
		Keys: keys,
		Lifetimes: middleware.Lifetimes{
			Absolute:   12 * time.Hour,
			Idle:       20 * time.Minute,
			TouchAfter: -1, // as there: the idle end moves with each request; leave it out for every 10 minutes
		},
		Cookie: middleware.Cookie{
			Name:           "__Host-id",
			SameSite:       http.SameSiteStrictMode,
			BrowserSession: true,
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			http.Error(w, "please try again", http.StatusServiceUnavailable)
		},
	})
	must(err)
	show(strings.Contains(demo.Header(app, func(s *session.Session) { visits.Set(s, 1) }).Get("Set-Cookie"), "; Path=/; Secure; HttpOnly; SameSite=Strict"))
	show(manager.Cookie.Name)
	// Output:
	// true
	// id
}

func Example_store() {
	rows := memstore.NewWithCleanupInterval(0)
	store, err := scsstore.New(rows, scsstore.Options{}) // rows is any store that was made for scs
	if err != nil {
		panic(err)
	}
	app, err := middleware.New(middleware.Config{
		Keys: keys,
		Fallback: middleware.Fallback{
			Store: store,
			Mode:  middleware.AlwaysStored, // leave it out: then only what does not fit the cookies
		},
	})
	must(err)
	browser := &sessiontest.Jar{}
	browser.Forge(example{}, app, func(s *session.Session) { visits.Set(s, 3) })
	show(visits.Get(browser.Session(example{}, app)))
	// Output: 3 true
}

func Example_remember() {
	oldRemember := func(w http.ResponseWriter, r *http.Request) {
		manager.RememberMe(r.Context(), true) // where Cookie.Persist is false
		manager.SetDeadline(r.Context(), time.Now().Add(30*24*time.Hour))
		manager.Put(r.Context(), "user", "ada")
	}
	newRemember := func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		s.SetBrowserSession(false)         // where Config.Cookie.BrowserSession is true
		s.SetLifetime(30 * 24 * time.Hour) // up to Config.Lifetimes.Max
		user.Set(s, "ada")
	}
	app := newSessions(middleware.Config{Lifetimes: middleware.Lifetimes{Max: middleware.MaxLifetime, Idle: -1}, Cookie: middleware.Cookie{BrowserSession: true}})
	browser := &sessiontest.Jar{}
	visit(browser, manager.LoadAndSave(http.HandlerFunc(oldRemember)), "POST", "/")
	visit(browser, serve(app, newRemember), "POST", "/")
	for _, c := range browser.All() {
		show(time.Until(c.Expires).Round(time.Hour))
	}
	// Output:
	// 720h0m0s
	// 720h0m0s
}

func Example_everywhere() {
	ctx := context.Background()
	phone := &sessiontest.Jar{}
	visit(phone, manager.LoadAndSave(http.HandlerFunc(oldLogin)), "POST", "/?user=ada")
	err := manager.Iterate(ctx, func(ctx context.Context) error { // reads every session of every visitor
		if manager.GetString(ctx, "user") == "ada" {
			return manager.Destroy(ctx)
		}
		return nil
	})
	must(err)
	store, err := scsstore.New(memstore.NewWithCleanupInterval(0), scsstore.Options{})
	must(err)
	app := newSessions(middleware.Config{Fallback: middleware.Fallback{Store: store}})
	laptop := &sessiontest.Jar{}
	login := func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		s.Login("ada") // renews and stores the user id
		user.Set(s, "ada")
	}
	visit(laptop, serve(app, login), "POST", "/")
	err = app.RevokeSubject(ctx, "ada") // writes one row
	must(err)
	_, old, _ := visit(phone, manager.LoadAndSave(http.HandlerFunc(oldHome)), "GET", "/")
	show(old, laptop.Session(example{}, app).Reason())
	// Output: 0 revoked
}
