package express_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

func login(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	s.Clear()     // as regenerate does: drop the old values
	s.Login("u1") // renews the session id and stores the user id
	user.Set(s, User{ID: "u1", Name: "张三"})
	http.Redirect(w, r, "/account", http.StatusSeeOther) // no save() before it
}

func logout(w http.ResponseWriter, r *http.Request) {
	session.From(r.Context()).Destroy() // destroy; also removes the browser's cookie
}

func Example_regenerate() {
	sessions := newSessions(middleware.Config{})
	browser := &sessiontest.Jar{}
	browser.Forge(example{}, sessions, func(s *session.Session) { views.Set(s, 3) })
	before := browser.Session(example{}, sessions).ID()
	visit(browser, serve(sessions, login), "POST", "/login")
	s := browser.Session(example{}, sessions)
	show(s.Names(), s.ID() != before)
	visit(browser, serve(sessions, logout), "POST", "/logout")
	show(browser.Session(example{}, sessions).Reason())
	// Output:
	// [user] true
	// logged out
}

func Example_save() {
	store, err := fallback.NewMemory(fallback.MemoryConfig{})
	must(err)
	sessions := newSessions(middleware.Config{Fallback: middleware.Fallback{Store: store}})
	report := func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		flash.Set(s, "the report was made")
		if err := s.Save(r.Context()); err != nil { // does it fit? does the store answer?
			http.Error(w, "please try again", http.StatusServiceUnavailable)
			return
		}
		_ = http.NewResponseController(w).Flush() // send the header with the cookies now
		for page := range 3 {
			fmt.Fprintln(w, "page", page)
		}
	}
	browser := &sessiontest.Jar{}
	visit(browser, serve(sessions, report), "POST", "/")
	show(flash.Get(browser.Session(example{}, sessions)))
	// Output: the report was made true
}

func Example_reload() {
	store, err := fallback.NewMemory(fallback.MemoryConfig{})
	must(err)
	sessions := newSessions(middleware.Config{Fallback: middleware.Fallback{Store: store, RevocationMaxAge: -1}})
	news := func(yield func(string) bool) {
		_ = yield("first") && sessions.RevokeSubject(context.Background(), "u1") == nil && yield("second")
	}
	events := func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		for item := range news { // a long response, or a WebSocket
			if err := s.Reload(r.Context()); err != nil || s.IsNew() {
				return // logged out in another tab, or everywhere
			}
			fmt.Fprintln(w, item)
			_ = http.NewResponseController(w).Flush()
		}
	}
	browser := &sessiontest.Jar{}
	browser.Forge(example{}, sessions, func(s *session.Session) { s.Login("u1") })
	_, body, _ := visit(browser, serve(sessions, events), "GET", "/")
	show(body)
	// Output: first
}

func Example_id() {
	sessions := newSessions(middleware.Config{Lifetimes: middleware.Lifetimes{Absolute: time.Hour}})
	about := func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		id := s.ID()                        // req.sessionID: safe to log
		left := time.Until(s.Expires())     // req.session.cookie.maxAge
		idle := time.Until(s.IdleExpires()) // the same of a rolling session
		began := s.Created()                // timestamps: createdAt
		fmt.Fprint(w, len(id), left > 0, idle > 0, began.IsZero())
	}
	browser := &sessiontest.Jar{}
	browser.Forge(example{}, sessions, func(s *session.Session) { views.Set(s, 1) })
	show(visit(browser, serve(sessions, about), "GET", "/"))
	// Output: 200 22 true true false false
}

func Example_all() {
	store, err := fallback.NewMemory(fallback.MemoryConfig{})
	must(err)
	sessions := newSessions(middleware.Config{Fallback: middleware.Fallback{Store: store}})
	ctx := context.Background()
	phone, laptop := &sessiontest.Jar{}, &sessiontest.Jar{}
	for _, browser := range []*sessiontest.Jar{phone, laptop} {
		visit(browser, serve(sessions, login), "POST", "/login")
	}
	deviceID := phone.Session(example{}, sessions).ID()
	err = sessions.Revoke(ctx, deviceID) // one session, by the id that was stored at its login
	must(err)
	show(phone.Session(example{}, sessions).Reason(), laptop.Session(example{}, sessions).Has("user"))
	err = sessions.RevokeSubject(ctx, "u1") // log out everywhere
	must(err)
	show(laptop.Session(example{}, sessions).Reason())
	// Output:
	// revoked true
	// revoked
}

func Example_flash() {
	sessions := newSessions(middleware.Config{})
	order := func(w http.ResponseWriter, r *http.Request) {
		flash.Set(session.From(r.Context()), "thank you")
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
	home := func(w http.ResponseWriter, r *http.Request) {
		if message, ok := flash.Pop(session.From(r.Context())); ok {
			fmt.Fprint(w, message)
		}
	}
	browser := &sessiontest.Jar{}
	visit(browser, serve(sessions, order), "POST", "/order")
	for range 2 {
		_, body, _ := visit(browser, serve(sessions, home), "GET", "/")
		show("home:", body)
	}
	// Output:
	// home: thank you
	// home:
}

func Example_guard() {
	sessions := newSessions(middleware.Config{})
	account := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "account") })
	mux := http.NewServeMux()
	mux.Handle("/account/", middleware.Require(user, middleware.Guard{Login: "/login"})(account))
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		s.Login("u1")
		user.Set(s, User{ID: "u1"})
		http.Redirect(w, r, middleware.Next(r, "/"), http.StatusSeeOther)
	})
	handler := http.NewCrossOriginProtection().Handler(sessions.Handler(mux)) // in place of csurf
	browser := &sessiontest.Jar{}
	ask := func(r *http.Request) {
		r.Header.Set("Accept", "text/html")
		response := browser.Do(handler, r)
		show(strings.TrimSpace(fmt.Sprint(response.StatusCode, " ", response.Header.Get("Location"))))
	}
	ask(browser.Request("GET", "/account/orders", nil))
	ask(browser.CrossSite("POST", "/login?next=/account/orders", nil, true))
	ask(browser.Request("POST", "/login?next=//evil.example", nil))
	ask(browser.Request("POST", "/login?next=/account/orders", nil))
	ask(browser.Request("GET", "/account/orders", nil))
	// Output:
	// 303 /login?next=%2Faccount%2Forders
	// 403
	// 303 /
	// 303 /account/orders
	// 200
}

func Example_events() {
	n := map[string]int{}
	sessions, err := middleware.New(middleware.Config{
		Keys: keys,
		Observer: func(ctx context.Context, e middleware.Event) { // middleware.Log, otelsession.New, or your own
			n[string(e.Kind)]++
		},
	})
	must(err)
	visit(&sessiontest.Jar{}, serve(sessions, login), "POST", "/login")
	show(n["loaded"], n["committed"])
	// Output: 1 1
}
