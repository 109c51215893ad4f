package fallbacktest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/carryon-go/carryon/fallback"
)

var basicCases = []testCase{
	{name: "missing", run: missing,
		why: "a missing record must be distinguishable from a store that is down"},
	{name: "round trip", run: roundTrip,
		why: "a record saved on one replica must be readable on another"},
	{name: "empty data", run: emptyData,
		why: "markers of logouts have no data but must exist"},
	{name: "every kind", run: everyKind,
		why: "a store that evicts records by kind must keep all kinds while it has space"},
	{name: "binary ids", run: binaryIDs,
		why: "ids are hashes; a padded, case-folded or truncated id can collide with another visitor's"},
	{name: "binary data", run: binaryData,
		why: "sealed data is arbitrary bytes; one changed byte makes it invalid"},
	{name: "large record", run: largeRecord,
		why: "a session may have up to 1 MiB"},
	{name: "every number", run: everyNumber,
		why: "numbers go up to 2^63-1, and random tags may begin or end with zeros"},
	{name: "own slices", run: ownSlices,
		why: "if a store shares its bytes, one request can change another's session"},
	{name: "delete", run: deleteRecord,
		why: "a logout must be final, and may be repeated"},
	{name: "bad arguments", run: badArguments,
		why: "all stores must refuse the same invalid arguments; use fallback.CheckSave and CheckID"},
}

func missing(ctx context.Context, s Setup) error {
	return first(
		func() error { return checkAbsent(ctx, s.Store, id) },
		func() error {
			return checkError(s.Store.Touch(ctx, id, s.now().Add(s.life())), fallback.ErrNotFound, "Touch of nothing")
		},
		func() error { return s.Store.Delete(ctx, id) },
		func() error { return checkAbsent(ctx, s.other(), id) },
	)
}

func roundTrip(ctx context.Context, s Setup) error {
	rec, err := s.create(ctx, id, "one")
	if err != nil {
		return err
	}
	next := s.record(rec.Revision, "two")
	return first(
		func() error { return checkRecord(ctx, s.Store, id, rec) },
		func() error { return checkRecord(ctx, s.other(), id, rec) },
		func() error { return s.other().Save(ctx, id, rec.Revision, next) },
		func() error { return checkRecord(ctx, s.Store, id, next) },
		func() error { return checkAbsent(ctx, s.Store, id[1:]) },
	)
}

func everyKind(ctx context.Context, s Setup) error {
	old := fallback.Revision{}
	for _, k := range []fallback.Kind{fallback.KindSession, fallback.KindLogin, fallback.KindLoginEnd, fallback.KindEnd, fallback.KindRevocation} {
		alone, next := s.record(fallback.Revision{}, k.String()), s.record(old, k.String())
		alone.Kind, next.Kind = k, k
		if err := first(
			func() error { return s.Store.Save(ctx, "kind "+k.String(), fallback.Revision{}, alone) },
			func() error { return s.Store.Save(ctx, id, old, next) }, // it changes its kind
			func() error { return checkRecord(ctx, s.other(), "kind "+k.String(), alone) },
			func() error { return checkRecord(ctx, s.other(), id, next) },
		); err != nil {
			return fmt.Errorf("a record of the kind %q: %w", k, err)
		}
		old = next.Revision
	}
	return nil
}

func emptyData(ctx context.Context, s Setup) error {
	for _, data := range [][]byte{nil, {}} {
		rec := s.record(fallback.Revision{}, "")
		rec.Data, rec.Kind = data, fallback.KindLoginEnd
		name := fmt.Sprint("empty ", data == nil)
		if err := s.Store.Save(ctx, name, fallback.Revision{}, rec); err != nil {
			return fmt.Errorf("a Save without data: %w", err)
		}
		if err := checkRecord(ctx, s.other(), name, rec); err != nil {
			return err
		}
	}
	return nil
}

// strangeIDs returns ids that differ only in properties that an engine could
// fold, pad, trim or quote.
func strangeIDs() []string {
	return []string{
		"a", "A", "a ", " a", "a\x00", "\x00a", "\x00", "\x00\x00", "á", "a\u0301", "ａ", "ß", "ss",
		"'", "''", `"`, "`", `\`, `\'`, "%", "_", "?", "$1", "*", "{a}", "{a}b", "[a]", "\r\n", "\xff", "\xff\xfe", "\xc3\x28",
		strings.Repeat("x", fallback.MaxID), strings.Repeat("x", fallback.MaxID-1) + "y", strings.Repeat("x", fallback.MaxID-1),
		strings.Repeat("\x00", fallback.MaxID), strings.Repeat("\xff", fallback.MaxID),
	}
}

func binaryIDs(ctx context.Context, s Setup) error {
	saved := map[string]fallback.Record{}
	for i, name := range strangeIDs() {
		rec, err := s.create(ctx, name, fmt.Sprint("record ", i))
		if err != nil {
			return fmt.Errorf("the id %q: %w", name, err)
		}
		saved[name] = rec
	}
	for name, rec := range saved {
		if err := checkRecord(ctx, s.other(), name, rec); err != nil {
			return fmt.Errorf("the id %q: %w", name, err)
		}
	}
	for name := range saved {
		if err := s.Store.Delete(ctx, name); err != nil {
			return fmt.Errorf("a Delete of the id %q: %w", name, err)
		}
		if err := checkAbsent(ctx, s.Store, name); err != nil {
			return fmt.Errorf("the deleted id %q: %w", name, err)
		}
	}
	return nil
}

func binaryData(ctx context.Context, s Setup) error {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	zeros := make([]byte, 300)
	for i, data := range [][]byte{all, zeros, {0}, []byte("\r\n"), []byte(`\x41'"`), {0xff, 0xfe, 0xc3, 0x28}} {
		rec := s.record(fallback.Revision{}, string(data))
		name := fmt.Sprint("data ", i)
		if err := s.Store.Save(ctx, name, fallback.Revision{}, rec); err != nil {
			return fmt.Errorf("a Save of the data %s: %w", short(data), err)
		}
		if err := checkRecord(ctx, s.other(), name, rec); err != nil {
			return err
		}
	}
	return nil
}

func (s Setup) maxRecord() int {
	if s.MaxRecord > 0 {
		return s.MaxRecord
	}
	return fallback.MaxRecord
}

func largeRecord(ctx context.Context, s Setup) error {
	big := make([]byte, s.maxRecord())
	for i := range big {
		big[i] = byte(i*i>>3 ^ i)
	}
	rec, err := s.create(ctx, id, string(big))
	if err != nil {
		return fmt.Errorf("%d bytes: %w", len(big), err)
	}
	more := s.record(rec.Revision, string(bytes.Repeat([]byte("x"), fallback.MaxRecord+1)))
	return first(
		func() error { return checkRecord(ctx, s.other(), id, rec) },
		func() error {
			return checkError(s.Store.Save(ctx, id, rec.Revision, more), fallback.ErrTooLarge, "Save of 1 MiB and a byte")
		},
		func() error { return checkRecord(ctx, s.Store, id, rec) },
	)
}

func everyNumber(ctx context.Context, s Setup) error {
	old := fallback.Revision{}
	last := fallback.Revision{Number: fallback.MaxNumber, Tag: [16]byte{15: 1}}
	for _, r := range []fallback.Revision{
		{Number: 1, Tag: [16]byte{0: 1}},
		{Number: 2, Tag: [16]byte{0: 0xff, 15: 0xff}},
		{Number: 3, Tag: [16]byte{3: 0x20, 4: 0x0a}},
		{Number: 1<<53 - 1, Tag: [16]byte{8: 1}},
		{Number: 1 << 53, Tag: [16]byte{8: 2}},
		{Number: 1<<53 + 1, Tag: [16]byte{8: 3}},
		last,
	} {
		rec := s.record(old, fmt.Sprint(r.Number))
		rec.Revision = r
		if err := s.Store.Save(ctx, id, old, rec); err != nil {
			return fmt.Errorf("a Save of number %d over %d: %w", r.Number, old.Number, err)
		}
		if err := checkRecord(ctx, s.other(), id, rec); err != nil {
			return err
		}
		old = r
	}
	near := last
	near.Number--
	return checkError(s.Store.Save(ctx, id, near, s.record(fallback.Revision{}, "")), fallback.ErrConflict,
		"Save over a number that is one less than the greatest")
}

func ownSlices(ctx context.Context, s Setup) error {
	rec := s.record(fallback.Revision{}, "saved")
	given := []byte("saved")
	mine := rec
	mine.Data = given
	if err := s.Store.Save(ctx, id, fallback.Revision{}, mine); err != nil {
		return err
	}
	copy(given, "xxxxx")
	if err := checkRecord(ctx, s.Store, id, rec); err != nil {
		return fmt.Errorf("after the caller wrote to the bytes it had saved: %w", err)
	}
	got, err := s.Store.Load(ctx, id)
	if err != nil {
		return err
	}
	copy(got.Data, "yyyyy")
	_ = append(got.Data, "zzzzz"...)
	if err := checkRecord(ctx, s.Store, id, rec); err != nil {
		return fmt.Errorf("after the caller wrote to the bytes it had loaded: %w", err)
	}
	return nil
}

func deleteRecord(ctx context.Context, s Setup) error {
	for range 2 {
		rec, err := s.create(ctx, id, "one")
		if err != nil {
			return fmt.Errorf("creating what may have been deleted before: %w", err)
		}
		err = first(
			func() error { return s.other().Delete(ctx, id) },
			func() error { return checkAbsent(ctx, s.Store, id) },
			func() error {
				return checkError(s.Store.Touch(ctx, id, rec.Expires), fallback.ErrNotFound, "Touch of a deleted record")
			},
			func() error { return s.Store.Delete(ctx, id) },
		)
		if err != nil {
			return err
		}
	}
	return nil
}

func badArguments(ctx context.Context, s Setup) error {
	rec, err := s.create(ctx, id, "one")
	if err != nil {
		return err
	}
	long := strings.Repeat("x", fallback.MaxID+1)
	noTime, noRevision, sameTag := s.record(rec.Revision, ""), s.record(rec.Revision, ""), s.record(rec.Revision, "")
	noTime.Expires, noRevision.Revision, sameTag.Revision.Tag = time.Time{}, fallback.Revision{}, rec.Revision.Tag
	tooHigh := s.record(rec.Revision, "")
	tooHigh.Revision.Number = fallback.MaxNumber + 1
	for what, err := range map[string]error{
		"Save with an empty id":                 save(ctx, s, "", fallback.Revision{}, rec),
		"Save with an id of 65 bytes":           save(ctx, s, long, fallback.Revision{}, rec),
		"Save without an expiry":                save(ctx, s, id, rec.Revision, noTime),
		"Save without a new revision":           save(ctx, s, id, rec.Revision, noRevision),
		"Save with the old revision's tag":      save(ctx, s, id, rec.Revision, sameTag),
		"Save with a number above MaxNumber":    save(ctx, s, id, rec.Revision, tooHigh),
		"Touch without a time":                  s.Store.Touch(ctx, id, time.Time{}),
		"Touch with an empty id":                s.Store.Touch(ctx, "", rec.Expires),
		"Delete with an id of 65 bytes":         s.Store.Delete(ctx, long),
		"Load with an empty id":                 load(ctx, s, ""),
		"Load with an id of 65 bytes":           load(ctx, s, long),
		"Touch with a time after the year 9999": s.Store.Touch(ctx, id, time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)),
	} {
		if err == nil {
			return fmt.Errorf("%s succeeded, want an error", what)
		}
		if name := sentinel(err); name != "" {
			return fmt.Errorf("%s returned %q, want another error, because the arguments are invalid", what, name)
		}
	}
	return checkRecord(ctx, s.Store, id, rec)
}

func save(ctx context.Context, s Setup, id string, old fallback.Revision, rec fallback.Record) error {
	return s.Store.Save(ctx, id, old, rec)
}

func load(ctx context.Context, s Setup, id string) error {
	_, err := s.Store.Load(ctx, id)
	return err
}
