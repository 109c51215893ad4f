package session_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// A Ware is in the cart.
type Ware = string

const (
	cart  session.Key[[]Ware] = "cart"
	flash session.Key[string] = "flash"
)

// fresh is the session of a visitor who brought none, for the examples that
// need no server.
func fresh(options ...sessiontest.Option) *session.Session {
	return sessiontest.New(&testing.T{}, options...)
}

func Example() {
	ring, err := keyring.Generate(time.Now()) // a program: keyring.Open(ctx, keyring.File("session-keys.json"))
	if err != nil {
		panic(err)
	}
	sessions, err := middleware.New(middleware.Config{Keys: ring})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		s.Login("42") // the user's id; it also renews the session against fixation
		user.Set(s, User{Name: r.FormValue("name")})
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		if u, ok := user.Get(session.From(r.Context())); ok {
			fmt.Fprintf(w, "你好 %s，欢迎回来", u.Name)
			return
		}
		fmt.Fprint(w, "未登录")
	})
	site := sessions.Handler(mux)

	browser := &sessiontest.Jar{}
	show := func(response *http.Response) {
		body, _ := io.ReadAll(response.Body)
		fmt.Println(string(body))
	}
	show(browser.Do(site, browser.Request("GET", "/", nil)))
	login := browser.Request("POST", "/login", strings.NewReader("name=张三"))
	login.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	browser.Do(site, login)
	show(browser.Do(site, browser.Request("GET", "/", nil)))
	// Output:
	// 未登录
	// 你好 张三，欢迎回来
}

func ExampleKey_Get() {
	s := fresh()
	_, ok := user.Get(s)
	fmt.Println(ok)
	user.Set(s, User{Name: "张三"})
	u, ok := user.Get(s)
	fmt.Println(u.Name, ok)
	// Output:
	// false
	// 张三 true
}

func ExampleKey_GetOr() {
	const language session.Key[string] = "language"
	s := fresh()
	fmt.Println(language.GetOr(s, "en"))
	language.Set(s, "zh")
	fmt.Println(language.GetOr(s, "en"))
	// Output:
	// en
	// zh
}

func ExampleSession_All() {
	s := fresh(sessiontest.With(user, User{Name: "张三"}), sessiontest.With(cart, []Ware{"茶"}))
	for name, value := range s.All() {
		fmt.Println(name, value)
	}
	// Output:
	// cart [茶]
	// user map[Admin:false Name:张三]
}

// Login renews the session and seals the user's id into it.
func ExampleSession_Login() {
	s := fresh(sessiontest.With(cart, []Ware{"茶"}))
	s.Login("42")
	fmt.Println(s.Subject())
	fmt.Println(s.Names())
	// Output:
	// 42 true
	// [cart]
}

func ExampleKey_Lookup() {
	s := fresh()
	_, err := user.Lookup(s)
	fmt.Println(errors.Is(err, session.ErrNoValue))
	// Output: true
}

func ExampleKey_Update() {
	s := fresh(sessiontest.With(cart, []Ware{"茶"}))
	cart.Update(s, func(items []Ware) []Ware { return append(items, "杯") })
	fmt.Println(cart.Get(s))
	// Output: [茶 杯] true
}

// A flash message is shown once.
func ExampleKey_Pop() {
	s := fresh(sessiontest.With(flash, "已保存"))
	fmt.Println(flash.Pop(s))
	_, again := flash.Pop(s)
	fmt.Println(again)
	// Output:
	// 已保存 true
	// false
}

func ExampleKey_Delete() {
	s := fresh(sessiontest.With(cart, []Ware{"茶"}), sessiontest.With(flash, "已保存"))
	cart.Delete(s)
	fmt.Println(s.Names())
	// Output: [flash]
}

func ExampleFrom() {
	handler := func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		fmt.Fprint(w, s.IsNew(), " ", s.Reason())
	}
	s := fresh(sessiontest.Refused(reason.Expired))
	w := httptest.NewRecorder()
	handler(w, sessiontest.Request(httptest.NewRequest("GET", "/", nil), s))
	fmt.Println(w.Body)
	// Output: true expired
}

// Lookup does not panic where no middleware was passed.
func ExampleLookup() {
	_, ok := session.Lookup(httptest.NewRequest("GET", "/", nil).Context())
	fmt.Println(ok)
	// Output: false
}

// Renew gives a new id and keeps the values; Clear as well makes it what
// express-session calls regenerate.
func ExampleSession_Renew() {
	s := fresh(sessiontest.With(cart, []Ware{"茶"}))
	before := s.ID()
	s.Renew()
	fmt.Println(s.ID() != before, s.Names())
	s.Clear()
	fmt.Println(s.Names())
	// Output:
	// true [cart]
	// []
}

// Values that are set after Destroy begin a new session in the same response.
func ExampleSession_Destroy() {
	s := fresh(sessiontest.With(user, User{Name: "张三"}))
	s.Destroy()
	flash.Set(s, "再见")
	fmt.Println(s.IsNew(), s.Names())
	// Output: true [flash]
}

// A handler that must not mistake an outage of the store for a visitor without a
// login calls Load first.
func ExampleSession_Load() {
	s := fresh(sessiontest.LoadError(errors.New("the store is down")))
	if err := s.Load(context.Background()); err != nil {
		fmt.Println("503:", err)
	}
	// Output: 503: the store is down
}

// A value that cannot be encoded is no error of Set; the response becomes an
// error page.
func ExampleKey_Set() {
	s := fresh()
	session.Key[chan int]("c").Set(s, make(chan int))
	fmt.Println(s.Err())
	// Output: carryon: the value for session key "c" cannot be encoded: cbor: unsupported type: chan int
}
