package dynamostore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/dynamostore"
)

// Throttled requests are retried. A request that is always throttled is an
// error, not a result.
func TestThrottling(t *testing.T) {
	for _, code := range []string{"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"} {
		left := atomic.Int64{}
		store, server := asked(t, func(call) *answer {
			if left.Add(-1) >= 0 {
				return failed(code)
			}
			return empty(call{})
		})
		left.Store(2)
		require.NoError(t, store.Delete(t.Context(), "id"))
		require.Len(t, server.calls(), 3)
		left.Store(1000)
		for what, err := range everyCall(t, store) {
			require.ErrorContains(t, err, code, what)
			require.NotErrorIs(t, err, fallback.ErrNotFound)
			require.NotErrorIs(t, err, fallback.ErrConflict)
		}
		require.Len(t, server.calls(), 3+6*3, "three requests each")
	}
}

// The end of the context ends the retries.
func TestThrottlingEndsWithTheContext(t *testing.T) {
	s := serve(t, "", func(call) *answer { return failed("ThrottlingException") })
	client := dial(t, s.URL, nil)
	store := newStore(t, patient{client}, dynamostore.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := store.Load(ctx, "id")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, fallback.ErrNotFound)
}

// patient would retry for an hour.
type patient struct{ *dynamodb.Client }

func (p patient) GetItem(ctx context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return p.Client.GetItem(ctx, in, func(o *dynamodb.Options) {
		o.Retryer = retry.NewStandard(func(s *retry.StandardOptions) {
			s.MaxAttempts = 1000
			s.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Hour, nil })
		})
	})
}

// The engine executes a write and its answer is lost. The SDK repeats it, and
// so may the caller. The write happens once.
func TestLostAnswers(t *testing.T) {
	_, table := newTable(t)
	lose := atomic.Int64{}
	server := serve(t, engine(t), func(call) *answer {
		if lose.Add(-1) >= 0 {
			return &answer{lost: true}
		}
		return nil
	})
	store := newStore(t, dial(t, server.URL, nil), dynamostore.Options{Table: table})
	one, old := record(fallback.Revision{}, "one"), fallback.Revision{}
	for i := range 6 {
		lost := int64(i)
		lose.Store(lost) // with 3 or more, the SDK gives up
		err := store.Save(t.Context(), "id", old, one)
		if lost < 3 {
			require.NoError(t, err, "%d answers lost", lost)
		} else {
			require.Error(t, err, "%d answers lost", lost)
			require.NotErrorIs(t, err, fallback.ErrConflict)
			lose.Store(0)
			require.NoError(t, store.Save(t.Context(), "id", old, one))
		}
		got, err := store.Load(t.Context(), "id")
		require.NoError(t, err)
		require.Equal(t, one.Revision, got.Revision)
		lose.Store(1)
		require.NoError(t, store.Touch(t.Context(), "id", one.Expires))
		old, one = one.Revision, record(one.Revision, "next "+strconv.Itoa(i))
	}
	lose.Store(1)
	require.NoError(t, store.Delete(t.Context(), "id"))
	require.ErrorIs(t, store.Save(t.Context(), "id", old, one), fallback.ErrConflict)
}

// If some answers are lost, 8 writers of one record lose no acknowledged
// write. A write whose answer was lost may count twice, because it gets a
// conflict if another one followed.
func TestCounterOverABadLine(t *testing.T) {
	_, table := newTable(t)
	calls := atomic.Int64{}
	server := serve(t, engine(t), func(call) *answer {
		switch calls.Add(1) % 7 {
		case 0:
			return &answer{lost: true}
		case 3:
			return failed("ThrottlingException")
		}
		return nil
	})
	const writers, each = 8, 4
	client := dial(t, server.URL, nil)
	store := newStore(t, client, dynamostore.Options{Table: table})
	require.Eventually(t, func() bool {
		return store.Save(t.Context(), "id", fallback.Revision{}, fallback.Record{Revision: fallback.Revision{Number: 1, Tag: [16]byte{1}},
			Data: []byte("0"), Expires: time.Now().Add(time.Hour)}) == nil
	}, 20*time.Second, 10*time.Millisecond)
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for range each {
				increment(t, store)
			}
		})
	}
	group.Wait()
	direct := newStore(t, dial(t, engine(t), nil), dynamostore.Options{Table: table})
	got, err := direct.Load(t.Context(), "id")
	require.NoError(t, err)
	n, err := strconv.Atoi(string(got.Data))
	require.NoError(t, err)
	require.GreaterOrEqual(t, n, writers*each)
	require.Equal(t, uint64(1+n), got.Revision.Number, "each state follows from the previous one")
}

// increment adds one. It repeats a Save whose result is unknown until it is
// known.
func increment(t *testing.T, store *dynamostore.Store) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		rec, err := store.Load(ctx, "id")
		if err != nil {
			continue
		}
		n, _ := strconv.Atoi(string(rec.Data))
		next := record(rec.Revision, strconv.Itoa(n+1))
		err = store.Save(ctx, "id", rec.Revision, next)
		for err != nil && !isConflict(err) && ctx.Err() == nil {
			err = store.Save(ctx, "id", rec.Revision, next)
		}
		if err == nil {
			return
		}
	}
	t.Error("an increment did not finish within a minute")
}

func TestDownServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	store := newStore(t, dial(t, "http://"+address, nil), dynamostore.Options{})
	for what, err := range everyCall(t, store) {
		require.ErrorContains(t, err, "connection refused", what)
		require.NotErrorIs(t, err, fallback.ErrNotFound, what)
	}
}

// A server that accepts connections and sends nothing must not block a
// request.
func TestSilentServerEndsWithTheContext(t *testing.T) {
	address, _ := silent(t)
	store := newStore(t, dial(t, address, nil), dynamostore.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := store.Load(ctx, "id")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// Without a context that ends, the client times out by itself and retries.
func TestSilentServerIsTriedAgain(t *testing.T) {
	address, dialed := silent(t)
	store := newStore(t, dialWith(t, address, nil, dynamostore.ClientOptions), dynamostore.Options{})
	_, err := store.Load(t.Context(), "id")
	require.ErrorContains(t, err, "timeout awaiting response headers")
	require.Eventually(t, func() bool { return dialed.Load() == 3 }, 20*time.Second, 10*time.Millisecond)
}

func silent(t *testing.T) (string, *atomic.Int64) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	dialed := &atomic.Int64{}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			dialed.Add(1)
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
	return "http://" + listener.Addr().String(), dialed
}

func TestNoGoroutineStays(t *testing.T) {
	_, table := newTable(t)
	before := runtime.NumGoroutine()
	wire := &line{}
	client := dial(t, engine(t), wire)
	store := newStore(t, client, dynamostore.Options{Table: table})
	for i := range 50 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*100*time.Microsecond)
		_ = store.Save(ctx, fmt.Sprint(i), fallback.Revision{}, record(fallback.Revision{}, "one"))
		_, _ = store.Load(ctx, fmt.Sprint(i))
		_ = store.Touch(ctx, fmt.Sprint(i), time.Now().Add(time.Hour))
		cancel()
	}
	require.NoError(t, store.Clear(t.Context()))
	wire.cut()
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, 20*time.Second, 20*time.Millisecond, "the condition itself runs in a goroutine")
}

func isConflict(err error) bool { return errors.Is(err, fallback.ErrConflict) }
