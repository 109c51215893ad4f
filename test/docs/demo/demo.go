// Package demo is what the examples of the pages in docs have in common.
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

// User is who is logged in.
type User struct{ ID, Name string }

// T is the test that an example has none of.
type T struct{ testing.TB }

// Helper, Context and Fatalf are what the examples need of it.
func (T) Helper()                   {}
func (T) Context() context.Context  { return context.Background() }
func (T) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

// Must ends the program for a fault of an example's own.
func Must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// Keys is a ring; a program has keyring.Open.
func Keys() *keyring.Ring {
	ring, err := keyring.Generate(time.Now())
	Must(err)
	return ring
}

// Visit sends a request by a browser and returns what came back, and whether
// that sets cookies.
func Visit(browser *sessiontest.Jar, h http.Handler, method, target string) (status int, body string, sets bool) {
	response := browser.Do(h, browser.Request(method, target, nil))
	text, err := io.ReadAll(response.Body)
	Must(err)
	return response.StatusCode, string(text), len(response.Cookies()) > 0
}

// Serve is what follows from sessions and a handler: the program without its port.
func Serve(sessions *middleware.Sessions, f http.HandlerFunc) http.Handler {
	return sessions.Handler(f)
}

// Header is the header of a response in which f changes a session of m.
func Header(m *middleware.Sessions, f func(*session.Session)) http.Header {
	browser := &sessiontest.Jar{}
	return browser.Do(Serve(m, func(_ http.ResponseWriter, r *http.Request) { f(session.From(r.Context())) }),
		browser.Request(http.MethodGet, "/", nil)).Header
}
