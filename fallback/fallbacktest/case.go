package fallbacktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/carryon-go/carryon/fallback"
)

// testCase is one rule of a store. run says in an error how it was broken.
type testCase struct {
	name  string
	why   string
	run   func(context.Context, Setup) error
	needs func(Setup) string // says what is missing; nil for nothing
}

func (c testCase) skip(s Setup) string {
	if c.needs == nil {
		return ""
	}
	return c.needs(s)
}

// cases are all rules, the plain ones first.
var cases = join(basicCases, timeCases, swapCases, raceCases, faultCases, extraCases, modelCases)

func join(lists ...[]testCase) (all []testCase) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

const id = "7pY0r9tWq3mB1xKc5vZ8nH2jL4sD6fG_a-EuRiOwTyQ" // as the middleware makes them

// life is how long records live where nothing else is said.
func (s Setup) life() time.Duration {
	if s.Advance == nil {
		return 2 * time.Second
	}
	return time.Hour
}

func (s Setup) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

func (s Setup) wait(d time.Duration) {
	if s.Advance == nil {
		time.Sleep(d)
		return
	}
	s.Advance(d)
}

func (s Setup) other() fallback.Store {
	if s.Other == nil {
		return s.Store
	}
	return s.Other
}

// record makes a record that follows old.
func (s Setup) record(old fallback.Revision, data string) fallback.Record {
	return fallback.Record{Revision: old.Next(), Data: []byte(data), Expires: s.now().Add(s.life())}
}

// create puts a first record under the id and returns it.
func (s Setup) create(ctx context.Context, id, data string) (fallback.Record, error) {
	rec := s.record(fallback.Revision{}, data)
	if err := s.Store.Save(ctx, id, fallback.Revision{}, rec); err != nil {
		return rec, fmt.Errorf("a Save of a new record: %w", err)
	}
	return rec, nil
}

// stands says what is wrong if the record under the id is not want.
func stands(ctx context.Context, store fallback.Store, id string, want fallback.Record) error {
	got, err := store.Load(ctx, id)
	if err != nil {
		return fmt.Errorf("a Load of a record that must be there (number %d): %w", want.Revision.Number, err)
	}
	if got.Revision != want.Revision {
		return fmt.Errorf("a Load gave revision %d %x, want %d %x",
			got.Revision.Number, got.Revision.Tag, want.Revision.Number, want.Revision.Tag)
	}
	if !bytes.Equal(got.Data, want.Data) {
		return fmt.Errorf("a Load gave %d bytes %s, want the %d bytes %s that were saved",
			len(got.Data), short(got.Data), len(want.Data), short(want.Data))
	}
	if got.Expires.UnixMilli() != want.Expires.UnixMilli() {
		return fmt.Errorf("a Load gave the expiry %s, want %s, to the millisecond", got.Expires.UTC(), want.Expires.UTC())
	}
	return nil
}

// absent says what is wrong if there is a record under the id.
func absent(ctx context.Context, store fallback.Store, id string) error {
	rec, err := store.Load(ctx, id)
	if err == nil {
		return fmt.Errorf("a Load gave number %d with %d bytes, want ErrNotFound", rec.Revision.Number, len(rec.Data))
	}
	return is(err, fallback.ErrNotFound, "Load of a record that is not there")
}

// is says what is wrong with an error that is not want.
func is(err, want error, what string) error {
	switch {
	case errors.Is(err, want):
		return nil
	case err == nil:
		return fmt.Errorf("%s succeeded, want the error %q", what, want)
	}
	return fmt.Errorf("%s: got the error %q, want one for which errors.Is gives %q", what, err, want)
}

// sentinel names the answer that err is, if it is one about the record.
func sentinel(err error) string {
	for _, s := range []error{fallback.ErrNotFound, fallback.ErrConflict, fallback.ErrTooLarge, fallback.ErrFull} {
		if errors.Is(err, s) {
			return s.Error()
		}
	}
	return ""
}

func short(b []byte) string {
	if len(b) > 16 {
		return fmt.Sprintf("%x…", b[:16])
	}
	return fmt.Sprintf("%x", b)
}

// first gives the first error of the steps and does not take the rest.
func first(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
