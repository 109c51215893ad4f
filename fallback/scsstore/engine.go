package scsstore

import (
	"context"
	"math"
	"time"

	"github.com/alexedwards/scs/v2"
)

// engine is a scs store whose calls all take a context.
type engine struct {
	find   func(ctx context.Context, t token) ([]byte, bool, error)
	commit func(ctx context.Context, t token, value []byte, expires time.Time) error
	delete func(ctx context.Context, t token) error
	all    func(ctx context.Context) (map[string][]byte, error) // nil if the store cannot list
}

// newEngine uses the methods with a context if there are any, because those
// without one may panic then.
func newEngine(over scs.Store) engine {
	e := plain(over)
	if with, ok := over.(scs.CtxStore); ok {
		e = engine{find: func(ctx context.Context, t token) ([]byte, bool, error) { return with.FindCtx(ctx, string(t)) },
			commit: func(ctx context.Context, t token, value []byte, expires time.Time) error {
				return with.CommitCtx(ctx, string(t), value, expires)
			},
			delete: func(ctx context.Context, t token) error { return with.DeleteCtx(ctx, string(t)) }}
	}
	switch list := over.(type) {
	case scs.IterableCtxStore:
		e.all = list.AllCtx
	case scs.IterableStore:
		e.all = func(context.Context) (map[string][]byte, error) { return list.All() }
	}
	return e.checked()
}

func plain(over scs.Store) engine {
	return engine{find: func(_ context.Context, t token) ([]byte, bool, error) { return over.Find(string(t)) },
		commit: func(_ context.Context, t token, value []byte, expires time.Time) error {
			return over.Commit(string(t), value, expires)
		},
		delete: func(_ context.Context, t token) error { return over.Delete(string(t)) }}
}

// latest is the last time that fits into 64 bits of nanoseconds, as some
// engines count.
var latest = time.Unix(0, math.MaxInt64)

// checked checks the context before each call, which not every store does.
func (e engine) checked() engine {
	c := engine{find: func(ctx context.Context, t token) ([]byte, bool, error) {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		return e.find(ctx, t)
	}, commit: func(ctx context.Context, t token, value []byte, expires time.Time) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if expires.After(latest) {
			expires = latest
		}
		return e.commit(ctx, t, value, expires)
	}, delete: func(ctx context.Context, t token) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return e.delete(ctx, t)
	}}
	if e.all != nil {
		c.all = func(ctx context.Context) (map[string][]byte, error) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return e.all(ctx)
		}
	}
	return c
}
