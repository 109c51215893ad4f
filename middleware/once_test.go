package middleware_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// ticket is a value that its issuer exchanges once, as a refresh token.
type ticket struct {
	Serial int
	Secret string
	Until  int64 // ms; the ticket is due afterwards
}

const tickets session.Once[ticket] = "ticket"

// issuer exchanges tickets. A ticket that comes twice is refused for good.
type issuer struct {
	clock    *clock
	takes    time.Duration // for an exchange
	lifetime time.Duration // of a ticket

	mu        sync.Mutex
	used      map[int]bool
	last      int
	exchanges int
	refused   int
	down      error
	hold      chan struct{} // an exchange waits until it is closed
	entered   chan struct{} // receives each exchange that waits
	ring      *keyring.Ring // of the program
	store     fallback.Store
}

func newIssuer(c *clock) *issuer {
	return &issuer{clock: c, lifetime: time.Hour, used: map[int]bool{}, entered: make(chan struct{}, 100)}
}

func (i *issuer) issue() ticket {
	i.last++
	return ticket{Serial: i.last, Secret: "secret of a ticket " + strings.Repeat("x", 200), Until: i.clock.Now().Add(i.lifetime).UnixMilli()}
}

func (i *issuer) exchange(ctx context.Context, old ticket) (ticket, error) {
	i.mu.Lock()
	hold := i.hold
	i.mu.Unlock()
	if hold != nil {
		i.entered <- struct{}{}
		<-hold
	}
	time.Sleep(i.takes)
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ticket{}, ctx.Err()
	case i.down != nil:
		return ticket{}, i.down
	case i.used[old.Serial]:
		i.refused++
		return ticket{}, fmt.Errorf("%w: ticket %d was used", session.ErrSpent, old.Serial)
	}
	i.used[old.Serial] = true
	i.exchanges++
	return i.issue(), nil
}

func (i *issuer) counts() (exchanges, refused int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.exchanges, i.refused
}

func (i *issuer) set(f func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f()
}

// program serves /begin, /use (the ticket's serial), /drop, /has, and /late and /during,
// which send the header before and while they replace the ticket.
func (i *issuer) program(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	switch r.URL.Path {
	case "/begin":
		i.set(func() { tickets.Set(s, i.issue()) })
	case "/late":
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		i.use(w, r)
	case "/during":
		used := make(chan struct{})
		go func() {
			defer close(used)
			i.use(w, r)
		}()
		<-i.entered
		w.WriteHeader(http.StatusOK)
		close(i.hold)
		<-used
	case "/drop":
		_, _ = i.replace(r)
		tickets.Delete(s)
	case "/renew":
		s.Renew()
	case "/has":
		t, ok := tickets.Get(s)
		fmt.Fprint(w, t.Serial, " ", ok, " ", s.Names())
	default:
		i.use(w, r)
	}
}

func (i *issuer) use(w http.ResponseWriter, r *http.Request) {
	t, err := i.replace(r)
	switch {
	case errors.Is(err, session.ErrSpent):
		_, _ = io.WriteString(w, "spent")
	case errors.Is(err, session.ErrReplaced):
		_, _ = io.WriteString(w, "replaced")
	case errors.Is(err, session.ErrLate):
		_, _ = io.WriteString(w, "late")
	case err != nil:
		_, _ = io.WriteString(w, "error: "+err.Error())
	default:
		_, _ = io.WriteString(w, strconv.Itoa(t.Serial))
	}
}

func (i *issuer) replace(r *http.Request) (ticket, error) {
	due := func(t ticket) bool { return t.Until <= i.clock.Now().UnixMilli() }
	return tickets.Replace(r.Context(), session.From(r.Context()), due, i.exchange)
}

// replicas returns n replicas of a program with an issuer, and a visitor at the first
// one whose ticket has just become due.
func replicas(t *testing.T, n int, store bool, options ...option) ([]*site, *issuer) {
	t.Helper()
	ring := newRing(t)
	i := newIssuer(&clock{now: noon})
	i.ring, i.store = ring, newMemory(t, i.clock.Now)
	var sites []*site
	for range n {
		s := newSite(t, i.program, append([]option{config(func(c *middleware.Config) {
			c.Keys, c.Clock = ring, i.clock.Now
			if store {
				c.Fallback.Store = i.store
			}
		})}, options...)...)
		s.clock = i.clock
		s.jar.Clock = i.clock.Now
		sites = append(sites, s)
	}
	sites[0].get("/begin")
	i.clock.advance(time.Hour)
	return sites, i
}

// burst sends n requests with the visitor's present cookies to the sites in turn, all
// at once, and returns the answers.
func burst(sites []*site, n int, path string) []answer {
	header := sites[0].header()
	answers := make([]answer, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { answers[i] = sites[i%len(sites)].bare(path, header) })
	}
	wg.Wait()
	return answers
}

func bodies(answers []answer) map[string]int {
	counts := map[string]int{}
	for _, a := range answers {
		counts[a.body]++
	}
	return counts
}

// Requests that find one value due at the same time replace it once, whatever their
// number, in one process and in several that share a store.
func TestReplaceOnce(t *testing.T) {
	for _, c := range []struct {
		replicas int
		stored   bool
		mode     middleware.Mode
	}{{1, false, middleware.Auto}, {1, true, middleware.Auto}, {3, true, middleware.Auto}, {3, true, middleware.AlwaysStored}} {
		for _, n := range []int{1, 6, 30, 200} {
			t.Run(fmt.Sprintf("%d requests at %d replicas, store %v, mode %v", n, c.replicas, c.stored, c.mode), func(t *testing.T) {
				sites, i := replicas(t, c.replicas, c.stored, config(func(cfg *middleware.Config) { cfg.Fallback.Mode = c.mode }))
				i.takes = 20 * time.Millisecond
				before := sites[0].jar.Clone()
				answers := burst(sites, n, "/use")
				require.Equal(t, map[string]int{"2": n}, bodies(answers))
				exchanges, refused := i.counts()
				require.Equal(t, 1, exchanges)
				require.Zero(t, refused)
				for _, a := range answers { // each response alone carries the new value
					s := sites[0]
					s.jar = before.Clone()
					s.client.Jar = s.jar
					s.receive(a)
					require.Contains(t, s.get("/has").body, "2 true")
				}
			})
		}
	}
}

func newMemory(t *testing.T, clock func() time.Time) fallback.Store {
	m, err := fallback.NewMemory(fallback.MemoryConfig{Clock: clock})
	require.NoError(t, err)
	return m
}

// Without a common store two replicas may both replace a value. The one that is
// refused must not end the session: the visitor's next request has the winner's value.
func TestReplaceOfTwoReplicasWithoutAStore(t *testing.T) {
	sites, i := replicas(t, 3, false)
	before := sites[0].jar.Clone()
	answers := burst(sites, 30, "/use")
	counts := bodies(answers)
	require.Equal(t, 30, counts["2"]+counts["replaced"], "%v", counts)
	exchanges, _ := i.counts()
	require.Equal(t, 1, exchanges)
	for range 3 { // in any order
		s := sites[0]
		s.jar = before.Clone()
		s.client.Jar = s.jar
		for n := range answers {
			s.receive(answers[(n*7)%30])
		}
		require.Equal(t, "2", s.get("/use").body)
	}
	require.Equal(t, "2 true [ticket]", sites[0].get("/has").body, "the mark is gone")
}

// A refusal of the value that the session really has counts: at once if no other
// replica can have replaced the value, and otherwise if the session still has the
// value ten seconds later.
func TestReplaceOfASpentValue(t *testing.T) {
	t.Run("with a store", func(t *testing.T) {
		sites, i := replicas(t, 2, true)
		i.used[1] = true
		require.Equal(t, map[string]int{"spent": 8}, bodies(burst(sites, 8, "/use")))
	})
	t.Run("without a store", func(t *testing.T) {
		sites, i := replicas(t, 2, false)
		i.used[1] = true
		s := sites[0]
		require.Equal(t, "replaced", s.get("/use").body)
		_, refused := i.counts()
		i.clock.advance(9 * time.Second)
		require.Equal(t, "replaced", s.get("/use").body)
		i.clock.advance(time.Second)
		require.Equal(t, "spent", s.get("/use").body)
		_, again := i.counts()
		require.Equal(t, refused, again, "the issuer is not asked again")
		tickets1 := s.get("/begin")
		require.Equal(t, 200, tickets1.StatusCode)
		i.clock.advance(time.Hour)
		require.Equal(t, "3", s.get("/use").body, "the mark is only for the old value")
	})
	t.Run("while the store is down", func(t *testing.T) {
		sites, i := replicas(t, 1, false)
		store := &watched{Store: i.store, ids: map[string]bool{}}
		down := newSite(t, i.program, config(func(c *middleware.Config) {
			c.Keys, c.Clock, c.Fallback.Store = i.ring, i.clock.Now, store
		}))
		store.fail(errors.New("down"))
		i.used[1] = true
		require.Equal(t, "replaced", down.bare("/use", sites[0].header()).body)
	})
}

// A response that is lost on the way leaves the visitor with the old value. The next
// request gets the new one nevertheless, at any replica.
func TestReplaceAfterALostResponse(t *testing.T) {
	sites, i := replicas(t, 2, true)
	lost := sites[0].header()
	require.Equal(t, "2", sites[0].bare("/use", lost).body)
	i.clock.advance(9 * time.Minute)
	require.Equal(t, "2", sites[0].bare("/use", lost).body)
	require.Equal(t, "2", sites[1].bare("/use", lost).body)
	exchanges, refused := i.counts()
	require.Equal(t, 1, exchanges)
	require.Zero(t, refused)
}

// The known new value may itself be due. Then it is replaced, too.
func TestReplaceFollowsTheChain(t *testing.T) {
	sites, i := replicas(t, 2, true)
	i.lifetime = time.Minute
	lost := sites[0].header()
	require.Equal(t, "2", sites[0].bare("/use", lost).body)
	i.clock.advance(2 * time.Minute)
	require.Equal(t, "3", sites[1].bare("/use", lost).body)
	i.clock.advance(2 * time.Minute)
	require.Equal(t, "4", sites[0].bare("/use", lost).body)
	exchanges, refused := i.counts()
	require.Equal(t, 3, exchanges)
	require.Zero(t, refused)
}

// A value that is due at once is replaced once for each request, not forever.
func TestReplaceByAValueThatIsDue(t *testing.T) {
	sites, i := replicas(t, 1, false)
	i.lifetime = 0
	require.Equal(t, "2", sites[0].get("/use").body)
	require.Equal(t, "3", sites[0].get("/use").body)
}

// The end of a request ends its wait, not the replacement.
func TestReplaceOutlivesItsRequest(t *testing.T) {
	sites, i := replicas(t, 2, true)
	i.hold = make(chan struct{})
	header := sites[0].header()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, sites[0].URL+"/use", nil)
		r.Header.Set("Cookie", header)
		_, err := http.DefaultTransport.RoundTrip(r)
		done <- err
	}()
	<-i.entered
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	waiting := make(chan string)
	for _, s := range sites {
		go func() { waiting <- s.bare("/use", header).body }()
	}
	close(i.hold)
	require.Equal(t, "2", <-waiting)
	require.Equal(t, "2", <-waiting)
	exchanges, refused := i.counts()
	require.Equal(t, 1, exchanges)
	require.Zero(t, refused)
}

// A failure of the issuer is not a refusal: the value stays, and a second later the
// issuer is asked again.
func TestReplaceWhileTheIssuerIsDown(t *testing.T) {
	for _, store := range []bool{false, true} {
		sites, i := replicas(t, 1, store)
		i.set(func() { i.down = errors.New("connection refused") })
		answers := burst(sites, 10, "/use")
		require.Equal(t, map[string]int{"error: connection refused": 10}, bodies(answers))
		require.Equal(t, "1 true [ticket]", sites[0].get("/has").body)
		i.set(func() { i.down = nil })
		require.Equal(t, "error: connection refused", sites[0].get("/use").body, "within a second")
		i.clock.advance(time.Second)
		require.Equal(t, "2", sites[0].get("/use").body)
	}
}

// After the header was sent a new value would be lost, and the old one be spent. So
// there is no replacement, but the new value of another request is found.
func TestReplaceAfterTheHeader(t *testing.T) {
	for _, store := range []bool{false, true} {
		sites, i := replicas(t, 2, store)
		old := sites[0].header()
		require.Equal(t, "late", sites[0].get("/late").body)
		exchanges, _ := i.counts()
		require.Zero(t, exchanges)
		require.Equal(t, "1 true [ticket]", sites[0].get("/has").body)

		require.Equal(t, "2", sites[0].get("/use").body)
		require.Equal(t, "2", sites[0].bare("/late", old).body)
		require.Equal(t, map[bool]string{true: "2", false: "late"}[store], sites[1].bare("/late", old).body)
		exchanges, refused := i.counts()
		require.Equal(t, 1, exchanges)
		require.Zero(t, refused)
		require.Empty(t, sites[0].events.of(middleware.EventLateChange))
	}
}

// The header may be sent while the value is being replaced. A later request gets the
// new value.
func TestReplaceDuringTheHeader(t *testing.T) {
	sites, i := replicas(t, 1, false)
	i.hold = make(chan struct{})
	require.Equal(t, "2", sites[0].get("/during").body)
	require.Equal(t, "2", sites[0].get("/use").body)
	exchanges, _ := i.counts()
	require.Equal(t, 1, exchanges)
	require.Equal(t, "2 true [ticket]", sites[0].get("/has").body)
}

// What a handler removes does not come back, and a renewal does not lose track of the
// value.
func TestReplaceBesideOtherChanges(t *testing.T) {
	sites, i := replicas(t, 1, true)
	s := sites[0]
	old := s.header()
	require.Equal(t, "2", s.bare("/use", old).body)
	s.get("/renew")
	require.Equal(t, "2", s.get("/use").body, "the renewed session still had the old value")
	s.get("/drop")
	require.Equal(t, "0 false []", s.get("/has").body)
	exchanges, refused := i.counts()
	require.Equal(t, 1, exchanges)
	require.Zero(t, refused)
}

// The store learns nothing of the values, and a program that writes to it cannot plant
// one.
func TestReplaceHidesItsValues(t *testing.T) {
	spy := &rows{saved: map[string][]fallback.Record{}}
	sites, i := replicas(t, 2, true, config(func(c *middleware.Config) { c.Fallback.Store, spy.Store = spy, cmp.Or(spy.Store, c.Fallback.Store) }))
	old := sites[0].header()
	require.Equal(t, "2", sites[0].bare("/use", old).body)
	require.Len(t, spy.saved, 1)
	for id, versions := range spy.saved {
		require.Len(t, versions, 2, "a lease, then the value: two calls of the store")
		require.NotContains(t, string(versions[1].Data), "secret of a ticket")
		forged := versions[1]
		forged.Revision = versions[1].Revision.Next()
		forged.Data = append([]byte(nil), forged.Data...) // sealed for another revision
		require.NoError(t, i.store.Save(t.Context(), id, versions[1].Revision, forged))
	}
	i.set(func() { i.used[1] = false })
	require.Equal(t, "3", sites[1].bare("/use", old).body, "the row does not open, so the value is replaced again")
}

// rows is a store that keeps what was saved.
type rows struct {
	fallback.Store
	mu    sync.Mutex
	saved map[string][]fallback.Record
}

func (r *rows) Save(ctx context.Context, id string, old fallback.Revision, new fallback.Record) error {
	err := r.Store.Save(ctx, id, old, new)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && strings.HasPrefix(id, "o") {
		r.saved[id] = append(r.saved[id], new)
	}
	return err
}

// A panic of the function reaches the request that has called it. The others get an
// error.
func TestReplaceThatPanics(t *testing.T) {
	sites, i := replicas(t, 1, true)
	program := func(w http.ResponseWriter, r *http.Request) {
		_, err := tickets.Replace(r.Context(), session.From(r.Context()), func(ticket) bool { return true },
			func(context.Context, ticket) (ticket, error) { panic("broken") })
		fmt.Fprint(w, err)
	}
	s := newSite(t, program, config(func(c *middleware.Config) { c.Keys, c.Clock = i.ring, i.clock.Now }),
		outside(func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() {
					if p := recover(); p != nil {
						fmt.Fprint(w, p)
					}
				}()
				h.ServeHTTP(w, r)
			})
		}))
	header := sites[0].header()
	require.Contains(t, s.bare("/use", header).body, "broken [recovered]")
	require.Contains(t, s.bare("/use", header).body, "panicked in another request")
}
