// Package gorilla_test has the code of docs/gorilla-sessions.md: a test in the
// folder above compares the page with this code.
package gorilla_test

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
	"github.com/carryon-go/carryon/test/docs/demo"
)

type example = demo.T

var (
	keys    = demo.Keys()
	must    = demo.Must
	visit   = demo.Visit
	serve   = demo.Serve
	show    = fmt.Println
	authKey = securecookie.GenerateRandomKey(64)
	encKey  = securecookie.GenerateRandomKey(32)
)

var store = sessions.NewCookieStore(authKey, encKey)

func oldLogin(w http.ResponseWriter, r *http.Request) {
	s, err := store.Get(r, "app")
	if err != nil { // an old key, or a forged cookie
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.Values["user"] = r.FormValue("user")
	s.Values["cart"] = 1
	if err := s.Save(r, w); err != nil { // before the first byte, or it is lost
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, "hello")
}

func oldHome(w http.ResponseWriter, r *http.Request) {
	s, _ := store.Get(r, "app")
	name, ok := s.Values["user"].(string)
	fmt.Fprint(w, name, " ", ok)
}

func oldLogout(w http.ResponseWriter, r *http.Request) {
	s, _ := store.Get(r, "app")
	s.Options.MaxAge = -1
	_ = s.Save(r, w)
}

const (
	user session.Key[string] = "user"
	cart session.Key[int]    = "cart"
)

func newLogin(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	s.Renew() // a new id; Login, where the user has one
	user.Set(s, r.FormValue("user"))
	cart.Set(s, 1)
	fmt.Fprint(w, "hello")
}

func newHome(w http.ResponseWriter, r *http.Request) {
	name, ok := user.Get(session.From(r.Context()))
	fmt.Fprint(w, name, " ", ok)
}

func newLogout(w http.ResponseWriter, r *http.Request) {
	session.From(r.Context()).Destroy()
}

func newSessions(c middleware.Config) *middleware.Sessions {
	c.Keys = keys
	app, err := middleware.New(c)
	must(err)
	return app
}

func Example_had() {
	browser := &sessiontest.Jar{}
	visit(browser, http.HandlerFunc(oldLogin), "POST", "/login?user=ada")
	show(visit(browser, http.HandlerFunc(oldHome), "GET", "/"))
	visit(browser, http.HandlerFunc(oldLogout), "POST", "/logout")
	show(visit(browser, http.HandlerFunc(oldHome), "GET", "/"))
	// Output:
	// 200 ada true false
	// 200  false false
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
	handler := app.Handler(mux)
	browser := &sessiontest.Jar{}
	visit(browser, handler, "POST", "/login?user=ada")
	show(visit(browser, handler, "GET", "/"))
	visit(browser, handler, "POST", "/logout")
	show(visit(browser, handler, "GET", "/"))
	// Output:
	// 200 ada true false
	// 200  false false
}

func Example_flash() {
	oldOrder := func(w http.ResponseWriter, r *http.Request) {
		s, _ := store.Get(r, "app")
		s.AddFlash("thank you")
		_ = s.Save(r, w)
	}
	oldShow := func(w http.ResponseWriter, r *http.Request) {
		s, _ := store.Get(r, "app")
		flashes := s.Flashes()
		_ = s.Save(r, w) // or it is shown again
		for _, f := range flashes {
			fmt.Fprint(w, f)
		}
	}
	const flashes session.Key[[]string] = "flashes"
	newOrder := func(w http.ResponseWriter, r *http.Request) {
		flashes.Update(session.From(r.Context()), func(list []string) []string { return append(list, "thank you") })
	}
	newShow := func(w http.ResponseWriter, r *http.Request) {
		list, _ := flashes.Pop(session.From(r.Context()))
		for _, f := range list {
			fmt.Fprint(w, f)
		}
	}
	app := newSessions(middleware.Config{})
	for _, program := range [][2]http.Handler{
		{http.HandlerFunc(oldOrder), http.HandlerFunc(oldShow)},
		{serve(app, newOrder), serve(app, newShow)},
	} {
		browser := &sessiontest.Jar{}
		visit(browser, program[0], "POST", "/order")
		_, first, _ := visit(browser, program[1], "GET", "/")
		_, again, _ := visit(browser, program[1], "GET", "/")
		show(first, again == "")
	}
	// Output:
	// thank you true
	// thank you true
}

func Example_options() {
	store := sessions.NewCookieStore(authKey, encKey)
	store.Options = &sessions.Options{
		Path: "/", MaxAge: 3600, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
	app, err := middleware.New(middleware.Config{
		Keys:      keys,
		Lifetimes: middleware.Lifetimes{Absolute: time.Hour}, // sealed inside, and enforced
		Cookie:    middleware.Cookie{SameSite: http.SameSiteStrictMode},
	})
	must(err)
	header := demo.Header(app, func(s *session.Session) { cart.Set(s, 1) })
	_, attributes, _ := strings.Cut(header.Get("Set-Cookie"), "; ")
	show(attributes, store.Options.MaxAge)
	// Output: Max-Age=3600; Path=/; Secure; HttpOnly; SameSite=Strict 3600
}

func Example_remember() {
	oldRemember := func(w http.ResponseWriter, r *http.Request) {
		s, _ := store.Get(r, "app")
		s.Options.MaxAge = 30 * 24 * 3600 // for the browser only; the codec's MaxAge ends the session
		s.Values["user"] = "ada"
		_ = s.Save(r, w)
	}
	newRemember := func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		user.Set(s, "ada")
		s.SetLifetime(30 * 24 * time.Hour) // up to Config.Lifetimes.Max
		s.SetIdleTimeout(-1)
	}
	app := newSessions(middleware.Config{Lifetimes: middleware.Lifetimes{Max: middleware.MaxLifetime}})
	browser := &sessiontest.Jar{}
	visit(browser, http.HandlerFunc(oldRemember), "POST", "/")
	visit(browser, serve(app, newRemember), "POST", "/")
	for _, c := range browser.All() {
		show(time.Until(c.Expires).Round(time.Hour))
	}
	// Output:
	// 720h0m0s
	// 720h0m0s
}

func Example_large() {
	big := strings.Repeat("x", 40_000)
	files := sessions.NewFilesystemStore("", authKey) // not encrypted; old files stay
	files.MaxLength(1 << 20)
	large, err := fallback.NewMemory(fallback.MemoryConfig{}) // or sqlstore, redisstore, … for several replicas
	if err != nil {
		panic(err)
	}
	app, err := middleware.New(middleware.Config{Keys: keys, Fallback: middleware.Fallback{Store: large}})
	must(err)
	show(files != nil)
	browser := &sessiontest.Jar{}
	_, _, sets := visit(browser, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, _ := store.Get(r, "app")
		s.Values["big"] = big
		show(s.Save(r, w) != nil) // the value is too long
	}), "GET", "/")
	show(sets)
	browser.Forge(example{}, app, func(s *session.Session) { user.Set(s, big) })
	show(len(browser.Names()), "cookie", browser.Bytes() < 400)
	// Output:
	// true
	// true
	// false
	// 1 cookie true
}

func Example_rotation() {
	newAuth, newEnc := securecookie.GenerateRandomKey(64), securecookie.GenerateRandomKey(32)
	rotated := sessions.NewCookieStore(newAuth, newEnc, authKey, encKey) // pairs, not a list
	browser := &sessiontest.Jar{}
	visit(browser, http.HandlerFunc(oldLogin), "POST", "/?user=ada")
	s, err := rotated.Get(browser.Request("GET", "/", nil), "app")
	must(err)
	show(s.Values["user"])

	ring, change, err := keys.Rotate(time.Now(), keyring.Policy{}) // or: carryon keys rotate FILE
	must(err)
	show(len(ring.Keys()), "keys, the new one seals in an hour:", change.Added != nil)
	// Output:
	// ada
	// 2 keys, the new one seals in an hour: true
}
