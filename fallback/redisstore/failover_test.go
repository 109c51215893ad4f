package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/redisstore"
)

func TestMain(m *testing.M) {
	logging.Disable() // it logs every dead node
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}

func writeFile(name, text string) error { return os.WriteFile(name, []byte(text), 0o600) }

func TestClusterConforms(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six servers")
	}
	_, addresses := startCluster(t)
	conform(t, &redis.UniversalOptions{Addrs: addresses})
}

func TestClusterSurvivesAMaster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six servers and kills one")
	}
	nodes, addresses := startCluster(t)
	client := clusterClient(t, addresses)
	store := newStore(t, client, redisstore.Options{})
	master, err := client.MasterForKey(t.Context(), redisstore.DefaultPrefix+"0")
	require.NoError(t, err)
	outage := failover(t, store, func() {
		require.NoError(t, client.ForEachMaster(t.Context(), func(_ context.Context, node *redis.Client) error {
			waitForReplica(t, node)
			return nil
		}))
	}, nodes[master.Options().Addr].kill)
	require.Less(t, outage, 30*time.Second, "without ClusterOptions it is a minute")
}

func TestSentinelSurvivesAMaster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six servers and kills one")
	}
	master, sentinels := startSentinel(t)
	client := dial(t, &redis.UniversalOptions{Addrs: sentinels, MasterName: "mine"})
	store := newStore(t, client, redisstore.Options{})
	failover(t, store, func() { waitForReplica(t, client.(*redis.Client)) }, master.kill)
}

// waitForReplica returns when a replica has the master's current data. (WAIT
// counts only the writes of its own connection.)
func waitForReplica(t *testing.T, master *redis.Client) {
	wanted := int64(-1)
	eventually(t, "a replica has what the master has", func() bool {
		info, _ := master.Info(context.Background(), "replication").Result()
		if wanted < 0 {
			wanted = offset(info, "master_repl_offset:")
		}
		return wanted >= 0 && offset(info, "state=online,offset=") >= wanted
	})
}

// offset returns the number that follows a name, or -1.
func offset(info, name string) int64 {
	_, rest, found := strings.Cut(info, name)
	digits := rest[:max(0, strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' }))]
	n, err := strconv.ParseInt(digits, 10, 64)
	if !found || err != nil {
		return -1
	}
	return n
}

const visitors = 60

// visitor is a session that writes continuously and records the results.
type visitor struct {
	id     string
	rec    fallback.Record // the last acknowledged record
	behind int             // number of acknowledged writes that the failover lost
}

// failover writes to many records, kills a server, and checks the result: all
// data that reached a replica is there, no record mixes two writes, and writes
// continue.
func failover(t *testing.T, store *redisstore.Store, settle func(), kill func()) time.Duration {
	settled := make([]fallback.Record, visitors)
	for i := range settled {
		settled[i] = next(fallback.Record{})
		require.NoError(t, store.Save(t.Context(), "settled "+strconv.Itoa(i), fallback.Revision{}, settled[i]))
	}
	settle()

	all, stop := make([]*visitor, visitors), make(chan struct{})
	var group sync.WaitGroup
	var outage worst
	for i := range all {
		all[i] = &visitor{id: strconv.Itoa(i)}
		group.Go(func() { all[i].write(t, store, stop, &outage) })
	}
	time.Sleep(300 * time.Millisecond)
	kill()
	time.Sleep(500 * time.Millisecond)
	eventually(t, "every visitor writes again", func() bool { return outage.over() })
	close(stop)
	group.Wait()

	behind := 0
	for _, v := range all {
		behind += v.behind
		got, err := store.Load(t.Context(), v.id)
		require.NoError(t, err)
		require.Equal(t, v.rec.Revision, got.Revision)
	}
	for i, rec := range settled {
		got, err := store.Load(t.Context(), "settled "+strconv.Itoa(i))
		require.NoError(t, err, "a replica had the record")
		require.Equal(t, rec.Revision, got.Revision)
		require.Equal(t, rec.Data, got.Data)
	}
	t.Logf("the longest time without a write of some visitor: %v; acknowledged and lost by the failover: %d of %d writes",
		outage.longest().Round(time.Millisecond), behind, outage.writes.Load())
	return outage.longest()
}

func next(rec fallback.Record) fallback.Record {
	r := rec.Revision.Next()
	return fallback.Record{Revision: r, Data: fmt.Appendf(nil, "%d %x", r.Number, r.Tag), Expires: time.Now().Add(time.Hour)}
}

// write saves continuously and reacts to each result as a session does.
func (v *visitor) write(t *testing.T, store *redisstore.Store, stop chan struct{}, outage *worst) {
	for {
		select {
		case <-stop:
			if v.again(t, store) == nil {
				return
			}
		case <-time.After(2 * time.Millisecond):
			if v.again(t, store) == nil {
				outage.wrote(v.id)
			}
		}
	}
}

func (v *visitor) again(t *testing.T, store *redisstore.Store) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	rec := next(v.rec)
	err := store.Save(ctx, v.id, v.rec.Revision, rec)
	switch {
	case err == nil:
		v.rec = rec
	case errors.Is(err, fallback.ErrConflict):
		v.reload(t, ctx, store)
	}
	return err
}

// reload loads the current record. Only this visitor writes to it, so it is a
// cancelled write that arrived, or an earlier state after a failover.
func (v *visitor) reload(t *testing.T, ctx context.Context, store *redisstore.Store) {
	got, err := store.Load(ctx, v.id)
	switch {
	case errors.Is(err, fallback.ErrNotFound):
		got = fallback.Record{}
	case err != nil:
		return
	case string(got.Data) != fmt.Sprintf("%d %x", got.Revision.Number, got.Revision.Tag):
		t.Errorf("the record is a mix: revision %d with the data %q", got.Revision.Number, got.Data)
	}
	if got.Revision.Number < v.rec.Revision.Number {
		v.behind += int(v.rec.Revision.Number - got.Revision.Number)
	}
	v.rec = got
}

// worst measures for how long each visitor could not write.
type worst struct {
	mu     sync.Mutex
	last   map[string]time.Time
	most   time.Duration
	writes atomic.Int64
}

func (w *worst) wrote(id string) {
	w.writes.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil {
		w.last = map[string]time.Time{}
	}
	if before, ok := w.last[id]; ok {
		w.most = max(w.most, time.Since(before))
	}
	w.last[id] = time.Now()
}

func (w *worst) longest() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.most
}

// over reports whether a visitor had to wait, and all of them write again.
func (w *worst) over() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.last) < visitors || w.most < 500*time.Millisecond {
		return false
	}
	for _, at := range w.last {
		if time.Since(at) > 250*time.Millisecond {
			return false
		}
	}
	return true
}
