package sessiontest

import (
	"net/http"
	"reflect"
	"slices"
	"testing"

	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// Holds fails the test unless the session has the value want under key.
func Holds[T any](t testing.TB, s *session.Session, key session.Key[T], want T) {
	t.Helper()
	got, err := key.Lookup(s)
	switch {
	case err != nil:
		t.Errorf("the session has no %q (%v); want %#v", string(key), err, want)
	case !reflect.DeepEqual(got, want):
		t.Errorf("the session has %#v under %q; want %#v", got, string(key), want)
	}
}

// Lacks fails the test if the session has a value under one of the names, or
// any value at all if no names are given. It also fails the test if the
// session cannot be loaded.
func Lacks(t testing.TB, s *session.Session, names ...string) {
	t.Helper()
	if err := s.Load(contextOf(t)); err != nil {
		t.Errorf("the session could not be loaded: %v", err)
	}
	for _, name := range s.Names() {
		if len(names) == 0 || slices.Contains(names, name) {
			t.Errorf("the session has a value under %q; want none", name)
		}
	}
}

// RefusedFor fails the test unless the visitor was refused for the given
// reason.
func RefusedFor(t testing.TB, s *session.Session, want reason.Reason) {
	t.Helper()
	if got := s.Reason(); got != want {
		t.Errorf("the session's reason is %q; want %q", got, want)
	}
}

// SetsNoCookie fails the test if the response sets or expires any cookie. A
// response that does is meant for one visitor and must not be cached.
func SetsNoCookie(t testing.TB, response *http.Response) {
	t.Helper()
	for _, c := range response.Cookies() {
		t.Errorf("the response sets the cookie %q; want none", c.Name)
	}
}
