package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// defaultReplicaTimeout is used if Options.ReplicaTimeout is 0.
const defaultReplicaTimeout = 500 * time.Millisecond

// redirects is how often a Cluster may redirect a write: slots move one at a
// time, and a failover moves them once.
const redirects = 4

// run runs a script on one key. With Options.Replicas it succeeds only if that
// many replicas have the result. The script and WAIT then use one connection
// and one round trip.
func (s *Store) run(ctx context.Context, script *redis.Script, key string, args ...any) (bool, error) {
	if s.opt.Replicas == 0 {
		return script.Run(ctx, s.client, []string{key}, args...).Bool()
	}
	node, err := s.master(ctx, key)
	asking := false
	for try := 0; err == nil; try++ {
		var done bool
		done, err = s.runOn(ctx, node, asking, script, key, args)
		moved, isMoved := redis.IsMovedError(err)
		ask, isAsk := redis.IsAskError(err)
		if !isMoved && !isAsk || try == redirects {
			return done, err
		}
		if asking = isAsk; isAsk {
			moved = ask
		}
		node, err = s.nodeAt(ctx, moved, key)
	}
	return false, err
}

func (s *Store) runOn(ctx context.Context, node *redis.Client, asking bool, script *redis.Script, key string, args []any) (bool, error) {
	pipe := node.Pipeline()
	if asking {
		pipe.Do(ctx, "ASKING")
	}
	// Send the script's text instead of its hash, because a pipeline cannot
	// send the text later.
	done := script.Eval(ctx, pipe, []string{key}, args...)
	reached := pipe.Do(ctx, "WAIT", s.opt.Replicas, s.opt.ReplicaTimeout.Milliseconds())
	_, _ = pipe.Exec(ctx) // each command has its own error
	ok, err := done.Bool()
	if err != nil || !ok {
		return false, err
	}
	n, err := reached.Int64()
	if err == nil && n < int64(s.opt.Replicas) {
		err = fmt.Errorf("%d of %d replicas have the write after %v", n, s.opt.Replicas, s.opt.ReplicaTimeout)
	}
	return err == nil, err
}

// master returns the server of a key.
func (s *Store) master(ctx context.Context, key string) (*redis.Client, error) {
	if cluster, ok := s.client.(*redis.ClusterClient); ok {
		return cluster.MasterForKey(ctx, key)
	}
	return s.client.(*redis.Client), nil // New has checked the type
}

// nodeAt returns the node to which a Cluster has redirected. The client's
// state of the Cluster is outdated then.
func (s *Store) nodeAt(ctx context.Context, address, key string) (node *redis.Client, err error) {
	cluster, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return nil, errors.New("the server is a Cluster's; use redisstore.NewClient with IsClusterMode")
	}
	cluster.ReloadState(ctx)
	found := make(chan *redis.Client, 1)
	err = cluster.ForEachMaster(ctx, func(_ context.Context, n *redis.Client) error {
		if n.Options().Addr == address {
			found <- n
		}
		return nil
	})
	select {
	case node = <-found:
		return node, nil
	default:
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	time.Sleep(20 * time.Millisecond) // wait for the new state
	return cluster.MasterForKey(ctx, key)
}

// checkReplicas returns an error if Options.Replicas or ReplicaTimeout is
// invalid.
func checkReplicas(client redis.UniversalClient, o Options) error {
	switch {
	case o.Replicas < 0:
		return errors.New("redisstore: Options.Replicas is negative; use 0 to wait for none")
	case o.ReplicaTimeout != 0 && o.ReplicaTimeout < time.Millisecond: // 0 ms would wait forever
		return errors.New("redisstore: Options.ReplicaTimeout is less than a millisecond; use 0 for 500 ms")
	case o.Replicas == 0:
		return nil
	}
	switch client.(type) {
	case *redis.Client, *redis.ClusterClient:
		return nil
	}
	return errors.New("redisstore: Options.Replicas needs a client of redisstore.NewClient, because the server of a key must be known")
}
