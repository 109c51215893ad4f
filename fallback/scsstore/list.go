package scsstore

import (
	"context"

	"github.com/carryon-go/carryon/fallback"
)

// listing is a store over one of scs that can list.
type listing struct{ *store }

var (
	_ fallback.Counter = (*listing)(nil)
	_ fallback.Clearer = (*listing)(nil)
)

// Len is as in [fallback.Counter]. The engine sends all that it has.
func (l *listing) Len(ctx context.Context) (int, error) {
	n, now := 0, l.now()
	err := l.each(ctx, func(_ token, rec fallback.Record) error {
		if rec.Expires.UnixMilli() > now {
			n++
		}
		return nil
	})
	return n, fail(ctx, "count the records", err)
}

// Clear is as in [fallback.Clearer]: it deletes the records with this prefix,
// one by one. The engine sends all that it has.
func (l *listing) Clear(ctx context.Context) error {
	err := l.each(ctx, func(t token, _ fallback.Record) error {
		return l.locks.with(ctx, t, func() error { return l.engine.delete(ctx, t) })
	})
	return fail(ctx, "clear the records", err)
}

// each calls f for the records that were written with this prefix. Those of
// others, and scs's own sessions, are passed over: their tokens do not follow
// from their ids.
func (l *listing) each(ctx context.Context, f func(token, fallback.Record) error) error {
	all, err := l.engine.all(ctx)
	if err != nil {
		return err
	}
	for key, value := range all {
		rec, id, err := unpack(value)
		if err != nil || l.token(id) != token(key) {
			continue
		}
		if err := f(token(key), rec); err != nil {
			return err
		}
	}
	return nil
}
