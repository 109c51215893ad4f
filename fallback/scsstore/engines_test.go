package scsstore_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
)

// memory returns scs's own store, without its goroutine, which cannot be
// stopped.
func memory() *memstore.MemStore { return memstore.NewWithCleanupInterval(0) }

// engine is a scs store that can list, can fail, and records its calls.
type engine struct {
	scs.Store
	mu     sync.Mutex
	down   error
	calls  []string
	before func(call string) // called without the lock
}

func (e *engine) note(call string) error {
	e.mu.Lock()
	before, down := e.before, e.down
	e.calls = append(e.calls, call)
	e.mu.Unlock()
	if before != nil {
		before(call)
	}
	return down
}

func (e *engine) fail() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.down = errors.New("the engine is down")
}

func (e *engine) since() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	calls := e.calls
	e.calls = nil
	return calls
}

func (e *engine) Find(token string) ([]byte, bool, error) {
	if err := e.note("find"); err != nil {
		return nil, false, err
	}
	return e.Store.Find(token)
}

func (e *engine) Commit(token string, b []byte, expiry time.Time) error {
	if err := e.note("commit"); err != nil {
		return err
	}
	return e.Store.Commit(token, b, expiry)
}

func (e *engine) Delete(token string) error {
	if err := e.note("delete"); err != nil {
		return err
	}
	return e.Store.Delete(token)
}

func (e *engine) All() (map[string][]byte, error) {
	if err := e.note("all"); err != nil {
		return nil, err
	}
	return e.Store.(scs.IterableStore).All()
}

// ctxEngine has only methods with a context, like scs's goredisstore.
type ctxEngine struct{ e *engine }

func (c ctxEngine) Find(string) ([]byte, bool, error)      { panic("no context") }
func (c ctxEngine) Commit(string, []byte, time.Time) error { panic("no context") }
func (c ctxEngine) Delete(string) error                    { panic("no context") }
func (c ctxEngine) AllCtx(ctx context.Context) (map[string][]byte, error) {
	return c.e.All()
}

func (c ctxEngine) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	return c.e.Find(token)
}

func (c ctxEngine) CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error {
	return c.e.Commit(token, b, expiry)
}

func (c ctxEngine) DeleteCtx(ctx context.Context, token string) error { return c.e.Delete(token) }

// narrow is an engine with minimal abilities: text values, case-insensitive
// tokens of 43 characters, and no list. Like Redis, it keeps a record forever
// that has expired on arrival.
type narrow struct {
	mu   sync.Mutex
	rows map[string]row
}

type row struct {
	text string
	ends time.Time
}

func newNarrow() *narrow { return &narrow{rows: map[string]row{}} }

func (n *narrow) Find(token string) ([]byte, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, ok := n.rows[strings.ToLower(token)]
	return []byte(r.text), ok && (r.ends.IsZero() || r.ends.After(time.Now())), nil
}

func (n *narrow) Commit(token string, b []byte, expiry time.Time) error {
	if len(token) > 43 || !utf8.ValidString(token) || !utf8.Valid(b) || strings.ContainsAny(string(b), "\x00'\\\r\n ") {
		return errors.New("not text")
	}
	if expiry.Before(time.Now()) {
		expiry = time.Time{}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rows[strings.ToLower(token)] = row{string(b), expiry}
	return nil
}

func (n *narrow) Delete(token string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.rows, strings.ToLower(token))
	return nil
}
