package sessiontest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

const (
	user   session.Key[string] = "user"
	visits session.Key[int]    = "visits"
)

// greet is the handler under test.
func greet(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	visits.Update(s, func(n int) int { return n + 1 })
	if name, ok := user.Get(s); ok {
		fmt.Fprintf(w, "你好 %s", name)
		return
	}
	fmt.Fprint(w, "未登录")
}

func ExampleNew() {
	t := &testing.T{} // the test's own; TestGreet(t *testing.T) has it

	s := sessiontest.New(t, sessiontest.With(user, "张三"), sessiontest.With(visits, 6))
	w := httptest.NewRecorder()
	greet(w, sessiontest.Request(httptest.NewRequest("GET", "/", nil), s))

	n, _ := visits.Get(s)
	fmt.Println(w.Body, n, s.IsNew())
	// Output: 你好 张三 7 false
}

func ExampleRefused() {
	t := &testing.T{} // the test's own

	s := sessiontest.New(t, sessiontest.Refused(reason.ExpiredIdle))
	_, ok := user.Get(s)
	fmt.Println(ok, s.Reason())
	// Output: false expired (idle)
}
