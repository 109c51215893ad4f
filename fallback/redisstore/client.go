package redisstore

import (
	"time"

	"github.com/redis/go-redis/v9"
)

// NewClient is redis.NewUniversalClient with the settings that sessions need,
// where o leaves them unset: those of [ClusterOptions] for a Cluster (more than
// one address, or IsClusterMode), and for a single server or Sentinel
// (MasterName) that a call ends when its context does and that a server which
// does not answer is not dialed five times. o is not changed.
func NewClient(o *redis.UniversalOptions) redis.UniversalClient {
	own := *o
	own.ContextTimeoutEnabled = true
	if own.DialerRetries == 0 {
		own.DialerRetries = dialerRetries
	}
	if own.DialerRetryTimeout == 0 {
		own.DialerRetryTimeout = dialerRetryTimeout
	}
	if own.MasterName == "" && (len(own.Addrs) > 1 || own.IsClusterMode) {
		return redis.NewClusterClient(ClusterOptions(own.Cluster()))
	}
	return redis.NewUniversalClient(&own)
}

const (
	stateReload        = 500 * time.Millisecond
	dialerRetries      = 1
	dialerRetryTimeout = 10 * time.Millisecond
)

// ClusterOptions sets, where they are zero, the options by which a client
// notices that a master has died, and returns o: ClusterStateReloadInterval to
// 500 ms (the default is 60 s), DialerRetries to 1 (5) and DialerRetryTimeout
// to 10 ms (100 ms). It sets ContextTimeoutEnabled, without which a call goes
// on when its context has ended.
func ClusterOptions(o *redis.ClusterOptions) *redis.ClusterOptions {
	o.ContextTimeoutEnabled = true
	if o.ClusterStateReloadInterval == 0 {
		o.ClusterStateReloadInterval = stateReload
	}
	if o.DialerRetries == 0 {
		o.DialerRetries = dialerRetries
	}
	if o.DialerRetryTimeout == 0 {
		o.DialerRetryTimeout = dialerRetryTimeout
	}
	return o
}
