package bursts_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/test/internal/notes"
)

const (
	racers   = 6
	replicas = 3
)

// raced returns how many writes race in each test. CARRYON_RACED=100000 sets
// it.
func raced(t *testing.T) int {
	text := os.Getenv("CARRYON_RACED")
	if text == "" {
		return 3000
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// A race is a browser whose tabs each write an entry, on several replicas.
type race struct {
	*visitor
	sites []*notes.Site
	clock *notes.Clock
	size  func(racer int) int

	lock         sync.Mutex // held while a request takes its cookies, and while a response is applied
	sent         [racers]int
	acknowledged [racers]int // the last acknowledged write of each tab
	epoch        int         // number of renewals and logouts
	ending       bool        // a renewal or a logout is in flight, and may undo concurrent writes

	landed, refused, reads atomic.Int64
	failed                 chan error
	gate                   sync.RWMutex // held for writing to keep requests from starting
}

// racing lists the ways to keep a session of six entries.
var racing = []struct {
	name     string
	platform middleware.Platform
	mode     middleware.Mode
	store    bool
	size     func(racer int) int
}{
	{"cookies", middleware.Nginx, middleware.Auto, false, func(int) int { return rand.IntN(40) }},
	{"chunks", middleware.GoServer, middleware.Auto, false, func(racer int) int { return rand.IntN(1 + 2000*racer) }},
	{"stored", middleware.Nginx, middleware.AlwaysStored, true, func(racer int) int { return rand.IntN(1 + 2000*racer) }},
	{"up and down by one", middleware.ALB, middleware.Auto, true, func(racer int) int {
		if racer > 0 {
			return rand.IntN(40)
		}
		return []int{10, 10, 10, 14_000}[rand.IntN(4)]
	}},
}

func newRace(t *testing.T, i int) *race {
	how := racing[i]
	r := &race{clock: &notes.Clock{}, size: how.size, failed: make(chan error, 100)}
	c := middleware.Config{Keys: newRing(t), Platform: how.platform, Fallback: middleware.Fallback{Mode: how.mode}, Clock: r.clock.Now, Lifetimes: middleware.Lifetimes{Absolute: 400 * 24 * time.Hour}}
	if how.store {
		c.Fallback.Store = newMemory(t)
	}
	for range replicas {
		r.sites = append(r.sites, notes.New(t, c))
	}
	r.visitor = newVisitor(t, r.sites[0])
	r.do("POST", "/login", url.Values{"by": {"0"}})
	for i := range racers {
		r.do("POST", "/set", setting(tab(i), "0", 0, 0))
	}
	return r
}

func tab(i int) string { return fmt.Sprint("tab", i) }

// A moment is the state that a request knew when it took its cookies.
type moment struct {
	cookies      string
	epoch        int
	ending       bool
	sent         [racers]int
	acknowledged [racers]int
}

func (r *race) now() moment { // the caller holds the lock
	return moment{r.jar.header(), r.epoch, r.ending, r.sent, r.acknowledged}
}

func (r *race) anywhere() *notes.Site { return r.sites[rand.IntN(len(r.sites))] }

// write sends one write of a tab.
func (r *race) write(i int) error {
	r.gate.RLock()
	r.lock.Lock()
	r.sent[i]++
	m := r.now()
	r.lock.Unlock()
	r.gate.RUnlock()
	n := m.sent[i]
	a, err := r.send(r.anywhere(), "POST", "/set", setting(tab(i), strconv.Itoa(n), r.size(i), some(3)), m.cookies)
	if err == nil {
		err = a.fault()
	}
	if err == nil && a.status == notes.StatusTooLarge {
		err = fmt.Errorf("%s of %s", a.body, tab(i))
	}
	if err != nil {
		return err
	}
	time.Sleep(some(2)) // so that responses are applied out of order
	r.lock.Lock()
	defer r.lock.Unlock()
	r.jar.apply(a.lines)
	switch {
	case a.status != http.StatusOK:
		r.refused.Add(1)
	case m.epoch == r.epoch && !r.ending:
		r.acknowledged[i] = n
		r.landed.Add(1)
	}
	if r.landed.Load()%20 == 0 {
		r.clock.Move(some(30_000)) // so that folds and touches become due
	}
	return nil
}

// read checks that a page shows every write which was acknowledged before the
// read began.
func (r *race) read() error {
	r.gate.RLock()
	r.lock.Lock()
	m := r.now()
	r.lock.Unlock()
	r.gate.RUnlock()
	p, a, err := r.look(m)
	if err != nil {
		return err
	}
	r.lock.Lock()
	r.jar.apply(a.lines)
	ended := m.ending || r.ending || m.epoch != r.epoch
	r.lock.Unlock()
	if _, known := p.Notes["user"]; ended && !known {
		return nil // the store knew the end before the browser did; a write may have begun a new session
	}
	return r.check(m, p)
}

func (r *race) look(m moment) (p notes.Page, a answer, err error) {
	a, err = r.send(r.anywhere(), "GET", "/all", nil, m.cookies)
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("a read got status %d: %s", a.status, a.body)
	}
	if err == nil {
		err = json.Unmarshal([]byte(a.body), &p)
	}
	return p, a, err
}

func (r *race) check(m moment, p notes.Page) error {
	r.reads.Add(1)
	if by := p.Notes["user"].Left; by != strconv.Itoa(m.epoch) {
		return fmt.Errorf("after renewal %d, a read shows the session of %q (reason %q)", m.epoch, by, p.Reason)
	}
	for i := range racers {
		note := p.Notes[tab(i)]
		n, err := strconv.Atoi(note.Left)
		switch {
		case err != nil || note.Left != note.Right:
			return fmt.Errorf("the two values of %s differ or are missing: %.20q, %.20q", tab(i), note.Left, note.Right)
		case n < m.acknowledged[i]:
			return fmt.Errorf("write %d of %s was acknowledged, but a read shows write %d (of %d sent)", m.acknowledged[i], tab(i), n, m.sent[i])
		}
	}
	return nil
}

// go6 runs the six tabs until they have sent total writes or stop is closed.
// Every fifth request is a read.
func (r *race) go6(total int, stop <-chan struct{}) *sync.WaitGroup {
	var all sync.WaitGroup
	for i := range racers {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if r.landed.Load() >= int64(total) {
					return
				}
				err := r.write(i)
				if err == nil && n%4 == 3 {
					err = r.read()
				}
				if err != nil {
					r.failed <- err
					return
				}
			}
		})
	}
	return &all
}

func (r *race) none(when string) {
	r.t.Helper()
	select {
	case err := <-r.failed:
		require.NoError(r.t, err, when)
	default:
	}
}

// With writes of different entries on three replicas, no acknowledged write is
// ever missing.
func TestRacedWritesAreNeverLost(t *testing.T) {
	for i, how := range racing {
		t.Run(how.name, func(t *testing.T) {
			r := newRace(t, i)
			r.go6(raced(t), nil).Wait()
			r.none("during the writes")
			for range 3 {
				require.NoError(t, r.read())
				r.clock.Move(settled)
			}
			most, whole := 0, 0
			for _, site := range r.sites {
				most = max(most, site.Meter.Most().RequestBytes)
				whole += site.Meter.Most().Events[middleware.EventWhole]
			}
			t.Logf("%d writes acknowledged, 0 lost in %d reads, %d refused; at most %d bytes of Cookie", r.landed.Load(), r.reads.Load(), r.refused.Load(), most)
			require.Zero(t, whole)
			limits, _ := how.platform.Limits()
			require.LessOrEqual(t, most, limits.RequestBytes)
		})
	}
}

// The session is renewed and ended during concurrent writes. No later response
// may undo either.
func TestRacedWritesUndoNoRenewalAndNoLogout(t *testing.T) {
	for i, how := range racing {
		t.Run(how.name, func(t *testing.T) {
			r := newRace(t, i)
			stop := make(chan struct{})
			all := r.go6(1<<30, stop)
			for round := range max(20, raced(t)/100) {
				if round%3 == 2 {
					r.end()
				} else {
					r.renew()
				}
				time.Sleep(some(30))
				r.none("during renewals and logouts")
			}
			close(stop)
			all.Wait()
			r.none("during renewals and logouts")
			t.Logf("%d writes acknowledged, %d renewals and logouts, %d reads, %d refused", r.landed.Load(), r.epoch, r.reads.Load(), r.refused.Load())
		})
	}
}

// renew renews the session while the tabs write.
func (r *race) renew() {
	r.t.Helper()
	before := r.ask("/login", url.Values{"by": {strconv.Itoa(r.epoch + 1)}, "wait": {some(5).String()}}, nil)
	r.lock.Lock()
	m := r.now()
	r.lock.Unlock()
	m.acknowledged = before.acknowledged
	p, a, err := r.look(m)
	require.NoError(r.t, err)
	r.jar.apply(a.lines)
	require.NoError(r.t, r.check(m, p), "after a renewal")
}

// ask sends a request that ends a generation, and applies its response. It
// retries while the store is too busy.
func (r *race) ask(path string, form url.Values, after func()) (before moment) {
	r.t.Helper()
	for range 50 {
		r.lock.Lock()
		r.ending, before = true, r.now()
		r.lock.Unlock()
		a, err := r.send(r.anywhere(), "POST", path, form, before.cookies)
		require.NoError(r.t, err)
		require.NoError(r.t, a.fault())
		time.Sleep(some(3))
		if a.status == http.StatusOK {
			if after != nil {
				r.gate.Lock()
			}
			r.lock.Lock()
			defer r.lock.Unlock()
			r.jar.apply(a.lines)
			r.epoch++
			r.ending = false
			if after != nil {
				after()
			}
			return before
		}
		require.NotEqual(r.t, notes.StatusTooLarge, a.status, a.body)
	}
	r.t.Fatal("no attempt at a renewal or a logout was accepted")
	return before
}

// end ends the session while the tabs write, checks that no late response
// restores it, and begins a new session.
func (r *race) end() {
	r.t.Helper()
	r.ask("/logout", url.Values{"wait": {some(5).String()}}, func() { r.acknowledged = [racers]int{} })
	defer r.gate.Unlock()
	for range 10 {
		r.lock.Lock()
		m := r.now()
		r.lock.Unlock()
		p, a, err := r.look(m)
		require.NoError(r.t, err)
		require.Empty(r.t, p.Notes, "the session must stay ended")
		require.Equal(r.t, reason.LoggedOut, p.Reason)
		r.lock.Lock()
		r.jar.apply(a.lines)
		r.lock.Unlock()
		time.Sleep(time.Millisecond) // wait for requests in flight
	}
	r.lock.Lock()
	m := r.now()
	r.lock.Unlock()
	a, err := r.send(r.anywhere(), "POST", "/login", url.Values{"by": {strconv.Itoa(m.epoch)}}, m.cookies)
	require.NoError(r.t, err)
	require.Equal(r.t, http.StatusOK, a.status, a.body)
	r.lock.Lock()
	r.jar.apply(a.lines)
	r.lock.Unlock()
	for i := range racers {
		r.lock.Lock()
		r.sent[i]++
		n := r.sent[i]
		m := r.now()
		r.lock.Unlock()
		a, err := r.send(r.anywhere(), "POST", "/set", setting(tab(i), strconv.Itoa(n), 0, 0), m.cookies)
		require.NoError(r.t, err)
		require.Equal(r.t, http.StatusOK, a.status, a.body)
		r.lock.Lock()
		r.jar.apply(a.lines)
		r.acknowledged[i] = n
		r.lock.Unlock()
	}
}
