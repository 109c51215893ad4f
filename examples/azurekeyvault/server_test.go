package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	vaultHost = "example.vault.azure.net"
	tenant    = "11111111-2222-3333-4444-555555555555"
	token     = "test-token"
	identity  = "test-identity-header"

	// maxSecret is the maximum size of a secret in bytes:
	// https://learn.microsoft.com/en-us/azure/key-vault/secrets/about-secrets
	maxSecret = 25 * 1024
)

// A server stands for Azure, which no test can run. It follows the published
// REST API of Key Vault's secrets, version 7 and later, and the managed
// identity endpoint of App Service:
// https://learn.microsoft.com/en-us/rest/api/keyvault/secrets/get-secret/get-secret
// https://learn.microsoft.com/en-us/azure/app-service/overview-managed-identity#rest-endpoint-reference
//
// The program reaches the vault under its real name, over TLS, through a proxy
// that leads there.
type server struct {
	t     *testing.T
	login *httptest.Server
	vault *httptest.Server
	proxy *httptest.Server
	roots string // file with the certificate

	mu       sync.Mutex
	versions []string
	broken   bool
}

func newServer(t *testing.T) *server {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		t.Skip("SSL_CERT_FILE, with which the program trusts this server, is ignored on " + runtime.GOOS)
	}
	s := &server{t: t, roots: filepath.Join(t.TempDir(), "ca.pem")}
	s.login = httptest.NewServer(http.HandlerFunc(s.serveToken))
	s.vault = httptest.NewUnstartedServer(http.HandlerFunc(s.serveSecret))
	s.vault.TLS = &tls.Config{Certificates: []tls.Certificate{s.certificate()}}
	s.vault.StartTLS()
	s.proxy = httptest.NewServer(http.HandlerFunc(s.connect))
	for _, each := range []*httptest.Server{s.login, s.vault, s.proxy} {
		t.Cleanup(each.Close)
	}
	return s
}

// certificate makes a certificate for the vault's name, and stores it for the
// program.
func (s *server) certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(s.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{vaultHost},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(s.t, err)
	require.NoError(s.t, os.WriteFile(s.roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (s *server) environment() []string {
	return []string{
		"IDENTITY_ENDPOINT=" + s.login.URL + "/msi/token", "IDENTITY_HEADER=" + identity, "AZURE_TOKEN_CREDENTIALS=ManagedIdentityCredential",
		"HTTPS_PROXY=" + s.proxy.URL, "SSL_CERT_FILE=" + s.roots,
	}
}

func (s *server) put(text string) {
	require.LessOrEqual(s.t, len(text), maxSecret)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions = append(s.versions, text)
}

func (s *server) fail(broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = broken
}

// connect leads a connection to the vault's name to the server.
func (s *server) connect(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect || r.Host != vaultHost+":443" {
		s.t.Errorf("the program calls %s %s", r.Method, r.Host)
		http.Error(w, "", http.StatusForbidden)
		return
	}
	vault, err := net.Dial("tcp", s.vault.Listener.Addr().String())
	if err != nil {
		http.Error(w, "", http.StatusBadGateway)
		return
	}
	program, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		vault.Close()
		return
	}
	fmt.Fprint(program, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() { io.Copy(vault, program); vault.Close() }()
	go func() { io.Copy(program, vault); program.Close() }()
}

func (s *server) serveToken(w http.ResponseWriter, r *http.Request) {
	if q := r.URL.Query(); r.URL.Path != "/msi/token" || q.Get("api-version") != "2019-08-01" || q.Get("resource") != "https://vault.azure.net" || r.Header.Get("X-IDENTITY-HEADER") != identity {
		s.t.Errorf("an invalid request for a token: %s", r.URL)
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	json.NewEncoder(w).Encode(map[string]string{
		"access_token": token, "expires_on": fmt.Sprint(time.Now().Add(24 * time.Hour).Unix()), "resource": "https://vault.azure.net", "token_type": "Bearer", "client_id": tenant,
	})
}

func (s *server) serveSecret(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	s.mu.Lock()
	defer s.mu.Unlock()
	name, ok := strings.CutPrefix(strings.TrimSuffix(r.URL.Path, "/"), "/secrets/")
	switch version := r.URL.Query().Get("api-version"); {
	case r.Method != http.MethodGet || !ok || version == "":
		s.t.Errorf("an undocumented call: %s %s", r.Method, r.URL)
		refuse(w, http.StatusBadRequest, "BadParameter")
	case r.Header.Get("Authorization") == "":
		w.Header().Set("WWW-Authenticate", `Bearer authorization="https://login.microsoftonline.com/`+tenant+`", resource="https://vault.azure.net"`)
		refuse(w, http.StatusUnauthorized, "Unauthorized")
	case r.Header.Get("Authorization") != "Bearer "+token:
		refuse(w, http.StatusForbidden, "Forbidden")
	case s.broken:
		refuse(w, http.StatusInternalServerError, "InternalServerError")
	case name != "session-keys" || len(s.versions) == 0:
		refuse(w, http.StatusNotFound, "SecretNotFound")
	default:
		json.NewEncoder(w).Encode(map[string]any{
			"value": s.versions[len(s.versions)-1], "id": fmt.Sprintf("https://%s/secrets/session-keys/%032x", vaultHost, len(s.versions)),
			"attributes": map[string]any{"enabled": true, "created": 1493938410, "updated": 1493938410, "recoveryLevel": "Recoverable+Purgeable"},
		})
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"code": code, "message": code}})
}
