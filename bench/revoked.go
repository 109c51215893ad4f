package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// Revoked is a program whose users have been logged out everywhere. Its store
// has a record for each of these users; sessions have begun since.
type Revoked struct {
	RecordBytes float64 // size of a record in the store's memory

	now      time.Time
	config   middleware.Config
	store    countingStore
	cookies  []string
	subjects int
}

// A countingStore counts the reads of a store.
type countingStore struct {
	fallback.Store
	reads atomic.Int64
}

func (c *countingStore) Load(ctx context.Context, id string) (fallback.Record, error) {
	c.reads.Add(1)
	return c.Store.Load(ctx, id)
}

// NewRevoked revokes the given number of subjects, and then logs the first of
// them in again, one per session.
func NewRevoked(subjects, sessions int) (*Revoked, error) {
	began := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	r := &Revoked{now: began, subjects: subjects}
	ring, err := keyring.Generate(began.Add(-time.Hour))
	if err != nil {
		return nil, err
	}
	memory, err := fallback.NewMemory(fallback.MemoryConfig{MaxBytes: 8 << 30, Clock: r.clock})
	if err != nil {
		return nil, err
	}
	r.store.Store = memory
	r.config = middleware.Config{Keys: ring, Fallback: middleware.Fallback{Store: &r.store}, Clock: r.clock, Lifetimes: middleware.Lifetimes{Idle: -1, Max: middleware.MaxLifetime}}
	before := heap()
	m, err := middleware.New(r.config)
	if err != nil {
		return nil, err
	}
	for i := range subjects {
		if err := m.RevokeSubject(context.Background(), subject(i)); err != nil {
			return nil, err
		}
	}
	r.now = r.now.Add(time.Minute)
	m = nil // exclude its memory from the measurement
	r.RecordBytes = float64(heap()-before) / float64(subjects)
	return r, r.logIn(sessions)
}

func (r *Revoked) clock() time.Time { return r.now }

func subject(i int) string { return fmt.Sprintf("user-%08d", i) }

func (r *Revoked) logIn(sessions int) error {
	m, err := middleware.New(r.config)
	if err != nil {
		return err
	}
	for i := range sessions {
		_, x := m.Begin(context.Background(), middleware.Request{Method: http.MethodPost})
		s := session.From(x)
		s.Login(subject(i % r.subjects))
		name.Set(s, "张三")
		out, err := x.Commit(context.Background(), middleware.Response{Status: http.StatusOK})
		if err != nil {
			return err
		}
		pair, _, _ := strings.Cut(out.SetCookie[0], ";")
		r.cookies = append(r.cookies, pair)
	}
	return nil
}

const name session.Key[string] = "name"

// A Traffic describes the requests to a replica.
type Traffic struct {
	Rate   int           // requests per second
	Visit  int           // requests per visitor, interleaved with those of others
	MaxAge time.Duration // RevocationMaxAge
}

// A Load is what a traffic costs a replica.
type Load struct {
	ReadsPerSecond float64 // reads of the store
	MemoryBytes    int64   // the replica's cache
	CPU            float64 // nanoseconds per request
	Refused        int     // number of refused requests
}

// Run sends a traffic to a new replica for a time, measured by the program's
// clock.
func (r *Revoked) Run(t Traffic, span time.Duration) (Load, error) {
	config := r.config
	config.Fallback.RevocationMaxAge = t.MaxAge
	before := heap()
	m, err := middleware.New(config)
	if err != nil {
		return Load{}, err
	}
	random := rand.New(rand.NewPCG(1, 2))
	visitors := make([]int, t.visitors())
	left := make([]int, len(visitors))
	n, refused := int(span.Seconds()*float64(t.Rate)), 0
	warm := n / 2 // the reads of these requests are not counted
	step := time.Second / time.Duration(t.Rate)
	var reads int64
	began := cpuTime()
	for i := range n {
		if i == warm {
			reads = r.store.reads.Load()
		}
		at := i % len(visitors)
		if left[at] == 0 {
			visitors[at], left[at] = random.IntN(len(r.cookies)), t.Visit
		}
		left[at]--
		if !r.read(m, r.cookies[visitors[at]]) {
			refused++
		}
		r.now = r.now.Add(step)
	}
	load := Load{CPU: float64(cpuTime()-began) / float64(n), Refused: refused}
	load.ReadsPerSecond = float64(r.store.reads.Load()-reads) / (span.Seconds() / 2)
	load.MemoryBytes = heap() - before
	runtime.KeepAlive(m)
	return load, nil
}

// visitors returns the number of concurrent visitors: a visit takes five
// seconds.
func (t Traffic) visitors() int {
	if t.Visit == 1 {
		return 1
	}
	return max(5*t.Rate/t.Visit, 1)
}

// read sends a request that reads the session, and reports whether there was
// one.
func (r *Revoked) read(m *middleware.Sessions, cookie string) bool {
	_, x := m.Begin(context.Background(), middleware.Request{Method: http.MethodGet, Cookies: []string{cookie}})
	_, ok := name.Get(session.From(x))
	_, err := x.Commit(context.Background(), middleware.Response{Status: http.StatusOK})
	return ok && err == nil
}

// RevokeAgain logs the first n users out everywhere again.
func (r *Revoked) RevokeAgain(n int) error {
	m, err := middleware.New(r.config)
	if err != nil {
		return err
	}
	for i := range n {
		if err := m.RevokeSubject(context.Background(), subject(i)); err != nil {
			return err
		}
	}
	return nil
}

// heap returns the bytes of the heap in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // frees what finalizers and pools held
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
