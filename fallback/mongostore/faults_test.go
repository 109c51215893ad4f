package mongostore_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/mongostore"
	"github.com/carryon-go/carryon/fallback/mongostore/internal/mongotest"
)

func once(o *options.ClientOptions) { o.SetRetryWrites(false).SetRetryReads(false) }

// noAnswer checks that an error contains no result about the record.
func noAnswer(t *testing.T, err error, args ...any) {
	t.Helper()
	require.Error(t, err, args...)
	for _, answer := range []error{fallback.ErrNotFound, fallback.ErrConflict, fallback.ErrTooLarge} {
		require.NotErrorIs(t, err, answer, args...)
	}
}

// A caller that does not know whether a Save arrived repeats it.
func TestLostAnswers(t *testing.T) {
	t.Parallel() // slow: the driver looks for its server twice a second
	for _, arrived := range []bool{true, false} {
		server := startServer(t, mongotest.Options{})
		store := newStore(t, connect(t, server.URI(), once).Database("app").Collection("records"), mongostore.Options{})
		lost := mongotest.Fault{After: arrived}

		one := record(fallback.Revision{}, "one")
		server.Inject("insert", lost)
		noAnswer(t, store.Save(t.Context(), "id", fallback.Revision{}, one))
		require.NoError(t, store.Save(t.Context(), "id", fallback.Revision{}, one))

		two := record(one.Revision, "two")
		server.Inject("update", lost)
		noAnswer(t, store.Save(t.Context(), "id", one.Revision, two))
		got, err := store.Load(t.Context(), "id")
		require.NoError(t, err)
		require.Equal(t, arrived, got.Revision == two.Revision)
		require.NoError(t, store.Save(t.Context(), "id", one.Revision, two))
		require.ErrorIs(t, store.Save(t.Context(), "id", one.Revision, record(one.Revision, "three")), fallback.ErrConflict)

		server.Inject("update", lost)
		noAnswer(t, store.Touch(t.Context(), "id", two.Expires.Add(time.Hour)))
		server.Inject("delete", lost)
		noAnswer(t, store.Delete(t.Context(), "id"))
		require.NoError(t, store.Delete(t.Context(), "id"))
		require.Zero(t, server.Pending())
		require.Empty(t, server.Docs("app.records"))
	}
}

// The driver also repeats writes, and the server recognises the repeated
// write.
func TestRetryableWrites(t *testing.T) {
	t.Parallel() // slow: the driver looks for its server twice a second
	server, _, store := own(t)
	one := record(fallback.Revision{}, "one")
	for _, after := range []bool{true, false} {
		server.Inject("insert", mongotest.Fault{After: after})
		require.NoError(t, store.Save(t.Context(), "id", fallback.Revision{}, one))
		commands := server.Commands()
		require.Len(t, commands, 2, "the same insert, twice")
		for _, field := range []string{"lsid", "txnNumber", "documents"} {
			require.Equal(t, commands[0].Doc.Lookup(field).Value, commands[1].Doc.Lookup(field).Value, field)
		}
		require.NoError(t, store.Delete(t.Context(), "id"))
		server.Commands()
	}
	require.NoError(t, store.Save(t.Context(), "id", fallback.Revision{}, one))
	for i, after := range []bool{true, false} {
		next := record(one.Revision, "next")
		server.Inject("update", mongotest.Fault{After: after})
		require.NoError(t, store.Save(t.Context(), "id", one.Revision, next), i)
		one = next
	}
	server.Inject("find", mongotest.Fault{})
	_, err := store.Load(t.Context(), "id")
	require.NoError(t, err)
	server.DropConns()
	_, err = store.Load(t.Context(), "id")
	require.NoError(t, err)
	require.Zero(t, server.Pending())
}

// The server has accepted the write but cannot confirm that a majority has it.
func TestNoMajority(t *testing.T) {
	server, _, store := own(t)
	rec := record(fallback.Revision{}, "one")
	server.Inject("insert", mongotest.Fault{After: true, Reply: bson.D{{Key: "ok", Value: 1}, {Key: "n", Value: 1},
		{Key: "writeConcernError", Value: bson.D{{Key: "code", Value: 64}, {Key: "codeName", Value: "WriteConcernFailed"},
			{Key: "errmsg", Value: "waiting for replication timed out"}}}}})
	err := store.Save(t.Context(), "id", fallback.Revision{}, rec)
	noAnswer(t, err)
	require.ErrorContains(t, err, "majority: waiting for replication timed out (code 64)")
	require.NoError(t, store.Save(t.Context(), "id", fallback.Revision{}, rec))
}

// A server error is not a result about the record.
func TestErrorsAreNoAnswers(t *testing.T) {
	t.Parallel() // slow: the driver looks for its server twice a second
	server := startServer(t, mongotest.Options{})
	store := newStore(t, connect(t, server.URI(), once).Database("app").Collection("records"), mongostore.Options{})
	rec := record(fallback.Revision{}, "one")
	calls := map[string]func() error{
		"insert":    func() error { return store.Save(t.Context(), "id", fallback.Revision{}, rec) },
		"update":    func() error { return store.Save(t.Context(), "id", rec.Revision, record(rec.Revision, "two")) },
		"delete":    func() error { return store.Delete(t.Context(), "id") },
		"find":      func() error { _, err := store.Load(t.Context(), "id"); return err },
		"aggregate": func() error { _, err := store.Len(t.Context()); return err },
	}
	for code, name := range map[int32]string{13: "Unauthorized", 26: "NamespaceNotFound", 50: "MaxTimeMSExpired", 112: "WriteConflict"} {
		fault := mongotest.Fault{Reply: mongotest.ErrorReply(code, name, "mongotest: "+name)}
		for command, call := range calls {
			server.Inject(command, fault)
			noAnswer(t, call(), "%s of a %s", name, command)
		}
		server.Inject("update", fault)
		noAnswer(t, store.Touch(t.Context(), "id", rec.Expires), name)
		// A Save that matches nothing reads the record, and that read fails.
		server.Inject("find", fault)
		noAnswer(t, calls["update"](), name)
	}
	// After these errors the driver looks for a primary for half a second.
	for code, name := range map[int32]string{10107: "NotWritablePrimary", 189: "PrimarySteppedDown", 11600: "InterruptedAtShutdown"} {
		for _, command := range []string{"find", "update"} {
			server.Inject(command, mongotest.Fault{Reply: mongotest.ErrorReply(code, name, "mongotest: "+name)})
			noAnswer(t, calls[command](), "%s of a %s", name, command)
		}
	}
	require.Zero(t, server.Pending())
}

func taken() bson.D {
	return bson.D{{Key: "ok", Value: 1}, {Key: "n", Value: 0}, {Key: "writeErrors", Value: bson.A{bson.D{{Key: "index", Value: 0},
		{Key: "code", Value: 11000}, {Key: "errmsg", Value: "E11000 duplicate key error collection: app.records index: tag_1 dup key: { tag: 'secret' }"}}}}}
}

// The record that prevented an insert may be deleted before it can be read.
func TestCreateBesideADeletion(t *testing.T) {
	server, _, store := own(t)
	server.Inject("insert", mongotest.Fault{Reply: taken()}, mongotest.Fault{Reply: taken()})
	rec := record(fallback.Revision{}, "one")
	require.NoError(t, store.Save(t.Context(), "id", fallback.Revision{}, rec))
	got, err := store.Load(t.Context(), "id")
	require.NoError(t, err)
	require.Equal(t, rec.Revision, got.Revision)
}

// Another unique index can refuse every record. That is no conflict, which the
// middleware would retry.
func TestAnotherUniqueIndex(t *testing.T) {
	server, _, store := own(t)
	for range 4 {
		server.Inject("insert", mongotest.Fault{Reply: taken()})
	}
	err := store.Save(t.Context(), "id", fallback.Revision{}, record(fallback.Revision{}, "one"))
	noAnswer(t, err)
	require.ErrorContains(t, err, "drop other unique indexes")
	server.Inject("update", mongotest.Fault{Reply: taken()})
	err = store.Save(t.Context(), "id", fallback.Revision{}.Next(), record(fallback.Revision{}, "one"))
	noAnswer(t, err)
	require.ErrorContains(t, err, "code 11000")
}

// The driver's error for a refused write contains the document.
func TestErrorsTellNothingOfTheRecord(t *testing.T) {
	server, _, store := own(t)
	server.Inject("insert", mongotest.Fault{Reply: bson.D{{Key: "ok", Value: 1}, {Key: "n", Value: 0}, {Key: "writeErrors", Value: bson.A{
		bson.D{{Key: "index", Value: 0}, {Key: "code", Value: 121}, {Key: "errmsg", Value: "Document failed validation"},
			{Key: "errInfo", Value: bson.D{{Key: "failingDocumentId", Value: "secret"}}}}}}}})
	err := store.Save(t.Context(), "id", fallback.Revision{}, record(fallback.Revision{}, "one"))
	require.EqualError(t, err, "mongostore: cannot save a record: the server refuses the write: code 121")
	var driver mongo.WriteException
	require.ErrorAs(t, err, &driver, "the driver's error is available")
	server.Inject("update", mongotest.Fault{Reply: taken()})
	err = store.Save(t.Context(), "id", fallback.Revision{}.Next(), record(fallback.Revision{}, "one"))
	require.NotContains(t, err.Error(), "secret")
}

// calls makes every call of a store once.
func calls(ctx context.Context, store *mongostore.Store) map[string]error {
	rec := record(fallback.Revision{}, "one")
	_, loaded := store.Load(ctx, "id")
	_, counted := store.Len(ctx)
	return map[string]error{
		"Load": loaded, "Len": counted, "Touch": store.Touch(ctx, "id", rec.Expires), "Delete": store.Delete(ctx, "id"),
		"Save": store.Save(ctx, "id", fallback.Revision{}, rec), "Clear": store.Clear(ctx), "Migrate": store.Migrate(ctx),
		"Save of a next revision": store.Save(ctx, "id", rec.Revision, record(rec.Revision, "two")),
	}
}

// unreachable checks that every call ends with its context, and that nothing
// is left after the client has disconnected and the server has stopped.
func unreachable(t *testing.T, start func() (uri string, stop func())) {
	before := runtime.NumGoroutine()
	uri, stop := start()
	client := connect(t, uri)
	store := newStore(t, client.Database("app").Collection("records"), mongostore.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	for what, err := range calls(ctx, store) {
		noAnswer(t, err, what)
		require.ErrorIs(t, err, context.DeadlineExceeded, what)
	}
	require.Less(t, time.Since(began), 10*time.Second, "by itself the driver waits for 30 s, each time")
	require.NoError(t, client.Disconnect(t.Context()))
	stop()
	for runtime.NumGoroutine() > before { // not require.Eventually, which starts a goroutine
		if time.Since(began) > time.Minute {
			stacks := make([]byte, 1<<20)
			require.LessOrEqual(t, runtime.NumGoroutine(), before, "%s", stacks[:runtime.Stack(stacks, true)])
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestServerIsDown(t *testing.T) {
	unreachable(t, func() (string, func()) {
		server := startServer(t, mongotest.Options{})
		server.Close()
		return server.URI(), server.Close
	})
}

// A server that accepts connections and sends nothing must not block a
// request.
func TestServerIsSilent(t *testing.T) {
	unreachable(t, func() (string, func()) {
		server := startServer(t, mongotest.Options{})
		for range 100 {
			server.Inject("isMaster", mongotest.Fault{Hold: make(chan struct{})})
			server.Inject("hello", mongotest.Fault{Hold: make(chan struct{})})
		}
		return server.URI(), server.Close
	})
}

// A server that stops answering during a call.
func TestServerStops(t *testing.T) {
	server, _, store := own(t)
	require.NoError(t, store.Delete(t.Context(), "id"))
	for _, command := range []string{"find", "insert", "update", "delete", "aggregate", "createIndexes"} {
		for range 10 {
			server.Inject(command, mongotest.Fault{After: true, Hold: make(chan struct{})})
		}
	}
	for _, call := range []func(context.Context) error{
		func(ctx context.Context) error { _, err := store.Load(ctx, "id"); return err },
		func(ctx context.Context) error {
			return store.Save(ctx, "id", fallback.Revision{}, record(fallback.Revision{}, "one"))
		},
		func(ctx context.Context) error { return store.Touch(ctx, "id", time.Now().Add(time.Hour)) },
		func(ctx context.Context) error { return store.Delete(ctx, "id") },
		func(ctx context.Context) error { _, err := store.Len(ctx); return err },
		store.Clear, store.Migrate,
	} {
		server.Commands()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err := call(ctx)
		noAnswer(t, err)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		for _, c := range server.Commands() {
			require.False(t, c.Doc.Lookup("maxTimeMS").IsZero(), "%s: the server also has a time limit", c.Name)
		}
		cancel()
		ctx, cancel = context.WithCancel(t.Context())
		timer := time.AfterFunc(20*time.Millisecond, cancel)
		err = call(ctx)
		noAnswer(t, err)
		require.ErrorIs(t, err, context.Canceled)
		timer.Stop()
	}
}

// Errors are logged. The driver's errors contain the hosts, but not the
// password.
func TestErrorsHaveNoPassword(t *testing.T) {
	client := connect(t, "mongodb://app:hunter2@127.0.0.1:1/?replicaSet=rs0")
	store := newStore(t, client.Database("app").Collection("records"), mongostore.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for _, err := range calls(ctx, store) {
		require.Error(t, err)
		require.False(t, strings.Contains(err.Error(), "hunter2"))
		require.True(t, errors.Is(err, context.DeadlineExceeded))
	}
}
