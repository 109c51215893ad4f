package e2e

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/test/browser"
)

const (
	name  session.Key[string] = "name"
	role  session.Key[string] = "role"
	visit session.Key[string] = "visit"
)

// unguarded is a program without a guard against forms of other sites, so that
// only the session protects it. /login?name= stores two values, /visit writes
// one, and /who reads. Concurrent logins wait for each other after they have
// read the session.
type unguarded struct {
	mu      sync.Mutex
	barrier *sync.WaitGroup // nil: do not wait
	cookies []int           // number of cookies in each request of a visit
}

func newUnguarded(t *testing.T) (u *unguarded, address string) {
	t.Helper()
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	sessions, err := middleware.New(middleware.Config{Keys: ring})
	require.NoError(t, err)
	u = &unguarded{}
	mux := http.NewServeMux()
	mux.HandleFunc("/login", u.login)
	mux.HandleFunc("/visit", u.visit)
	mux.HandleFunc("/who", who)
	return u, browser.At(browser.NewTLSServer(t, sessions.Handler(mux)), "app.test")
}

func (u *unguarded) login(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	_ = s.Load(r.Context())
	u.mu.Lock()
	barrier := u.barrier
	u.mu.Unlock()
	if barrier != nil {
		barrier.Done()
		barrier.Wait()
	}
	s.Renew()
	name.Set(s, r.FormValue("name"))
	role.Set(s, "role of "+r.FormValue("name"))
	page(w, "in")
}

func (u *unguarded) visit(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	u.cookies = append(u.cookies, len(r.Cookies()))
	u.mu.Unlock()
	visit.Set(session.From(r.Context()), "was here")
	page(w, "seen")
}

// together makes the next n logins wait for each other.
func (u *unguarded) together(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.barrier = &sync.WaitGroup{}
	u.barrier.Add(n)
}

func who(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	n, _ := name.Get(s)
	p, _ := role.Get(s)
	page(w, n+", "+p)
}

func page(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!doctype html><title>x</title><main>%s</main>", text)
}

// formOf serves a page of another site with a button that posts to the address.
func formOf(t *testing.T, address string) string {
	t.Helper()
	return browser.At(browser.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<!doctype html><title>x</title><form method=post action="`+address+`"><button id=go>go</button></form>`)
	})), "other.test") + "/"
}

// TestOtherSitesWriteLogsNobodyOut has a page of another site begin a session:
// the request has no cookies, but the browser accepts those of the response.
// The visitor's own session must still count.
func TestOtherSitesWriteLogsNobodyOut(t *testing.T) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		u, address := newUnguarded(t)
		evil := formOf(t, address+"/visit")
		tab := browser.NewTab(t, b)
		require.NoError(t, tab.Go(address+"/login?name=ada"))
		for range 3 {
			require.NoError(t, tab.Go(evil))
			require.NoError(t, browser.Follow(tab, "#go"))
			require.Equal(t, "seen", text(t, tab))
			require.Equal(t, "ada, role of ada", open(t, tab, address+"/who"))
		}
		require.Equal(t, []int{0, 0, 0}, u.cookies, "it was a cross-site request")
	})
}

// TestOtherSitesPostIsRefused sends such a form to the playground, which has a
// guard.
func TestOtherSitesPostIsRefused(t *testing.T) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		address := overHTTP2(t, startPlayground(t))
		evil := formOf(t, address+"/api/destroy")
		tab := browser.NewTab(t, b)
		require.NoError(t, tab.Go(address+"/"))
		script(t, tab, "await put('name', '张三')", nil)
		require.NoError(t, tab.Go(evil))
		require.NoError(t, browser.Follow(tab, "#go"))
		require.NoError(t, tab.Go(address+"/"))
		var a answer
		script(t, tab, "return get('name')", &a)
		require.Equal(t, "张三", a.Text)
	})
}

// TestLoginInTwoTabs makes two logins with one jar read the same session before
// either responds. One login must win in both tabs, with all of its values.
func TestLoginInTwoTabs(t *testing.T) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		u, address := newUnguarded(t)
		first := browser.NewTab(t, b)
		require.NoError(t, first.Go(address+"/who"))
		second, err := first.Sibling()
		require.NoError(t, err)
		defer second.Close()
		for round := range 5 { // the first round is without a session, the others follow a login
			u.together(2)
			errs := make(chan error, 2)
			for i, tab := range []browser.Tab{first, second} {
				go func() { errs <- tab.Go(fmt.Sprintf("%s/login?name=%d-%d", address, round, i)) }()
			}
			require.NoError(t, <-errs)
			require.NoError(t, <-errs)
			seen := open(t, first, address+"/who")
			require.Regexp(t, fmt.Sprintf(`^(%[1]d-0, role of %[1]d-0|%[1]d-1, role of %[1]d-1)$`, round), seen)
			require.Equal(t, seen, open(t, second, address+"/who"))
		}
	})
}
