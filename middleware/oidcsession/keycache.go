package oidcsession

import (
	"bytes"
	"cmp"
	"io"
	"net/http"
	"sync"
	"time"
)

// keyCache is the transport for the provider's public keys. It keeps a response for
// keyCacheTime. Package oidc reads the keys again for each token whose signature does
// not fit: without the cache, anyone who sends bad logout tokens would make this
// program flood the provider.
type keyCache struct {
	base http.RoundTripper

	mu   sync.Mutex
	at   time.Time
	kept *http.Response // its body is empty
	body []byte
}

const (
	keyCacheTime = 5 * time.Second
	maxKeysBytes = 1 << 20
)

// withKeyCache returns a client for the provider's public keys.
func withKeyCache(c *http.Client) *http.Client {
	cached := *c
	cached.Transport = &keyCache{base: cmp.Or(c.Transport, http.DefaultTransport)}
	return &cached
}

// RoundTrip implements http.RoundTripper for requests to one address.
func (k *keyCache) RoundTrip(r *http.Request) (*http.Response, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept != nil && time.Since(k.at) < keyCacheTime {
		return k.response(r), nil
	}
	got, err := k.base.RoundTrip(r)
	if err != nil || got.StatusCode != http.StatusOK {
		return got, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, got.Body, maxKeysBytes))
	_ = got.Body.Close()
	if err != nil {
		return nil, err
	}
	k.at, k.kept, k.body = time.Now(), got, body
	return k.response(r), nil
}

func (k *keyCache) response(r *http.Request) *http.Response {
	response := *k.kept
	response.Request, response.Header, response.Body = r, k.kept.Header.Clone(), io.NopCloser(bytes.NewReader(k.body))
	return &response
}
