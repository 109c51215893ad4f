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

// patience limits waiting. Only failing tests wait for it.
const patience = 90 * time.Second

// A site is a program with sessions, and its visitors.
type site struct {
	*httptest.Server
	visitors []*visitor
	failed   atomic.Int64 // failed calls of the store
	mu       sync.Mutex
	refused  map[reason.Reason]int
}

// The session holds a number and a text derived from it, so that a mix of two
// writes is detected.
const (
	number session.Key[int]    = "number"
	body   session.Key[string] = "body"
)

func textOf(n, size int) string { return strings.Repeat(fmt.Sprintf("%08d", n), size/8) }

// serve responds to /put?n=&size= and to /get, which returns the number.
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
	case s.Err() != nil: // the middleware responds
	case !ok:
		http.Error(w, "no session: "+s.Reason().String(), http.StatusNotFound)
	case text != textOf(n, len(text)):
		http.Error(w, fmt.Sprintf("the text does not belong to number %d", n), http.StatusConflict)
	default:
		_, _ = io.WriteString(w, strconv.Itoa(n))
	}
}

// newSite returns a site of two replicas that share keys and a store.
func newSite(t testing.TB, mode middleware.Mode, store fallback.Store) *site {
	t.Helper()
	keys, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	s := &site{refused: map[reason.Reason]int{}}
	var replicas [2]http.Handler
	for i := range replicas {
		sessions, err := middleware.New(middleware.Config{Keys: keys, Fallback: middleware.Fallback{Store: store, Mode: mode,
			Timeout: 400 * time.Millisecond}, Lifetimes: middleware.Lifetimes{TouchAfter: -1}, Observer: s.observe})
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

// A visitor writes continuously, and records the responses.
type visitor struct {
	name         string
	site         *site
	jar          *sessiontest.Jar
	client       *http.Client
	sizes        []int
	attempted    atomic.Int64 // the last number sent
	acknowledged atomic.Int64 // the last number acknowledged
	refusals     atomic.Int64
	lossy        bool         // the engine may lose the last acknowledged writes, but only all at once
	lost         atomic.Int64 // number of lost acknowledged writes
}

func (s *site) visit(name string, sizes ...int) {
	v := &visitor{name: name, site: s, jar: &sessiontest.Jar{URL: s.URL}, sizes: sizes}
	v.client = &http.Client{Jar: v.jar, Transport: s.Client().Transport, Timeout: patience}
	s.visitors = append(s.visitors, v)
}

// ask requests a page and returns its status and text.
func (v *visitor) ask(path string) (int, string, error) {
	response, err := v.client.Get(v.site.URL + path)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, strings.TrimSpace(string(text)), err
}

// write sends the next number, and returns whether it was acknowledged.
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
		return fmt.Errorf("a write got status %d: %s", status, text)
	}
	v.acknowledged.Store(n)
	return nil
}

// read checks the number in the session: it must be the last acknowledged one,
// or a later one that arrived without an acknowledgement.
func (v *visitor) read() error {
	acknowledged := v.acknowledged.Load()
	status, text, err := v.ask("/get")
	switch {
	case err != nil:
		return err
	case status == http.StatusServiceUnavailable:
		v.refusals.Add(1)
		return nil
	case status == http.StatusNotFound && acknowledged == 0:
		return nil
	case status != http.StatusOK:
		return fmt.Errorf("number %d was acknowledged, but a read got status %d: %s", acknowledged, status, text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && n < acknowledged && v.lossy {
		v.lost.Add(acknowledged - n)
		v.acknowledged.CompareAndSwap(acknowledged, n)
		return nil
	}
	if last := v.attempted.Load(); err == nil && (n < acknowledged || n > last) {
		err = fmt.Errorf("number %d was acknowledged and %d sent last, but a read got %d", acknowledged, last, n)
	}
	return err
}

// load starts all visitors, each writing in one tab and reading in another. The
// returned function stops them and returns the first error.
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

// again repeats act until stop is closed or act fails.
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

// writes waits until every visitor has written again, or one has failed.
func (s *site) writes(t testing.TB) {
	t.Helper()
	before := make([]int64, len(s.visitors))
	for i, v := range s.visitors {
		before[i] = v.acknowledged.Load()
	}
	for i, v := range s.visitors {
		eventually(t, v.name+" to write again", func() bool { return v.acknowledged.Load() > before[i] })
	}
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("waited %v in vain for %s", patience, what)
		}
	}
}
