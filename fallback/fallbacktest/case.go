package fallbacktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/carryon-go/carryon/fallback"
)

// testCase is one rule for stores. run returns an error that describes the
// violation.
type testCase struct {
	name  string
	why   string
	run   func(context.Context, Setup) error
	needs func(Setup) string // returns what the setup lacks, or ""; nil means that nothing is needed
}

func (c testCase) skip(s Setup) string {
	if c.needs == nil {
		return ""
	}
	return c.needs(s)
}

// cases lists all rules, simple ones first.
var cases = join(basicCases, timeCases, swapCases, raceCases, faultCases, extraCases, modelCases)

func join(lists ...[]testCase) (all []testCase) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

const id = "7pY0r9tWq3mB1xKc5vZ8nH2jL4sD6fG_a-EuRiOwTyQ" // in the form that the middleware creates

// life returns the default lifetime of records.
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

// record returns a new record whose revision follows old.
func (s Setup) record(old fallback.Revision, data string) fallback.Record {
	return fallback.Record{Revision: old.Next(), Data: []byte(data), Expires: s.now().Add(s.life())}
}

// create saves a first record under the id and returns it.
func (s Setup) create(ctx context.Context, id, data string) (fallback.Record, error) {
	rec := s.record(fallback.Revision{}, data)
	if err := s.Store.Save(ctx, id, fallback.Revision{}, rec); err != nil {
		return rec, fmt.Errorf("a Save of a new record: %w", err)
	}
	return rec, nil
}

// checkRecord returns an error if the record under the id is not want.
func checkRecord(ctx context.Context, store fallback.Store, id string, want fallback.Record) error {
	got, err := store.Load(ctx, id)
	if err != nil {
		return fmt.Errorf("a Load of an existing record (number %d): %w", want.Revision.Number, err)
	}
	if got.Revision != want.Revision {
		return fmt.Errorf("a Load returned revision %d %x, want %d %x",
			got.Revision.Number, got.Revision.Tag, want.Revision.Number, want.Revision.Tag)
	}
	if !bytes.Equal(got.Data, want.Data) {
		return fmt.Errorf("a Load returned %d bytes %s, want the saved %d bytes %s",
			len(got.Data), short(got.Data), len(want.Data), short(want.Data))
	}
	if got.Expires.UnixMilli() != want.Expires.UnixMilli() {
		return fmt.Errorf("a Load returned the expiry %s, want %s (to the millisecond)", got.Expires.UTC(), want.Expires.UTC())
	}
	return nil
}

// checkAbsent returns an error if there is a record under the id.
func checkAbsent(ctx context.Context, store fallback.Store, id string) error {
	rec, err := store.Load(ctx, id)
	if err == nil {
		return fmt.Errorf("a Load returned number %d with %d bytes, want ErrNotFound", rec.Revision.Number, len(rec.Data))
	}
	return checkError(err, fallback.ErrNotFound, "Load of a record that is not there")
}

// checkError returns an error if err is not want.
func checkError(err, want error, what string) error {
	switch {
	case errors.Is(err, want):
		return nil
	case err == nil:
		return fmt.Errorf("%s succeeded, want the error %q", what, want)
	}
	return fmt.Errorf("%s: got the error %q, want errors.Is with %q", what, err, want)
}

// sentinel returns the text of the sentinel that err wraps, or "".
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

// first runs the steps in order and returns the first error.
func first(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
