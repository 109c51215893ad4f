package sessiontest_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// program is the handler under test with its middleware, as main makes it.
func program(clock func() time.Time) (*middleware.Sessions, http.Handler) {
	ring, err := keyring.Generate(clock())
	if err != nil {
		panic(err)
	}
	sessions, err := middleware.New(middleware.Config{Keys: ring, Clock: clock})
	if err != nil {
		panic(err)
	}
	return sessions, sessions.Handler(http.HandlerFunc(greet))
}

// A test of the whole program, with real cookies, that need not log in first.
func ExampleForge() {
	t := &testing.T{} // the test's own
	sessions, handler := program(time.Now)

	r := httptest.NewRequest("GET", "/", nil)
	sessiontest.Forge(t, sessions, r, func(s *session.Session) { user.Set(s, "张三") })
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Body)
	// Output: 你好 张三
}

func ExampleLeft() {
	t := &testing.T{} // the test's own
	sessions, handler := program(time.Now)

	r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	s := sessiontest.Left(t, sessions, r, w.Result())
	n, _ := visits.Get(s)
	fmt.Println(n)
	// Output: 1
}

func ExampleJar_Forge() {
	t := &testing.T{} // the test's own
	sessions, handler := program(time.Now)

	browser := &sessiontest.Jar{}
	browser.Forge(t, sessions, func(s *session.Session) { visits.Set(s, 41) })
	browser.Do(handler, browser.Request("GET", "/", nil))
	n, _ := visits.Get(browser.Session(t, sessions))
	fmt.Println(n)
	// Output: 42
}

func ExampleClock() {
	t := &testing.T{} // the test's own
	clock := &sessiontest.Clock{}
	sessions, _ := program(clock.Now)

	browser := &sessiontest.Jar{Clock: clock.Now}
	browser.Forge(t, sessions, func(s *session.Session) { user.Set(s, "张三") })
	fmt.Printf("%q\n", browser.Session(t, sessions).Reason())
	clock.Advance(3 * time.Hour)
	fmt.Printf("%q\n", browser.Session(t, sessions).Reason())
	// Output:
	// ""
	// "expired (idle)"
}

// A program must stand replicas whose clocks are not the same.
func ExampleClock_Skewed() {
	t := &testing.T{} // the test's own
	clock := &sessiontest.Clock{}
	ring, err := keyring.Generate(clock.Now().Add(-time.Hour)) // one ring for both replicas
	if err != nil {
		panic(err)
	}
	replica := func(clock func() time.Time) *middleware.Sessions {
		sessions, err := middleware.New(middleware.Config{Keys: ring, Clock: clock})
		if err != nil {
			panic(err)
		}
		return sessions
	}
	ahead, behind := replica(clock.Skewed(30*time.Second)), replica(clock.Skewed(-30*time.Second))

	browser := &sessiontest.Jar{Clock: clock.Now}
	browser.Forge(t, ahead, func(s *session.Session) { user.Set(s, "张三") })
	browser.Forge(t, behind, func(s *session.Session) { user.Set(s, "李四") })
	name, _ := user.Get(browser.Session(t, ahead))
	fmt.Println(name, "was written last, by the replica whose clock is behind")
	// Output: 李四 was written last, by the replica whose clock is behind
}

func ExampleHolds() {
	t := &testing.T{} // the test's own

	s := sessiontest.New(t, sessiontest.With(user, "张三"))
	greet(httptest.NewRecorder(), sessiontest.Request(httptest.NewRequest("GET", "/", nil), s))
	sessiontest.Holds(t, s, user, "张三")
	sessiontest.Holds(t, s, visits, 1)
	fmt.Println(t.Failed())
	// Output: false
}

func ExampleLacks() {
	t := &testing.T{} // the test's own

	s := sessiontest.New(t, sessiontest.With(user, "张三"), sessiontest.With(visits, 1))
	s.Delete("user") // the handler under test
	sessiontest.Lacks(t, s, "user")
	s.Destroy()
	sessiontest.Lacks(t, s) // anything
	fmt.Println(t.Failed())
	// Output: false
}

func ExampleRefusedFor() {
	t := &testing.T{} // the test's own
	sessions, _ := program(time.Now)

	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Cookie", "__Host-session.k7m2qv5xyd=forged")
	sessiontest.RefusedFor(t, sessiontest.Left(t, sessions, r, &http.Response{}), reason.WrongLength)
	fmt.Println(t.Failed())
	// Output: false
}

// A page that shared caches may keep must not set cookies.
func ExampleSetsNoCookie() {
	t := &testing.T{} // the test's own
	sessions, _ := program(time.Now)
	front := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		fmt.Fprint(w, "news")
	}))

	browser := &sessiontest.Jar{}
	sessiontest.SetsNoCookie(t, browser.Do(front, browser.Request("GET", "/", nil)))
	fmt.Println(t.Failed())
	// Output: false
}

func ExampleCreated() {
	t := &testing.T{} // the test's own

	lastYear := time.Date(2025, 12, 31, 12, 0, 0, 0, time.UTC)
	s := sessiontest.New(t, sessiontest.Created(lastYear))
	fmt.Println(s.Created().Year(), s.Expires().Year(), s.IsNew())
	// Output: 2025 2026 false
}

func ExampleLoadError() {
	t := &testing.T{} // the test's own

	s := sessiontest.New(t, sessiontest.LoadError(errors.New("the store is down")))
	_, ok := user.Get(s)
	fmt.Println(ok, s.Err())
	// Output: false the store is down
}
