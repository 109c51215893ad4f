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

// An identity is a certificate for all Hosts. Every process makes a new one.
type identity struct{ leaf tls.Certificate }

// testIdentity returns the identity of this process. The browsers get it when
// they start.
var testIdentity = sync.OnceValue(func() identity {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // without randomness no test can run
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
		panic(err) // the template is valid
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return identity{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}}
})

// pin returns the key's fingerprint in the form of Chromium's command line.
func (i identity) pin() string {
	sum := sha256.Sum256(i.leaf.Leaf.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// NewTLSServer serves h over https and HTTP/2 with a certificate that both
// browsers trust. The address consists of a name in Hosts and the port in the
// server's URL: "https://a.app.test:PORT". Use [At].
func NewTLSServer(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{testIdentity().leaf}}
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// At returns the address of a server under one of the names in Hosts, without a
// final slash.
func At(server *httptest.Server, host string) string {
	u, err := url.Parse(server.URL)
	if err != nil {
		panic(err) // httptest made the URL
	}
	return u.Scheme + "://" + net.JoinHostPort(host, u.Port())
}

// NewServer serves h over http on 127.0.0.1 until the test ends.
func NewServer(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}
