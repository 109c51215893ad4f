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

// raced is how many writes race in each test; CARRYON_RACED=100000 makes it more.
func raced(t *testing.T) int {
	text := os.Getenv("CARRYON_RACED")
	if text == "" {
		return 3000
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// race is one browser whose tabs write an entry each, on several replicas.
type race struct {
	*visitor
	sites []*notes.Site
	clock *notes.Clock
	size  func(racer int) int

	lock   sync.Mutex // held while a request takes its cookies, and while an answer lands
	sent   [racers]int
	stands [racers]int // the last that was acknowledged, alone
	epoch  int         // how often the session was renewed or ended
	ending bool        // a renewal or a logout is under way: what lands beside it may be lost

	landed, refused, reads atomic.Int64
	failed                 chan error
	gate                   sync.RWMutex // held by whoever lets no request begin
}

// racing are the ways to keep a session of six entries.
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
	{"up and down by one", middleware.ALB, middleware.Lossless, true, func(racer int) int {
		if racer > 0 {
			return rand.IntN(40)
		}
		return []int{10, 10, 10, 14_000}[rand.IntN(4)]
	}},
}

func newRace(t *testing.T, i int) *race {
	how := racing[i]
	r := &race{clock: &notes.Clock{}, size: how.size, failed: make(chan error, 100)}
	c := middleware.Config{Keys: newRing(t), Platform: how.platform, Mode: how.mode, Clock: r.clock.Now, Lifetime: 400 * 24 * time.Hour}
	if how.store {
		c.Fallback = newMemory(t)
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

// moment is what a request knew when it took its cookies.
type moment struct {
	cookies string
	epoch   int
	ending  bool
	sent    [racers]int
	stands  [racers]int
}

func (r *race) now() moment { // the lock is held
	return moment{r.pot.header(), r.epoch, r.ending, r.sent, r.stands}
}

func (r *race) anywhere() *notes.Site { return r.sites[rand.IntN(len(r.sites))] }

// write is one write of a tab's.
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
	time.Sleep(some(2)) // answers land in another order than they were made
	r.lock.Lock()
	defer r.lock.Unlock()
	r.pot.apply(a.lines)
	switch {
	case a.status != http.StatusOK:
		r.refused.Add(1)
	case m.epoch == r.epoch && !r.ending:
		r.stands[i] = n
		r.landed.Add(1)
	}
	if r.landed.Load()%20 == 0 {
		r.clock.Move(some(30_000)) // folds and touches fall due
	}
	return nil
}

// read reads all, and checks that what stood when it took its cookies shows.
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
	r.pot.apply(a.lines)
	ended := m.ending || r.ending || m.epoch != r.epoch
	r.lock.Unlock()
	if _, known := p.Notes["user"]; ended && !known {
		return nil // the store knew of the end before the browser did, and a write may have begun another session
	}
	return r.check(m, p)
}

func (r *race) look(m moment) (p notes.Page, a answer, err error) {
	a, err = r.send(r.anywhere(), "GET", "/all", nil, m.cookies)
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("a read was answered with %d: %s", a.status, a.body)
	}
	if err == nil {
		err = json.Unmarshal([]byte(a.body), &p)
	}
	return p, a, err
}

func (r *race) check(m moment, p notes.Page) error {
	r.reads.Add(1)
	if by := p.Notes["user"].Left; by != strconv.Itoa(m.epoch) {
		return fmt.Errorf("the session was renewed for the %dth time, and a read shows that of %q (reason %q)", m.epoch, by, p.Reason)
	}
	for i := range racers {
		note := p.Notes[tab(i)]
		n, err := strconv.Atoi(note.Left)
		switch {
		case err != nil || note.Left != note.Right:
			return fmt.Errorf("%s is mixed or missing: %.20q, %.20q", tab(i), note.Left, note.Right)
		case n < m.stands[i]:
			return fmt.Errorf("lost: write %d of %s was acknowledged, and a read shows %d (of %d sent)", m.stands[i], tab(i), n, m.sent[i])
		}
	}
	return nil
}

// go6 lets the tabs write until there were so many writes or until they are told
// to stop; every fifth request is a read.
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

// Writes of different entries on three replicas: nothing that was acknowledged
// is ever missing.
func TestRacedWritesAreNeverLost(t *testing.T) {
	for i, how := range racing {
		t.Run(how.name, func(t *testing.T) {
			r := newRace(t, i)
			r.go6(raced(t), nil).Wait()
			r.none("while the writes raced")
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

// The session is renewed and ended in the middle of it all: neither is undone by
// what lands later.
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
				r.none("beside renewals and logouts")
			}
			close(stop)
			all.Wait()
			r.none("beside renewals and logouts")
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
	m.stands = before.stands
	p, a, err := r.look(m)
	require.NoError(r.t, err)
	r.pot.apply(a.lines)
	require.NoError(r.t, r.check(m, p), "after a renewal")
}

// ask sends what ends a generation, and lets it land. It is sent again where the
// store was too busy.
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
			r.pot.apply(a.lines)
			r.epoch++
			r.ending = false
			if after != nil {
				after()
			}
			return before
		}
		require.NotEqual(r.t, notes.StatusTooLarge, a.status, a.body)
	}
	r.t.Fatal("a renewal or a logout is never accepted")
	return before
}

// end ends the session while the tabs write, looks that it stays ended when what
// was under way has landed, and begins another.
func (r *race) end() {
	r.t.Helper()
	r.ask("/logout", url.Values{"wait": {some(5).String()}}, func() { r.stands = [racers]int{} })
	defer r.gate.Unlock()
	for range 10 {
		r.lock.Lock()
		m := r.now()
		r.lock.Unlock()
		p, a, err := r.look(m)
		require.NoError(r.t, err)
		require.Empty(r.t, p.Notes, "the session was ended")
		require.Equal(r.t, reason.LoggedOut, p.Reason)
		r.lock.Lock()
		r.pot.apply(a.lines)
		r.lock.Unlock()
		time.Sleep(time.Millisecond) // what is under way lands
	}
	r.lock.Lock()
	m := r.now()
	r.lock.Unlock()
	a, err := r.send(r.anywhere(), "POST", "/login", url.Values{"by": {strconv.Itoa(m.epoch)}}, m.cookies)
	require.NoError(r.t, err)
	require.Equal(r.t, http.StatusOK, a.status, a.body)
	r.lock.Lock()
	r.pot.apply(a.lines)
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
		r.pot.apply(a.lines)
		r.stands[i] = n
		r.lock.Unlock()
	}
}
