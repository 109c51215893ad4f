package scsstore_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/fallbacktest"
	"github.com/carryon-go/carryon/fallback/scsstore"
)

func newStore(t testing.TB, over scs.Store, o scsstore.Options) *scsstore.Store {
	t.Helper()
	store, err := scsstore.New(over, o)
	require.NoError(t, err)
	return store
}

// conform runs the suite over an engine: all cases with one process, and all
// except the races with two.
func conform(t *testing.T, open func(t *testing.T) (over scs.Store, down func())) {
	for _, replicas := range []int{1, 2} {
		t.Run(map[int]string{1: "one process", 2: "two replicas"}[replicas], func(t *testing.T) {
			fallbacktest.Run(t, func(t *testing.T) fallbacktest.Setup {
				over, down := open(t)
				clock := fallbacktest.NewClock()
				o := scsstore.Options{Clock: clock.Now}
				s := fallbacktest.Setup{Store: newStore(t, over, o), Now: clock.Now, Advance: clock.Advance, Break: down,
					Skewed: func(d time.Duration) fallback.Store {
						return newStore(t, over, scsstore.Options{Clock: func() time.Time { return clock.Now().Add(d) }})
					}}
				if replicas == 2 {
					s.Other, s.DangerouslyLastWriterWins = newStore(t, over, o), true
				}
				return s
			})
		})
	}
}

func TestMemstoreConforms(t *testing.T) {
	conform(t, func(*testing.T) (scs.Store, func()) {
		e := &engine{Store: memory()}
		return e, e.fail
	})
}

func TestCtxStoreConforms(t *testing.T) {
	conform(t, func(*testing.T) (scs.Store, func()) {
		e := &engine{Store: memory()}
		return ctxEngine{e}, e.fail
	})
}

func TestNarrowEngineConforms(t *testing.T) {
	conform(t, func(*testing.T) (scs.Store, func()) { return newNarrow(), nil })
}

func record(old fallback.Revision, data string) fallback.Record {
	return fallback.Record{Revision: old.Next(), Data: []byte(data), Expires: time.Now().Add(time.Hour)}
}

func TestListsOnlyWhereTheEngineDoes(t *testing.T) {
	for name, over := range map[string]scs.Store{"plain": memory(), "context": ctxEngine{&engine{Store: memory()}}} {
		store := newStore(t, over, scsstore.Options{})
		require.NoError(t, store.Save(t.Context(), "id", fallback.Revision{}, record(fallback.Revision{}, "one")))
		n, err := store.Len(t.Context())
		require.NoError(t, err, name)
		require.Equal(t, 1, n, name)
		require.NoError(t, store.Clear(t.Context()), name)
	}
	_, err := newStore(t, newNarrow(), scsstore.Options{}).Len(t.Context())
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorIs(t, newStore(t, newNarrow(), scsstore.Options{}).Clear(t.Context()), errors.ErrUnsupported)
}

// cutting truncates values silently, or refuses long ones.
type cutting struct {
	scs.Store
	most   int
	refuse bool
}

func (c cutting) Commit(token string, b []byte, expiry time.Time) error {
	if len(b) > c.most && c.refuse {
		return errors.New("too long")
	}
	return c.Store.Commit(token, b[:min(len(b), c.most)], expiry)
}

func TestCheckTriesTheEngine(t *testing.T) {
	over := memory()
	require.NoError(t, newStore(t, over, scsstore.Options{}).Check(t.Context()))
	all, err := over.All()
	require.NoError(t, err)
	require.Empty(t, all, "it leaves nothing")
	for _, refuse := range []bool{false, true} {
		err = newStore(t, cutting{memory(), 65_535, refuse}, scsstore.Options{}).Check(t.Context())
		var check *fallback.CheckError
		require.ErrorAs(t, err, &check)
		require.ErrorContains(t, err, "Options.MaxRecord is 1048576")
		require.NoError(t, newStore(t, cutting{memory(), 65_535, refuse}, scsstore.Options{MaxRecord: 48_000}).Check(t.Context()))
	}
	down := &engine{Store: memory()}
	down.fail()
	err = newStore(t, down, scsstore.Options{}).Check(t.Context())
	require.ErrorContains(t, err, "the engine is down")
	require.False(t, errors.As(err, new(*fallback.CheckError)))
}

// The documented behaviour of several replicas: of two writes the later one
// remains, and a logout is undone.
func TestBetweenReplicasTheLastWriterWins(t *testing.T) {
	over := &engine{Store: memory()}
	a, b := newStore(t, over, scsstore.Options{}), newStore(t, over, scsstore.Options{})
	one := record(fallback.Revision{}, "one")
	require.NoError(t, a.Save(t.Context(), "id", fallback.Revision{}, one))

	meet := func(f func()) {
		over.before = func(call string) {
			if call == "commit" {
				over.before = nil // not during f
				f()
			}
		}
	}
	mine, theirs := record(one.Revision, "mine"), record(one.Revision, "theirs")
	meet(func() { require.NoError(t, b.Save(t.Context(), "id", one.Revision, theirs)) })
	require.NoError(t, a.Save(t.Context(), "id", one.Revision, mine))
	got, err := b.Load(t.Context(), "id")
	require.NoError(t, err)
	require.Equal(t, "mine", string(got.Data), "the other write was acknowledged and is lost")

	meet(func() { require.NoError(t, b.Delete(t.Context(), "id")) })
	require.NoError(t, a.Touch(t.Context(), "id", time.Now().Add(2*time.Hour)))
	_, err = b.Load(t.Context(), "id")
	require.NoError(t, err, "the touch has restored the record")
}

func TestCallsOfTheEngine(t *testing.T) {
	over := &engine{Store: memory()}
	s := newStore(t, over, scsstore.Options{})
	rec := record(fallback.Revision{}, "one")
	check := func(err error, want ...string) {
		t.Helper()
		require.NoError(t, err)
		require.Equal(t, want, over.since())
	}
	check(s.Save(t.Context(), "id", fallback.Revision{}, rec), "find", "commit")
	check(s.Save(t.Context(), "id", fallback.Revision{}, rec), "find") // the same Save again
	_, err := s.Load(t.Context(), "id")
	check(err, "find")
	check(s.Touch(t.Context(), "id", time.Now().Add(time.Minute)), "find", "commit")
	check(s.Touch(t.Context(), "id", time.Now().Add(-time.Minute)), "find", "delete")
	check(s.Save(t.Context(), "id", fallback.Revision{}, rec), "find", "commit")
	check(s.Delete(t.Context(), "id"), "delete")
}

// spy records what is committed.
type spy struct {
	scs.Store
	committed func(token, value string, expiry time.Time)
}

func (s spy) Commit(token string, b []byte, expiry time.Time) error {
	s.committed(token, string(b), expiry)
	return s.Store.Commit(token, b, expiry)
}

// The stored form matches the documentation.
func TestStoredForm(t *testing.T) {
	expires := time.UnixMilli(0x0102030405).Add(999 * time.Microsecond)
	over := spy{memory(), func(token, value string, expiry time.Time) {
		sum := sha256.Sum256([]byte("carryon scsstore 1\x00\x00\x00\x00\x04app:an id"))
		require.Equal(t, base64.RawURLEncoding.EncodeToString(sum[:]), token)
		require.Equal(t, "c1", value[:2])
		b, err := base64.RawURLEncoding.DecodeString(value[2:])
		require.NoError(t, err)
		require.Equal(t, "0102030405060708"+"aa0000000000000000000000000000bb"+"0000000102030405"+
			"05"+hex.EncodeToString([]byte("an id"))+"00000007"+hex.EncodeToString([]byte("sealed\x00")), hex.EncodeToString(b))
		require.Equal(t, expires.Add(time.Minute).UnixMilli(), expiry.UnixMilli())
	}}
	s := newStore(t, over, scsstore.Options{Prefix: "app:", Clock: func() time.Time { return time.UnixMilli(1) }})
	require.NoError(t, s.Save(t.Context(), "an id", fallback.Revision{}, fallback.Record{Data: []byte("sealed\x00"), Expires: expires,
		Revision: fallback.Revision{Number: 0x0102030405060708, Tag: [16]byte{0xaa, 15: 0xbb}}}))
}

// An engine that counts nanoseconds in 64 bits must not lose a record with a
// late expiry.
func TestExpiryOfTheYear9999(t *testing.T) {
	s := newStore(t, memory(), scsstore.Options{})
	rec := record(fallback.Revision{}, "one")
	rec.Expires = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	require.NoError(t, s.Save(t.Context(), "id", fallback.Revision{}, rec))
	got, err := s.Load(t.Context(), "id")
	require.NoError(t, err)
	require.True(t, got.Expires.Equal(rec.Expires))
}

// A value of another program, or a truncated one, is an error. A missing
// record would be a logout.
func TestForeignValues(t *testing.T) {
	over := memory()
	s := newStore(t, over, scsstore.Options{})
	rec := record(fallback.Revision{}, "the data")
	require.NoError(t, s.Save(t.Context(), "id", fallback.Revision{}, rec))
	require.NoError(t, s.Save(t.Context(), "other", fallback.Revision{}, rec))
	all, err := over.All()
	require.NoError(t, err)
	require.Len(t, all, 2)
	var token, value, other string
	for k, v := range all {
		if b, _ := base64.RawURLEncoding.DecodeString(string(v[2:])); strings.Contains(string(b), "other") {
			other = string(v)
		} else {
			token, value = k, string(v)
		}
	}
	values := []string{"", "c1", "c2" + value[2:], "x", value + "A", value + "=", value + "\n", other, strings.Repeat("x", 2<<20)}
	for i := range value {
		values = append(values, value[:i])
	}
	for _, v := range values {
		require.NoError(t, over.Commit(token, []byte(v), time.Now().Add(time.Hour)))
		_, err := s.Load(t.Context(), "id")
		for _, err := range []error{err, s.Save(t.Context(), "id", rec.Revision, record(rec.Revision, "")),
			s.Touch(t.Context(), "id", rec.Expires)} {
			require.ErrorContains(t, err, "use a table or prefix of its own", "%q", v)
			require.NotErrorIs(t, err, fallback.ErrNotFound)
		}
	}
	require.NoError(t, s.Delete(t.Context(), "id"))
	require.NoError(t, s.Save(t.Context(), "id", fallback.Revision{}, rec), "after a Delete the id can be used again")
}

// Several programs and scs itself may share an engine.
func TestSharesTheEngine(t *testing.T) {
	over := memory()
	mine := newStore(t, over, scsstore.Options{Prefix: "mine"})
	others := newStore(t, over, scsstore.Options{Prefix: "others"})
	require.NoError(t, over.Commit("a token of scs's own", []byte("c1AAAA"), time.Now().Add(time.Hour)))
	require.NoError(t, mine.Save(t.Context(), "id", fallback.Revision{}, record(fallback.Revision{}, "mine")))
	require.NoError(t, others.Save(t.Context(), "id", fallback.Revision{}, record(fallback.Revision{}, "others")))

	n, err := mine.Len(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NoError(t, mine.Clear(t.Context()))
	_, err = mine.Load(t.Context(), "id")
	require.ErrorIs(t, err, fallback.ErrNotFound)
	got, err := others.Load(t.Context(), "id")
	require.NoError(t, err)
	require.Equal(t, "others", string(got.Data))
	_, found, err := over.Find("a token of scs's own")
	require.True(t, found && err == nil)
}

func TestMaxRecord(t *testing.T) {
	s := newStore(t, memory(), scsstore.Options{MaxRecord: 100})
	require.NoError(t, s.Save(t.Context(), "id", fallback.Revision{}, record(fallback.Revision{}, strings.Repeat("x", 100))))
	require.ErrorIs(t, s.Save(t.Context(), "id2", fallback.Revision{}, record(fallback.Revision{}, strings.Repeat("x", 101))),
		fallback.ErrTooLarge)
	for _, wrong := range []int{-1, fallback.MaxRecord + 1} {
		_, err := scsstore.New(memory(), scsstore.Options{MaxRecord: wrong})
		require.ErrorContains(t, err, "MaxRecord must be 0 to")
	}
	_, err := scsstore.New(nil, scsstore.Options{})
	require.ErrorContains(t, err, "give New one")
}

// A call that waits for another change of the record ends with its context. If
// a store panics, no call keeps waiting.
func TestWaitingEndsWithTheContext(t *testing.T) {
	over := &engine{Store: memory()}
	s := newStore(t, over, scsstore.Options{})
	entered, leave := make(chan struct{}), make(chan struct{})
	over.before = func(call string) {
		if call == "commit" {
			close(entered)
			<-leave
			panic("a bug of the engine")
		}
	}
	var group sync.WaitGroup
	group.Go(func() {
		require.Panics(t, func() {
			_ = s.Save(context.Background(), "id", fallback.Revision{}, record(fallback.Revision{}, "one"))
		})
	})
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.Delete(ctx, "id"), context.DeadlineExceeded)
	require.ErrorIs(t, s.Touch(ctx, "id", time.Now().Add(time.Hour)), context.DeadlineExceeded)
	close(leave)
	group.Wait()
	over.before = nil
	require.NoError(t, s.Delete(t.Context(), "id"))
}

// The engine gets the caller's context.
func TestContextReachesTheEngine(t *testing.T) {
	type key struct{}
	over := asks{ctxEngine{&engine{Store: memory()}}, func(ctx context.Context) { require.Equal(t, "mine", ctx.Value(key{})) }}
	s := newStore(t, over, scsstore.Options{})
	ctx := context.WithValue(t.Context(), key{}, "mine")
	require.NoError(t, s.Save(ctx, "id", fallback.Revision{}, record(fallback.Revision{}, "one")))
	require.NoError(t, s.Delete(ctx, "id"))
	_, err := s.Len(ctx)
	require.NoError(t, err)
}

type asks struct {
	ctxEngine
	ask func(context.Context)
}

func (a asks) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	a.ask(ctx)
	return a.ctxEngine.FindCtx(ctx, token)
}

func (a asks) CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error {
	a.ask(ctx)
	return a.ctxEngine.CommitCtx(ctx, token, b, expiry)
}

func (a asks) DeleteCtx(ctx context.Context, token string) error {
	a.ask(ctx)
	return a.ctxEngine.DeleteCtx(ctx, token)
}

func (a asks) AllCtx(ctx context.Context) (map[string][]byte, error) {
	a.ask(ctx)
	return a.ctxEngine.AllCtx(ctx)
}
