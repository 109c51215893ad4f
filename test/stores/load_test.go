package stores

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// patience is how long something may take that must happen. Nothing waits for
// it that goes well.
const patience = 90 * time.Second

// site is a program with sessions, and those who visit it.
type site struct {
	*httptest.Server
	visitors []*visitor
	failed   atomic.Int64 // calls of the store
	mu       sync.Mutex
	refused  map[reason.Reason]int
}

// The session has a number and a text that follows from it: a session that is
// a mix of two writes is found out.
const (
	number session.Key[int]    = "number"
	body   session.Key[string] = "body"
)

func textOf(n, size int) string { return strings.Repeat(fmt.Sprintf("%08d", n), size/8) }

// serve answers /put?n=&size= and /get, which tells the number.
func serve(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	if r.URL.Path == "/put" {
		n, _ := strconv.Atoi(r.FormValue("n"))
		size, _ := strconv.Atoi(r.FormValue("size"))
		number.Set(s, n)
		body.Set(s, textOf(n, size))
		return
	}
	n, ok := number.Get(s)
	text, _ := body.Get(s)
	switch {
	case s.Err() != nil: // the middleware answers
	case !ok:
		http.Error(w, "no session: "+s.Reason().String(), http.StatusNotFound)
	case text != textOf(n, len(text)):
		http.Error(w, fmt.Sprintf("the text is not that of number %d", n), http.StatusConflict)
	default:
		_, _ = io.WriteString(w, strconv.Itoa(n))
	}
}

// newSite makes a site of two replicas, which share keys and a store.
func newSite(t testing.TB, mode middleware.Mode, store fallback.Store) *site {
	t.Helper()
	keys, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	s := &site{refused: map[reason.Reason]int{}}
	var replicas [2]http.Handler
	for i := range replicas {
		sessions, err := middleware.New(middleware.Config{Keys: keys, Fallback: store, Mode: mode,
			StoreTimeout: 400 * time.Millisecond, TouchAfter: -1, Observer: s.observe})
		require.NoError(t, err)
		replicas[i] = sessions.Handler(http.HandlerFunc(serve))
	}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		replicas[rand.IntN(len(replicas))].ServeHTTP(w, r)
	}))
	return s
}

func (s *site) observe(_ context.Context, e middleware.Event) {
	if e.Kind == middleware.EventStore && e.Err != nil {
		s.failed.Add(1)
	}
	if e.Kind == middleware.EventRefused {
		s.mu.Lock()
		s.refused[e.Reason]++
		s.mu.Unlock()
	}
}

// visitor writes on and on, and remembers what it was told.
type visitor struct {
	name      string
	site      *site
	jar       *sessiontest.Jar
	client    *http.Client
	sizes     []int
	attempted atomic.Int64 // the last number that was sent
	stood     atomic.Int64 // the last that was acknowledged
	refusals  atomic.Int64
	lossy     bool         // its engine may lose acknowledged writes, all the last ones at once
	lost      atomic.Int64 // of those
}

func (s *site) visit(name string, sizes ...int) {
	v := &visitor{name: name, site: s, jar: &sessiontest.Jar{URL: s.URL}, sizes: sizes}
	v.client = &http.Client{Jar: v.jar, Transport: s.Client().Transport, Timeout: patience}
	s.visitors = append(s.visitors, v)
}

// ask gives the status and the text of a page.
func (v *visitor) ask(path string) (int, string, error) {
	response, err := v.client.Get(v.site.URL + path)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, strings.TrimSpace(string(text)), err
}

// write sends the next number, and says whether it was acknowledged.
func (v *visitor) write() error {
	n := v.attempted.Add(1)
	size := v.sizes[rand.IntN(len(v.sizes))]
	status, text, err := v.ask("/put?" + url.Values{"n": {strconv.FormatInt(n, 10)}, "size": {strconv.Itoa(size)}}.Encode())
	switch {
	case err != nil:
		return err
	case status == http.StatusServiceUnavailable:
		v.refusals.Add(1)
		return nil
	case status != http.StatusOK:
		return fmt.Errorf("a write was answered with %d %s", status, text)
	}
	v.stood.Store(n)
	return nil
}

// read checks that all that was acknowledged before is there: the last write,
// or one after it that was not acknowledged and arrived all the same.
func (v *visitor) read() error {
	stood := v.stood.Load()
	status, text, err := v.ask("/get")
	switch {
	case err != nil:
		return err
	case status == http.StatusServiceUnavailable:
		v.refusals.Add(1)
		return nil
	case status == http.StatusNotFound && stood == 0:
		return nil
	case status != http.StatusOK:
		return fmt.Errorf("number %d was acknowledged, and a read gave %d %s", stood, status, text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && n < stood && v.lossy {
		v.lost.Add(stood - n)
		v.stood.CompareAndSwap(stood, n)
		return nil
	}
	if last := v.attempted.Load(); err == nil && (n < stood || n > last) {
		err = fmt.Errorf("number %d was acknowledged and %d the last sent, and a read gave %d", stood, last, n)
	}
	return err
}

// load lets all visitors write, and read in a second tab, until it is ended,
// which gives what went wrong.
func (s *site) load() (end func() error) {
	stop := make(chan struct{})
	var mu sync.Mutex
	var wrong []error
	var group sync.WaitGroup
	for _, v := range s.visitors {
		for _, act := range []func() error{v.write, v.read} {
			group.Go(func() {
				if err := again(stop, act); err != nil {
					mu.Lock()
					wrong = append(wrong, fmt.Errorf("%s: %w", v.name, err))
					mu.Unlock()
				}
			})
		}
	}
	return func() error {
		close(stop)
		group.Wait()
		return errors.Join(wrong...)
	}
}

// again acts until it is stopped, or there is an error.
func again(stop chan struct{}, act func() error) error {
	for {
		select {
		case <-stop:
			return nil
		case <-time.After(8 * time.Millisecond):
		}
		if err := act(); err != nil {
			return err
		}
	}
}

// writes waits until every visitor has written anew, or somebody has given up.
func (s *site) writes(t testing.TB) {
	t.Helper()
	before := make([]int64, len(s.visitors))
	for i, v := range s.visitors {
		before[i] = v.stood.Load()
	}
	for i, v := range s.visitors {
		eventually(t, v.name+" writes again", func() bool { return v.stood.Load() > before[i] })
	}
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("still not after %v: %s", patience, what)
		}
	}
}
