package stores

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/fallbacktest"
	"github.com/carryon-go/carryon/fallback/sqlstore"
)

func TestConformance(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		fallbacktest.Run(t, func(t *testing.T) fallbacktest.Setup {
			clock := fallbacktest.NewClock()
			dsn, db, store, o := e.migrated(t, sqlstore.Options{Clock: clock.Now, SweepEvery: 10})
			return fallbacktest.Setup{
				Store: store, Other: newStore(t, e.open(t, dsn), o), Now: clock.Now, Advance: clock.Advance,
				Skewed: func(d time.Duration) fallback.Store {
					fast := o
					fast.Clock = func() time.Time { return clock.Now().Add(d) }
					return newStore(t, db, fast)
				},
				Break: func() { require.NoError(t, db.Close()) },
			}
		})
	})
}

func TestManyReplicasMigrateAtOnce(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		db := e.open(t, dsn)
		store := newStore(t, db, sqlstore.Options{Dialect: e.dialect, Table: e.newTable(t, db, dsn)})
		errs := make([]error, 12)
		var group sync.WaitGroup
		for i := range errs {
			group.Go(func() { errs[i] = store.Migrate(t.Context()) })
		}
		group.Wait()
		require.NoError(t, errors.Join(errs...))
		n, err := store.Len(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

// An operator can create a working table by running the output of Schema.
func TestPrintedSchemaWorks(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		db := e.open(t, dsn)
		table := e.newTable(t, db, dsn)
		schema, err := sqlstore.Schema(e.dialect, table)
		require.NoError(t, err)
		for range 2 {
			for statement := range strings.SplitSeq(strings.TrimSpace(schema), ";") {
				if statement != "" {
					_, err := db.ExecContext(t.Context(), statement)
					require.NoError(t, err)
				}
			}
		}
		store := newStore(t, db, sqlstore.Options{Dialect: e.dialect, Table: table})
		rec := fallback.Record{Revision: fallback.Revision{}.Next(), Expires: time.Now().Add(time.Hour)}
		require.NoError(t, store.Save(t.Context(), "id", fallback.Revision{}, rec))
	})
}

func TestMissingTableIsNoMissingRecord(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		store := newStore(t, e.open(t, dsn), sqlstore.Options{Dialect: e.dialect, Table: "carryon_no_such_table"})
		_, err := store.Load(t.Context(), "id")
		require.Error(t, err)
		require.NotErrorIs(t, err, fallback.ErrNotFound)
	})
}

// Reserved words, and names that SQL folds to another case, can be table names.
func TestTableNamesAreQuoted(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		db := e.open(t, dsn)
		suffix := strings.TrimPrefix(e.newTable(t, db, dsn), "carryon_test")
		for _, table := range []string{"Select" + suffix, "select" + suffix[:8]} {
			store := newStore(t, db, sqlstore.Options{Dialect: e.dialect, Table: table})
			require.NoError(t, store.Migrate(t.Context()))
			t.Cleanup(func() {
				quote := map[bool]string{true: "`", false: `"`}[e.dialect == sqlstore.MySQL]
				_, err := db.ExecContext(context.Background(), "DROP TABLE "+quote+table+quote)
				require.NoError(t, err)
			})
			n, err := store.Len(t.Context())
			require.NoError(t, err)
			require.Zero(t, n)
		}
	})
}

func TestSchemaQualifiedTable(t *testing.T) {
	e := engines[0]
	dsn := e.dsn(t)
	db := e.open(t, dsn)
	table := e.newTable(t, db, dsn)
	store := newStore(t, db, sqlstore.Options{Dialect: e.dialect, Table: "public." + table})
	for range 2 {
		require.NoError(t, store.Migrate(t.Context()))
	}
	n, err := newStore(t, db, sqlstore.Options{Dialect: e.dialect, Table: table}).Len(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
}

// Saves remove expired records, a few at a time.
func TestSavesSweep(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		clock := fallbacktest.NewClock()
		_, db, store, o := e.migrated(t, sqlstore.Options{Clock: clock.Now, SweepEvery: 1, SweepBatch: 7})
		save := func(id string) {
			rec := fallback.Record{Revision: fallback.Revision{}.Next(), Expires: clock.Now().Add(time.Hour)}
			require.NoError(t, store.Save(t.Context(), id, fallback.Revision{}, rec))
		}
		rows := func() (n int) {
			require.NoError(t, db.QueryRow("SELECT COUNT(*) FROM "+o.Table).Scan(&n))
			return n
		}
		for i := range 20 {
			save(fmt.Sprint(i))
		}
		clock.Advance(time.Hour + 30*time.Second)
		save("too early for servers whose clocks are behind")
		require.Equal(t, 21, rows())
		clock.Advance(time.Minute)
		for i, want := range []int{15, 9, 4, 5} {
			save(fmt.Sprint("new ", i))
			require.Equal(t, want, rows())
		}
	})
}

// With concurrent sweeps, touches, writes, creations and deletions, no call
// fails and no unexpired record is lost.
func TestSweepAmongWriters(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		var skew atomic.Int64
		dsn := e.dsn(t)
		db := e.open(t, dsn)
		o := sqlstore.Options{Dialect: e.dialect, Table: e.newTable(t, db, dsn), SweepEvery: -1,
			Clock: func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }}
		store := newStore(t, db, o)
		require.NoError(t, store.Migrate(t.Context()))
		stop := make(chan struct{})
		var sweepers, writers sync.WaitGroup
		for range 2 {
			sweepers.Go(func() { sweepUntil(t, store, stop) })
		}
		for i := range 8 {
			writers.Go(func() { churn(t, store, i, o.Clock, &skew) })
		}
		writers.Wait()
		close(stop)
		sweepers.Wait()
	})
}

func sweepUntil(t *testing.T, store *sqlstore.Store, stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		// A sweep may fail because of a deadlock with another sweep.
		if _, err := store.Sweep(t.Context(), 20); err != nil && !strings.Contains(strings.ToLower(err.Error()), "deadlock") {
			t.Errorf("Sweep: %v", err)
		}
	}
}

func churn(t *testing.T, store *sqlstore.Store, worker int, now func() time.Time, skew *atomic.Int64) {
	ctx := t.Context()
	for i := range 25 {
		id := fmt.Sprintf("%d of %d", i, worker)
		rec := fallback.Record{Revision: fallback.Revision{}.Next(), Data: []byte(id), Expires: now().Add(100 * time.Hour)}
		next := fallback.Record{Revision: rec.Revision.Next(), Data: []byte(id), Expires: rec.Expires}
		brief := fallback.Record{Revision: rec.Revision.Next(), Data: []byte(id), Expires: now().Add(time.Hour)}
		errs := errors.Join(
			store.Save(ctx, id, fallback.Revision{}, rec),
			store.Save(ctx, id, rec.Revision, next),
			store.Touch(ctx, id, next.Expires.Add(time.Hour)),
			store.Save(ctx, id+" brief", fallback.Revision{}, brief),
		)
		if errs != nil {
			t.Errorf("calls beside sweeps failed: %v", errs)
		}
		if got, err := store.Load(ctx, id); err != nil || got.Revision != next.Revision {
			t.Errorf("Load of an unexpired record: %v", err)
		}
		if i%5 == 4 {
			skew.Add(int64(20 * time.Minute)) // earlier short-lived records expire
		}
		if err := store.Delete(ctx, id); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
}
