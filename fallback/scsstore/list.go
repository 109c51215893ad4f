package scsstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/carryon-go/carryon/fallback"
)

// errNoList reports a scs store that cannot list.
var errNoList = fmt.Errorf("the scs store is not a scs.IterableStore: %w", errors.ErrUnsupported)

// Len implements [fallback.Counter]. The engine sends all its records. If the
// scs store cannot list, the error is errors.ErrUnsupported.
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

// Clear implements [fallback.Clearer]. It deletes the records with this prefix
// one by one. The engine sends all its records. If the scs store cannot list,
// the error is errors.ErrUnsupported.
func (s *Store) Clear(ctx context.Context) error {
	err := s.each(ctx, func(t token, _ fallback.Record) error {
		return s.locks.with(ctx, t, func() error { return s.engine.delete(ctx, t) })
	})
	return fail(ctx, "clear the records", err)
}

// each calls f for the records with this prefix. It skips records of other
// programs and scs's own sessions, because their tokens do not match their
// ids.
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
