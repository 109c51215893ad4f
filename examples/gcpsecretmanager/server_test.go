package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	account = "web@example-project.iam.gserviceaccount.com"
	name    = "projects/example-project/secrets/session-keys"

	// maxSecret is the maximum size of a version in bytes.
	maxSecret = 65536
)

// server implements the only call of Secret Manager that the program makes,
// over TLS, and checks that the caller is the service account.
type server struct {
	secretmanagerpb.UnimplementedSecretManagerServiceServer
	t        *testing.T
	endpoint string
	key      *rsa.PrivateKey // of the service account
	files    string          // a folder with the program's credentials

	mu     sync.Mutex // guards the rest
	latest []byte     // nil: no version
	number int
	refuse error // nil: success
	spoil  bool  // damage the response
}

func newServer(t *testing.T) *server {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		t.Skip("SSL_CERT_FILE, with which the program trusts this server, is ignored on " + runtime.GOOS)
	}
	s := &server{t: t, files: t.TempDir(), key: authority().key}
	s.write("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority().der}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.endpoint = listener.Addr().String()
	g := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(authority().certificate())))
	secretmanagerpb.RegisterSecretManagerServiceServer(g, s)
	go g.Serve(listener)
	t.Cleanup(g.Stop)
	s.writeCredentials()
	return s
}

// identity is a key, used by the service account and by the server, and the
// certificate that the program trusts.
type identity struct {
	key *rsa.PrivateKey
	der []byte
}

// authority is shared by all tests, because a process reads its trusted roots
// only once.
var authority = sync.OnceValue(func() identity {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return identity{key, der}
})

func (i identity) certificate() *tls.Certificate {
	return &tls.Certificate{Certificate: [][]byte{i.der}, PrivateKey: i.key}
}

// writeCredentials writes the file with the service account's key.
func (s *server) writeCredentials() {
	der, err := x509.MarshalPKCS8PrivateKey(s.key)
	require.NoError(s.t, err)
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "example-project", "client_email": account, "client_id": "1",
		"private_key_id": "key-1", "private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"token_uri": "https://127.0.0.1:1/nothing-is-here",
	})
	require.NoError(s.t, err)
	s.write("account.json", text)
}

func (s *server) write(file string, text []byte) {
	require.NoError(s.t, os.WriteFile(filepath.Join(s.files, file), text, 0o600))
}

// environment returns the variables that the program needs to call as the
// service account.
func (s *server) environment() []string {
	return []string{
		"GOOGLE_APPLICATION_CREDENTIALS=" + filepath.Join(s.files, "account.json"),
		"SSL_CERT_FILE=" + filepath.Join(s.files, "ca.pem"),
	}
}

// put adds a version, which becomes the latest.
func (s *server) put(text string) {
	require.LessOrEqual(s.t, len(text), maxSecret)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest = []byte(text)
	s.number++
}

func (s *server) set(refuse error, spoil bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse, s.spoil = refuse, spoil
}

// AccessSecretVersion returns the latest version of the only secret.
func (s *server) AccessSecretVersion(ctx context.Context, in *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	if err := s.check(ctx, in); err != nil {
		s.t.Errorf("an invalid call: %v", err)
		return nil, status.Error(codes.Unauthenticated, err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		return nil, s.refuse
	}
	if in.Name != name+"/versions/latest" || s.latest == nil {
		return nil, status.Errorf(codes.NotFound, "Secret Version [%s] not found.", in.Name)
	}
	sum := int64(crc32.Checksum(s.latest, crc32.MakeTable(crc32.Castagnoli)))
	data := append([]byte(nil), s.latest...)
	if s.spoil {
		data[len(data)/2]++
	}
	return &secretmanagerpb.AccessSecretVersionResponse{
		Name:    fmt.Sprintf("projects/123456/secrets/session-keys/versions/%d", s.number),
		Payload: &secretmanagerpb.SecretPayload{Data: data, DataCrc32C: &sum},
	}, nil
}

// check checks the documented requirements of a call: the resource in the
// routing header, and the caller.
func (s *server) check(ctx context.Context, in *secretmanagerpb.AccessSecretVersionRequest) error {
	md, _ := metadata.FromIncomingContext(ctx)
	one := func(key string) string { return strings.Join(md.Get(key), "\n") }
	if one("x-goog-request-params") != "name="+url.QueryEscape(in.Name) {
		return errors.New("x-goog-request-params does not name the resource: " + one("x-goog-request-params"))
	}
	token, ok := strings.CutPrefix(one("authorization"), "Bearer ")
	if !ok {
		return errors.New("no bearer token")
	}
	return s.checkToken(token)
}

// checkToken checks a token that a service account has signed itself.
func (s *server) checkToken(token string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("the token is not a JWT")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&s.key.PublicKey, crypto.SHA256, sum[:], signature); err != nil {
		return err
	}
	var claims struct {
		Iss, Sub, Aud, Scope string
		Iat, Exp             int64
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(text, &claims)
	}
	now := time.Now().Unix()
	switch {
	case err != nil:
		return err
	case claims.Iss != account || claims.Sub != account:
		return errors.New("the token belongs to another account")
	case now > claims.Exp || now < claims.Iat-300 || claims.Exp-claims.Iat > 3700:
		return errors.New("the token is not valid now")
	case claims.Scope != "https://www.googleapis.com/auth/cloud-platform" && claims.Aud != "https://secretmanager.googleapis.com/":
		return errors.New("the token is for something else: " + string(text))
	}
	return nil
}
