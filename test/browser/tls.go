package browser

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// identity is a certificate for all of Hosts, new in every process.
type identity struct{ leaf tls.Certificate }

// testIdentity is the one identity of this process; the browsers are told of
// it when they start.
var testIdentity = sync.OnceValue(func() identity {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // no randomness: nothing can be tested
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		DNSNames:     append([]string{"localhost"}, Hosts...),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err) // the template is ours
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return identity{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}}
})

// pin is what Chromium wants to know of the key it is to trust.
func (i identity) pin() string {
	sum := sha256.Sum256(i.leaf.Leaf.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// NewTLSServer serves h over https (and HTTP/2) with a certificate that both
// browsers trust. Take the port from its URL and the name from Hosts:
// "https://a.app.test:PORT".
func NewTLSServer(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{testIdentity().leaf}}
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// At is the address of a server under one of the names in Hosts, without a
// final slash.
func At(server *httptest.Server, host string) string {
	u, err := url.Parse(server.URL)
	if err != nil {
		panic(err) // httptest made it
	}
	return u.Scheme + "://" + net.JoinHostPort(host, u.Port())
}

// NewServer serves h over plain http on 127.0.0.1 until the test ends.
func NewServer(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}
