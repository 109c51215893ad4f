package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/carryon-go/carryon/fallback"
)

// DefaultPrefix is the prefix of keys if Options.Prefix is empty.
const DefaultPrefix = "carryon:"

// keyGrace is how long a key outlives its record, for replicas whose clocks
// are behind the server's.
const keyGrace = time.Minute

// Options configures a [Store]. The zero value is ready to use.
type Options struct {
	// Prefix is the prefix of all keys; "" means [DefaultPrefix]. Programs may
	// share it, because their ids never collide. The maximum is 256 bytes.
	Prefix string

	// Replicas is how many replicas must have a write before it is
	// acknowledged; 0 means none, the default of Redis. With 1, a failover
	// loses no acknowledged write if the new master is the replica that had
	// it. That is always true with one replica per master. With more replicas
	// it is nearly always true, because the most current one is preferred. If
	// too few replicas have a write, the call fails although the write is
	// stored. So use one more replica than you wait for; otherwise writes fail
	// while one is down.
	Replicas int

	// ReplicaTimeout is how long a write waits for the replicas, in whole
	// milliseconds; 0 means 500 ms. It should be less than half of
	// Config.Fallback.Timeout.
	ReplicaTimeout time.Duration

	// Clock returns the current time; nil means time.Now.
	Clock func() time.Time
}

// Store is a [fallback.Store] in Redis. It is also a [fallback.Counter],
// [fallback.Clearer] and [fallback.Checker]. Redis removes expired records
// itself.
type Store struct {
	client redis.UniversalClient
	opt    Options
}

var (
	_ fallback.Store   = (*Store)(nil)
	_ fallback.Counter = (*Store)(nil)
	_ fallback.Clearer = (*Store)(nil)
	_ fallback.Checker = (*Store)(nil)
)

// New returns a store over a client. The caller closes the client. New does
// not contact the server.
func New(client redis.UniversalClient, o Options) (*Store, error) {
	if client == nil {
		return nil, errors.New("redisstore: no client; use redisstore.NewClient")
	}
	if cluster, ok := client.(*redis.ClusterClient); ok && cluster.Options().ReadOnly {
		return nil, errors.New("redisstore: the client reads from replicas, which lag behind the master; " +
			"leave ReadOnly, RouteByLatency and RouteRandomly off")
	}
	if len(o.Prefix) > 256 {
		return nil, errors.New("redisstore: Options.Prefix is longer than 256 bytes")
	}
	if err := checkReplicas(client, o); err != nil {
		return nil, err
	}
	if o.ReplicaTimeout == 0 {
		o.ReplicaTimeout = defaultReplicaTimeout
	}
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &Store{client: client, opt: o}, nil
}

// Load implements [fallback.Store] with one GET.
func (s *Store) Load(ctx context.Context, id string) (fallback.Record, error) {
	if err := fallback.CheckID(id); err != nil {
		return fallback.Record{}, err
	}
	value, err := s.client.Get(ctx, s.opt.Prefix+id).Bytes()
	if errors.Is(err, redis.Nil) {
		return fallback.Record{}, fallback.ErrNotFound
	}
	var rec fallback.Record
	if err == nil {
		rec, err = unpack(value)
	}
	if err != nil {
		return fallback.Record{}, fail(ctx, "load a record", err)
	}
	if rec.Expires.UnixMilli() <= s.now() {
		return fallback.Record{}, fallback.ErrNotFound
	}
	return rec, nil
}

// Save implements [fallback.Store] with one script, and with Options.Replicas
// a WAIT in the same round trip.
func (s *Store) Save(ctx context.Context, id string, old fallback.Revision, new fallback.Record) error {
	if err := fallback.CheckSave(id, old, new); err != nil {
		return err
	}
	done, err := s.run(ctx, saveScript, s.opt.Prefix+id,
		revision(old), pack(new), s.now(), gone(new.Expires))
	if err != nil {
		return fail(ctx, "save a record", err)
	}
	if !done {
		return fallback.ErrConflict
	}
	return nil
}

// Touch implements [fallback.Store] with one script, like Save.
func (s *Store) Touch(ctx context.Context, id string, expires time.Time) error {
	if err := errors.Join(fallback.CheckID(id), fallback.CheckExpiry(expires)); err != nil {
		return err
	}
	found, err := s.run(ctx, touchScript, s.opt.Prefix+id,
		digits(expires), s.now(), gone(expires))
	if err != nil {
		return fail(ctx, "touch a record", err)
	}
	if !found {
		return fallback.ErrNotFound
	}
	return nil
}

// Delete implements [fallback.Store] with one UNLINK.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := fallback.CheckID(id); err != nil {
		return err
	}
	return fail(ctx, "delete a record", s.client.Unlink(ctx, s.opt.Prefix+id).Err())
}

func (s *Store) now() int64 { return s.opt.Clock().UnixMilli() }

func gone(expires time.Time) int64 { return expires.Add(keyGrace).UnixMilli() }

// fail adds the failed operation to an error. It also adds the error of an
// ended context, because the client may report its own time limit instead.
func fail(ctx context.Context, what string, err error) error {
	switch {
	case err == nil:
		return nil
	case err.Error() == "FOREIGN" || err.Error() == "ERR FOREIGN":
		err = errForeign
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("redisstore: cannot %s: %w: %w", what, ended, err)
	}
	return fmt.Errorf("redisstore: cannot %s: %w", what, err)
}
