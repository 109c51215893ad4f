package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// exampleSessions creates the sessions from a random key. A program opens its key
// file instead:
//
//	keys, err := keyring.Open(ctx, keyring.File("session-keys.json"))
//	sessions, err := middleware.New(middleware.Config{Keys: keys})
func exampleSessions() *middleware.Sessions {
	ring, err := keyring.Generate(time.Now())
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := middleware.New(middleware.Config{Keys: ring})
	if err != nil {
		log.Fatal(err)
	}
	return sessions
}

func ExampleNew() {
	ring, err := keyring.Generate(time.Now()) // in a program: keyring.Open
	if err != nil {
		log.Fatal(err)
	}
	_, err = middleware.New(middleware.Config{
		Keys: ring,
		Lifetimes: middleware.Lifetimes{
			Absolute: 30 * 24 * time.Hour,
			Idle:     -1, // no idle limit
		},
	})
	fmt.Println(err)

	// New reports all faults at once.
	_, err = middleware.New(middleware.Config{Cookie: middleware.Cookie{Name: "my.session"}, Lifetimes: middleware.Lifetimes{Absolute: -time.Hour}})
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Println(line)
	}
	// Output:
	// <nil>
	// carryon: Config.Keys: it is nil; open a ring with keyring.Open, or use keyring.Ephemeral() in development
	// carryon: Config.Cookie.Name: "my.session" contains a dot, which is reserved for the suffix; leave it out
	// carryon: Config.Lifetimes.Absolute: it is negative; 0 means 24h0m0s, at most 9600h0m0s
}

func ExampleSessions_Handler() {
	const user session.Key[string] = "user"

	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		s.Renew() // a new id prevents session fixation
		user.Set(s, r.FormValue("name"))
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		name, ok := user.Get(session.From(r.Context()))
		fmt.Fprint(w, name, " ", ok)
	})
	handler := exampleSessions().Handler(mux) // http.ListenAndServe(":8080", handler)

	browser := &sessiontest.Jar{}
	page := func(method, address string) {
		answer := browser.Do(handler, browser.Request(method, address, nil))
		body, _ := io.ReadAll(answer.Body)
		fmt.Printf("%d %q\n", answer.StatusCode, body)
	}
	page("GET", "/")
	page("POST", "/login?name=%E5%BC%A0%E4%B8%89")
	page("GET", "/")
	// Output:
	// 200 " false"
	// 200 ""
	// 200 "张三 true"
}

func ExampleSessions_Loaded() {
	const user session.Key[string] = "user"

	// Loaded runs the handler only if the session was loaded. A visitor whose session
	// failed to load is not treated as logged out.
	account := exampleSessions().Loaded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := user.Get(session.From(r.Context()))
		if !ok {
			http.Redirect(w, r, "/login", http.StatusSeeOther)
			return
		}
		fmt.Fprintln(w, name)
	}))

	browser := &sessiontest.Jar{}
	answer := browser.Do(account, browser.Request("GET", "/account", nil))
	fmt.Println(answer.StatusCode, answer.Header.Get("Location"))
	// Output: 303 /login
}

func ExampleConfig_errorHandler() {
	ring, err := keyring.Generate(time.Now())
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := middleware.New(middleware.Config{
		Keys: ring,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			status := http.StatusServiceUnavailable
			if errors.Is(err, session.ErrTooLarge) {
				status = http.StatusInsufficientStorage
			}
			http.Error(w, "please try again", status)
		},
	})
	if err != nil {
		log.Fatal(err)
	}

	handler := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const cart session.Key[string] = "cart"
		cart.Set(session.From(r.Context()), strings.Repeat("too much ", 100_000))
		fmt.Fprintln(w, "this is never sent")
	}))
	browser := &sessiontest.Jar{}
	answer := browser.Do(handler, browser.Request("GET", "/", nil))
	body, _ := io.ReadAll(answer.Body)
	fmt.Println(answer.StatusCode, strings.TrimSpace(string(body)))
	// Output: 507 please try again
}

// fakeRequest and fakeResponse belong to a server that is not net/http.
type (
	fakeRequest struct {
		Method string
		Cookie []string
	}
	fakeResponse struct {
		Status  int
		Headers http.Header
		Body    string
	}
)

// An adapter for another server calls Begin, runs the handler, calls Commit before
// the header is written, and calls Finish at the end.
func ExampleSessions_Begin() {
	const visits session.Key[int] = "visits"
	handler := func(ctx context.Context) fakeResponse {
		s := session.From(ctx)
		visits.Update(s, func(n int) int { return n + 1 })
		n, _ := visits.Get(s)
		return fakeResponse{Status: 200, Headers: http.Header{}, Body: fmt.Sprint("visit ", n)}
	}

	sessions := exampleSessions()
	serve := func(ctx context.Context, r fakeRequest) fakeResponse {
		ctx, exchange := sessions.Begin(ctx, middleware.Request{Method: r.Method, Cookies: r.Cookie})
		response := handler(ctx)
		fields, err := exchange.Commit(ctx, middleware.Response{Status: response.Status})
		if err != nil {
			return fakeResponse{Status: middleware.StatusOf(err)} // send nothing of the handler's response
		}
		h := response.Headers
		h["Set-Cookie"] = append(h["Set-Cookie"], fields.SetCookie...)
		if fields.Vary {
			h["Vary"] = middleware.AddVary(h["Vary"])
		}
		if fields.CacheControl != "" {
			h.Set("Cache-Control", fields.CacheControl)
		}
		if err := exchange.Finish(ctx); err != nil {
			log.Print(err)
		}
		return response
	}

	browser := &sessiontest.Jar{}
	for range 3 {
		request := fakeRequest{Method: "GET"}
		if header := browser.Header(""); header != "" {
			request.Cookie = []string{header}
		}
		response := serve(context.Background(), request)
		for _, line := range response.Headers["Set-Cookie"] {
			browser.Set(line)
		}
		fmt.Println(response.Status, response.Body)
	}
	// Output:
	// 200 visit 1
	// 200 visit 2
	// 200 visit 3
}

// A session that does not fit its cookies moves into the store, sealed. It moves
// back when it has shrunk.
func ExampleConfig_fallback() {
	store, err := fallback.NewMemory(fallback.MemoryConfig{}) // for several replicas: sqlstore, redisstore, …
	if err != nil {
		log.Fatal(err)
	}
	ring, err := keyring.Generate(time.Now())
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := middleware.New(middleware.Config{
		Keys:     ring,
		Fallback: middleware.Fallback{Store: store},
		Observer: func(_ context.Context, e middleware.Event) {
			if e.Kind == middleware.EventSpilled || e.Kind == middleware.EventReturned {
				fmt.Println("the session has", e.Kind)
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	const cart session.Key[string] = "cart"
	handler := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cart.Set(session.From(r.Context()), strings.Repeat("apples ", len(r.URL.Path)*30))
	}))

	browser := &sessiontest.Jar{}
	for _, page := range []string{"/few", "/" + strings.Repeat("very-", 30) + "many", "/few"} {
		browser.Do(handler, browser.Request("POST", page, nil))
		fmt.Println(browser.Bytes() < 2000, len(browser.Names()), "cookie")
	}
	// Output:
	// true 1 cookie
	// the session has spilled
	// true 1 cookie
	// the session has returned
	// true 1 cookie
}
