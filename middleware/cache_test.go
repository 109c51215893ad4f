package middleware_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// caching performs the action ?do= on the session. It answers with the Cache-Control
// lines ?cc=, the Vary line ?vary= and the status ?status=.
func caching(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	for _, line := range q["cc"] {
		w.Header().Add("Cache-Control", line)
	}
	if q.Has("vary") {
		w.Header()["Vary"] = q["vary"]
	}
	switch q.Get("do") {
	case "read":
		_, _ = user.Get(session.From(r.Context()))
	case "reason":
		_ = session.From(r.Context()).Reason()
	case "same":
		user.Set(session.From(r.Context()), "ada")
	case "set":
		login(r)
	case "delete":
		user.Delete(session.From(r.Context()))
	case "renew":
		session.From(r.Context()).Renew()
	case "destroy":
		session.From(r.Context()).Destroy()
	}
	status := 200
	_, _ = fmt.Sscan(q.Get("status"), &status)
	w.WriteHeader(status)
}

// at returns a path for caching.
func at(do string, cc ...string) string {
	return "/?" + url.Values{"do": {do}, "cc": cc}.Encode()
}

func TestCacheControl(t *testing.T) {
	const stored = "private, no-store"
	for _, test := range []struct {
		do, cc   string
		visitor  bool // has a session
		want     string
		vary     bool
		uncached bool
	}{
		{do: "", cc: "", want: ""},
		{do: "", cc: "public", visitor: true, want: "public"},
		{do: "read", cc: "", want: "", vary: true},
		{do: "read", cc: "public", want: "public", vary: true},
		{do: "reason", cc: "", visitor: true, want: "private", vary: true},
		{do: "read", cc: "", visitor: true, want: "private", vary: true},
		{do: "read", cc: "public, max-age=60", visitor: true, want: "public, max-age=60", vary: true},
		{do: "read", cc: "no-cache", visitor: true, want: "no-cache", vary: true},
		{do: "read", cc: "no-store", visitor: true, want: "no-store", vary: true},
		{do: "same", cc: "", visitor: true, want: "private", vary: true},
		{do: "same", cc: "public", visitor: true, want: "public", vary: true},
		{do: "set", cc: "", want: stored, vary: true},
		{do: "set", cc: "private", want: stored, vary: true},
		{do: "set", cc: "private, max-age=60", want: stored, vary: true},
		{do: "set", cc: "no-store", want: stored, vary: true},
		{do: "set", cc: "max-age=0", want: stored, vary: true},
		{do: "set", cc: "public", want: stored, vary: true, uncached: true},
		{do: "set", cc: "PUBLIC", want: stored, vary: true, uncached: true},
		{do: "set", cc: "max-age=60", want: stored, vary: true, uncached: true},
		{do: "set", cc: "s-maxage=60", want: stored, vary: true, uncached: true},
		{do: "set", cc: "max-age=0 ,\tpublic", want: stored, vary: true, uncached: true},
		{do: "delete", cc: "public", visitor: true, want: stored, vary: true, uncached: true},
		{do: "renew", cc: "public", visitor: true, want: stored, vary: true, uncached: true},
		{do: "destroy", cc: "public", visitor: true, want: stored, vary: true, uncached: true},
		{do: "destroy", cc: "", want: "", vary: true},
		{do: "renew", cc: "public", want: "public", vary: true},
	} {
		t.Run(fmt.Sprintf("%s %q %v", test.do, test.cc, test.visitor), func(t *testing.T) {
			s := newSite(t, caching)
			if test.visitor {
				s.get(at("set"))
				s.events.forget()
			}
			address := at(test.do)
			if test.cc != "" {
				address = at(test.do, test.cc)
			}
			a := s.get(address)
			require.Equal(t, test.want, strings.Join(a.Header["Cache-Control"], "; "))
			require.Equal(t, test.vary, a.Header.Get("Vary") == "Cookie")
			require.Equal(t, test.uncached, len(s.events.of(middleware.EventUncached)) == 1)
		})
	}
}

func TestCacheControlInSeveralLines(t *testing.T) {
	s := newSite(t, caching)
	a := s.get(at("set", "max-age=0", "public"))
	require.Equal(t, []string{"private, no-store"}, a.Header["Cache-Control"])
	require.Len(t, s.events.of(middleware.EventUncached), 1)
	s.clock.advance(90 * time.Minute)
	require.Empty(t, s.get(at("read", "max-age=0", "public")).Header["Set-Cookie"], "a touch")
}

func TestVaryIsAddedOnce(t *testing.T) {
	for have, want := range map[string][]string{
		"":                          {"", "Cookie"},
		"Accept-Encoding":           {"Accept-Encoding", "Cookie"},
		"Cookie":                    {"Cookie"},
		"accept , cookie":           {"accept , cookie"},
		"*":                         {"*"},
		"X-Cookie, Cookies":         {"X-Cookie, Cookies", "Cookie"},
		"Accept-Language, \tCOOKIE": {"Accept-Language, \tCOOKIE"},
	} {
		s := newSite(t, caching)
		require.Equal(t, want, s.get(at("read") + "&vary=" + url.QueryEscape(have)).Header["Vary"])
	}
	s := newSite(t, caching)
	require.Equal(t, []string{"Cookie"}, s.get(at("read")).Header["Vary"])
}

// A touch sends no Set-Cookie in a response that caches may store or replay.
func TestTouchIsWithheld(t *testing.T) {
	for _, test := range []struct {
		name, method, address string
		touched               bool
	}{
		{"GET", "GET", at("read"), true},
		{"POST", "POST", at("read"), true},
		{"a 404", "GET", at("read") + "&status=404", true},
		{"private", "GET", at("read", "private"), true},
		{"private, max-age", "GET", at("read", "private, max-age=60"), true},
		{"no-store", "GET", at("read", "no-store"), true},
		{"max-age=0", "GET", at("read", "max-age=0"), true},
		{"untouched", "GET", at(""), false},
		{"HEAD", "HEAD", at("read"), false},
		{"OPTIONS", "OPTIONS", at("read"), false},
		{"a 304", "GET", at("read") + "&status=304", false},
		{"public", "GET", at("read", "public"), false},
		{"max-age", "GET", at("read", "max-age=60"), false},
		{"s-maxage", "GET", at("read", "no-cache, s-maxage=60"), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, caching)
			s.get(at("set"))
			s.clock.advance(90 * time.Minute)
			require.Equal(t, test.touched, len(s.request(test.method, test.address).Header["Set-Cookie"]) > 0)
			require.Equal(t, "ada", s.who(), "and the next page still finds the session")
		})
	}
}

// A change is always written.
func TestChangeIsWrittenWhateverTheResponse(t *testing.T) {
	for _, test := range []struct{ method, address string }{
		{"HEAD", at("set")},
		{"OPTIONS", at("set")},
		{"GET", at("set") + "&status=304"},
		{"GET", at("set", "public, max-age=600")},
	} {
		s := newSite(t, caching)
		s.request(test.method, test.address)
		require.Equal(t, "ada", s.who(), "%v", test)
	}
}
