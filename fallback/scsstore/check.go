package scsstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

	"github.com/carryon-go/carryon/fallback"
)

// Check implements [fallback.Checker]. The engine of a scs store is unknown,
// so Check tests it. It writes a small record and one of Options.MaxRecord
// bytes, reads them back and deletes them. They expire after two minutes.
func (s *Store) Check(ctx context.Context) error {
	id := "check " + rand.Text()
	if _, err := s.keeps(ctx, id, 16); err != nil {
		return fail(ctx, "write a record and read it", err)
	}
	whole, err := s.keeps(ctx, id, s.opt.MaxRecord)
	if ctx.Err() != nil {
		return fail(ctx, "write a record and read it", err)
	}
	if whole && err == nil {
		return nil
	}
	effect := "the engine truncates a record of this size"
	if err != nil {
		effect = fmt.Sprintf("the engine refuses a record of this size (%v)", err)
	}
	return fallback.NewCheckError("scs store", []fallback.Finding{{Setting: "Options.MaxRecord", Value: strconv.Itoa(s.opt.MaxRecord),
		Effect: effect, Fix: "widen the engine's column, or set it lower"}})
}

// keeps writes a record of the given size and reports whether it is read back
// unchanged.
func (s *Store) keeps(ctx context.Context, id string, size int) (whole bool, err error) {
	now := s.opt.Clock()
	want := fallback.Record{Revision: fallback.Revision{}.Next(), Data: make([]byte, size), Expires: now.Add(time.Minute)}
	rand.Read(want.Data) // never fails
	t := s.token(id)
	if err := s.put(ctx, t, id, want); err != nil {
		return false, err
	}
	value, found, err := s.engine.find(ctx, t)
	if err == nil {
		err = s.engine.delete(ctx, t)
	}
	if err != nil {
		return false, err
	}
	got, _, wrong := unpack(value)
	return found && wrong == nil && got.Revision == want.Revision && bytes.Equal(got.Data, want.Data), nil
}
