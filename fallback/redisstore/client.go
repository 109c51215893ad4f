package redisstore

import (
	"time"

	"github.com/redis/go-redis/v9"
)

// NewClient is redis.NewUniversalClient with the settings that sessions need,
// if o does not set them. For a Cluster (more than one address, or
// IsClusterMode) these are the settings of [ClusterOptions]. For a single
// server or Sentinel (MasterName), a call ends with its context, and a server
// that does not answer is not dialed five times. o is not changed.
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

// ClusterOptions sets options so that a client detects a dead master quickly,
// and returns o. It changes only zero values: ClusterStateReloadInterval
// becomes 500 ms (default 60 s), DialerRetries 1 (5), and DialerRetryTimeout
// 10 ms (100 ms). It also sets ContextTimeoutEnabled; without it a call
// continues after its context has ended.
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
