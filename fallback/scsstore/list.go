package scsstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/carryon-go/carryon/fallback"
)

// errNoList is for a scs store that cannot list.
var errNoList = fmt.Errorf("the scs store is no scs.IterableStore: %w", errors.ErrUnsupported)

// Len is as in [fallback.Counter]. The engine sends all that it has. If the scs
// store cannot list, the error is errors.ErrUnsupported.
func (s *Store) Len(ctx context.Context) (int, error) {
	n, now := 0, s.now()
	err := s.each(ctx, func(_ token, rec fallback.Record) error {
		if rec.Expires.UnixMilli() > now {
			n++
		}
		return nil
	})
	return n, fail(ctx, "count the records", err)
}

// Clear is as in [fallback.Clearer]: it deletes the records with this prefix,
// one by one. The engine sends all that it has. If the scs store cannot list,
// the error is errors.ErrUnsupported.
func (s *Store) Clear(ctx context.Context) error {
	err := s.each(ctx, func(t token, _ fallback.Record) error {
		return s.locks.with(ctx, t, func() error { return s.engine.delete(ctx, t) })
	})
	return fail(ctx, "clear the records", err)
}

// each calls f for the records that were written with this prefix. Those of
// others, and scs's own sessions, are passed over: their tokens do not follow
// from their ids.
func (s *Store) each(ctx context.Context, f func(token, fallback.Record) error) error {
	if s.engine.all == nil {
		return errNoList
	}
	all, err := s.engine.all(ctx)
	if err != nil {
		return err
	}
	for key, value := range all {
		rec, id, err := unpack(value)
		if err != nil || s.token(id) != token(key) {
			continue
		}
		if err := f(token(key), rec); err != nil {
			return err
		}
	}
	return nil
}
