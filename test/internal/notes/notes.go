// Package notes is a small program with sessions, for tests over real sockets.
// It stores a visitor's notes, measures the headers, and reports each refusal
// by a status of its own.
package notes

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// A Note is a value of a session. Left and Right are written together and are
// always equal; Text makes the value as large as the test needs.
type Note struct {
	Left  string `json:"left"`
	Text  string `json:"text"`
	Right string `json:"right"`
}

// A Page is the response of /all.
type Page struct {
	Reason reason.Reason   `json:"reason"`
	Notes  map[string]Note `json:"notes"`
}

// The program uses these statuses for refusals. The body is the text of the
// error.
const (
	StatusTooLarge   = http.StatusInsufficientStorage
	StatusUnknownKey = http.StatusServiceUnavailable
	StatusStoreDown  = http.StatusTooEarly
	StatusEnded      = http.StatusConflict
)

// The program sets these fields, which no proxy sets.
const (
	FieldProgram = "X-Program" // on every response
	FieldLimit   = "X-Limit"   // the limit that a write exceeds
	FieldEntries = "X-Entries" // the largest entries, as named in such a refusal
)

// A Site is a replica of the program, on a port of its own.
type Site struct {
	*httptest.Server
	Meter *Meter
}

// New starts a replica. It sets the configuration's ErrorHandler and, if nil,
// its Observer. The Origin server is closed after the test.
func New(t testing.TB, c middleware.Config) *Site {
	meter := &Meter{}
	c.ErrorHandler = refuse
	if c.Observer == nil {
		c.Observer = meter.observe
	}
	sessions, err := middleware.New(c)
	require.NoError(t, err)
	s := &Site{httptest.NewServer(meter.around(signed(sessions.Handler(pages())))), meter}
	t.Cleanup(s.Close)
	return s
}

func refuse(w http.ResponseWriter, _ *http.Request, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, session.ErrTooLarge):
		status = StatusTooLarge
	case errors.Is(err, session.ErrUnknownKey):
		status = StatusUnknownKey
	case errors.Is(err, session.ErrStoreDown):
		status = StatusStoreDown
	case errors.Is(err, session.ErrEnded):
		status = StatusEnded
	}
	if large, ok := errors.AsType[*session.TooLargeError](err); ok {
		w.Header().Set(FieldLimit, string(large.Limit))
		for _, entry := range large.Largest {
			w.Header().Add(FieldEntries, entry.Name)
		}
	}
	http.Error(w, err.Error(), status)
}

// signed marks the program's responses.
func signed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(FieldProgram, "notes")
		next.ServeHTTP(w, r)
	})
}

// Text returns n bytes: base64url if token is set, and otherwise characters
// that the library cannot shorten.
func Text(n int, token bool) string {
	pattern := "~!#$%&*+"
	if token {
		pattern = "eyJhbGciOiJFUzI1NiJ9_-"
	}
	return strings.Repeat(pattern, n/len(pattern)+1)[:n]
}

func pages() http.Handler {
	mux := http.NewServeMux()
	page := func(path string, serve func(*http.Request, *session.Session)) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			s := session.From(r.Context())
			_ = s.Names() // reads the session before the wait; the write follows
			wait(r)
			serve(r, s)
			_, _ = w.Write([]byte("ok"))
		})
	}
	page("POST /set", func(r *http.Request, s *session.Session) {
		size, _ := strconv.Atoi(r.FormValue("size"))
		by := r.FormValue("by")
		key(r).Set(s, Note{Left: by, Text: Text(size, r.FormValue("text") == "token"), Right: by})
	})
	page("POST /delete", func(r *http.Request, s *session.Session) { key(r).Delete(s) })
	page("POST /clear", func(_ *http.Request, s *session.Session) { s.Clear() })
	page("POST /logout", func(_ *http.Request, s *session.Session) { s.Destroy() })
	page("POST /renew", func(_ *http.Request, s *session.Session) { s.Renew() })
	page("POST /login", func(r *http.Request, s *session.Session) {
		by := r.FormValue("by")
		switch r.FormValue("how") {
		case "set":
		case "bind":
			s.Login(by)
		default:
			s.Renew()
		}
		session.Key[Note]("user").Set(s, Note{Left: by, Right: by})
		session.Key[Note]("role").Set(s, Note{Left: by, Right: by})
	})
	mux.HandleFunc("GET /all", all)
	mux.HandleFunc("GET /page", func(w http.ResponseWriter, _ *http.Request) { // a page for browsers
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><title>notes</title>"))
	})
	return mux
}

func key(r *http.Request) session.Key[Note] { return session.Key[Note](r.FormValue("name")) }

func wait(r *http.Request) {
	if d, err := time.ParseDuration(r.FormValue("wait")); err == nil {
		time.Sleep(d)
	}
}

func all(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	p := Page{Reason: s.Reason(), Notes: map[string]Note{}}
	for _, name := range s.Names() {
		note, err := session.Key[Note](name).Lookup(s)
		if err != nil {
			http.Error(w, fmt.Sprintf("%s: %v", name, err), http.StatusInternalServerError)
			return
		}
		p.Notes[name] = note
	}
	wait(r)
	_ = json.NewEncoder(w).Encode(p)
}

// A Clock is the real time plus an offset that tests advance.
type Clock struct{ ahead atomic.Int64 }

// Now returns the clock's time.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// Move advances the clock.
func (c *Clock) Move(d time.Duration) { c.ahead.Add(int64(d)) }
