// Package demo contains helpers for the examples of the pages in docs.
package demo

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"testing"
	"time"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// User is the logged-in user.
type User struct{ ID, Name string }

// T replaces the *testing.T that an example does not have.
type T struct{ testing.TB }

// Helper, Context and Fatalf are the methods that the examples use.
func (T) Helper()                   {}
func (T) Context() context.Context  { return context.Background() }
func (T) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

// Must ends the program if err is not nil.
func Must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// Keys returns a new ring. Programs use keyring.Open instead.
func Keys() *keyring.Ring {
	ring, err := keyring.Generate(time.Now())
	Must(err)
	return ring
}

// Visit sends a request with the browser's cookies. It returns the status and
// the body, and whether the response sets cookies.
func Visit(browser *sessiontest.Jar, h http.Handler, method, target string) (status int, body string, sets bool) {
	response := browser.Do(h, browser.Request(method, target, nil))
	text, err := io.ReadAll(response.Body)
	Must(err)
	return response.StatusCode, string(text), len(response.Cookies()) > 0
}

// Serve returns a program that serves f with sessions.
func Serve(sessions *middleware.Sessions, f http.HandlerFunc) http.Handler {
	return sessions.Handler(f)
}

// Header returns the header of a response in which f changes a session of m.
func Header(m *middleware.Sessions, f func(*session.Session)) http.Header {
	browser := &sessiontest.Jar{}
	return browser.Do(Serve(m, func(_ http.ResponseWriter, r *http.Request) { f(session.From(r.Context())) }),
		browser.Request(http.MethodGet, "/", nil)).Header
}
