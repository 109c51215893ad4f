package main

import (
	"bufio"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// realVault is the variable that names the program of a real Vault or OpenBao
// for these tests. Without it, they use a server of ours that follows the
// published API, because building Vault takes longer than all tests:
// https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2 and
// https://developer.hashicorp.com/vault/api-docs/secret/transit
const realVault = "CARRYON_VAULT"

const token = "hvs.test-token"

// A vault is a server with a KV engine at secret, and a transit engine at
// transit with the keys session-keys and other.
type vault struct {
	t      *testing.T
	url    string
	client *api.Client
	seal   func(bool) // a sealed server refuses everything
}

func newVault(t *testing.T) *vault {
	v := &vault{t: t}
	if program := os.Getenv(realVault); program != "" {
		v.startReal(program)
	} else {
		v.startOurs()
	}
	config := api.DefaultConfig()
	config.Address, config.MaxRetries = v.url, 0
	client, err := api.NewClient(config)
	require.NoError(t, err)
	client.SetToken(token)
	v.client = client
	if os.Getenv(realVault) != "" {
		v.setUp()
	}
	return v
}

// environment returns the variables of a program that uses the server.
func (v *vault) environment() []string {
	return []string{"VAULT_ADDR=" + v.url, "VAULT_TOKEN=" + token}
}

// put makes a text the newest version of the secret.
func (v *vault) put(text string) {
	_, err := v.client.KVv2("secret").Put(context.Background(), "session-keys", map[string]any{"ring": text})
	require.NoError(v.t, err)
}

// wrap encrypts a text with a key of the transit engine.
func (v *vault) wrap(key, text string) string {
	answer, err := v.client.Logical().Write("transit/encrypt/"+key, map[string]any{"plaintext": base64.StdEncoding.EncodeToString([]byte(text))})
	require.NoError(v.t, err)
	return answer.Data["ciphertext"].(string)
}

// startReal starts a server in development mode.
func (v *vault) startReal(program string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(v.t, err)
	address := listener.Addr().String()
	listener.Close()
	v.url = "http://" + address
	command := exec.Command(program, "server", "-dev", "-dev-no-store-token", "-dev-root-token-id="+token, "-dev-listen-address="+address)
	command.Env = append(os.Environ(), "HOME="+v.t.TempDir())
	out, err := command.StdoutPipe()
	require.NoError(v.t, err)
	require.NoError(v.t, command.Start())
	v.t.Cleanup(func() { command.Process.Kill(); command.Wait() })
	key := ""
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), "Development mode should NOT be used") {
		if rest, ok := strings.CutPrefix(lines.Text(), "Unseal Key: "); ok {
			key = rest
		}
	}
	require.NotEmpty(v.t, key, "the server does not start")
	go func() {
		for lines.Scan() {
		}
	}()
	v.seal = func(sealed bool) {
		if sealed {
			require.NoError(v.t, v.client.Sys().Seal())
			return
		}
		_, err := v.client.Sys().Unseal(key)
		require.NoError(v.t, err)
		require.Eventually(v.t, func() bool { // it is a standby server for a moment
			_, err := v.client.Auth().Token().LookupSelf()
			return err == nil
		}, time.Minute, 10*time.Millisecond)
	}
}

func (v *vault) setUp() {
	require.NoError(v.t, v.client.Sys().Mount("transit", &api.MountInput{Type: "transit"}))
	for _, key := range []string{"session-keys", "other"} {
		_, err := v.client.Logical().Write("transit/keys/"+key, nil)
		require.NoError(v.t, err)
	}
}

// ours is the server that follows the published API.
type ours struct {
	mu     sync.Mutex
	sealed bool
	kv     []any // versions of the secret
	keys   map[string]cipher.AEAD
}

func (v *vault) startOurs() {
	s := &ours{keys: map[string]cipher.AEAD{}}
	for _, name := range []string{"session-keys", "other"} {
		key := make([]byte, 32)
		rand.Read(key)
		block, err := aes.NewCipher(key)
		require.NoError(v.t, err)
		s.keys[name], err = cipher.NewGCMWithRandomNonce(block)
		require.NoError(v.t, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/secret/data/session-keys", s.read)
	mux.HandleFunc("PUT /v1/secret/data/session-keys", s.write)
	mux.HandleFunc("PUT /v1/transit/encrypt/{key}", s.encrypt)
	mux.HandleFunc("PUT /v1/transit/decrypt/{key}", s.decrypt)
	server := httptest.NewServer(s.guard(mux))
	v.t.Cleanup(server.Close)
	v.url = server.URL
	v.seal = func(sealed bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sealed = sealed
	}
}

// guard checks what every call needs: an unsealed server, and a token.
func (s *ours) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case s.sealed:
			refuse(w, http.StatusServiceUnavailable, "Vault is sealed")
		case r.Header.Get("X-Vault-Token") != token:
			refuse(w, http.StatusForbidden, "permission denied")
		default:
			if r.Method == http.MethodPost { // the same to Vault
				r.Method = http.MethodPut
			}
			next.ServeHTTP(w, r)
		}
	})
}

func refuse(w http.ResponseWriter, status int, errors ...string) {
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"errors": append([]string{}, errors...)})
}

func answer(w http.ResponseWriter, data any) {
	json.NewEncoder(w).Encode(map[string]any{"request_id": "3a6b1b6e", "lease_id": "", "renewable": false, "lease_duration": 0, "data": data})
}

func (s *ours) metadata() map[string]any {
	return map[string]any{"version": len(s.kv), "created_time": "2026-01-31T12:00:00.000000000Z", "deletion_time": "", "destroyed": false, "custom_metadata": nil}
}

func (s *ours) read(w http.ResponseWriter, _ *http.Request) {
	if len(s.kv) == 0 {
		refuse(w, http.StatusNotFound)
		return
	}
	answer(w, map[string]any{"data": s.kv[len(s.kv)-1], "metadata": s.metadata()})
}

func (s *ours) write(w http.ResponseWriter, r *http.Request) {
	var in struct{ Data map[string]any }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Data == nil {
		refuse(w, http.StatusBadRequest, "no data provided")
		return
	}
	s.kv = append(s.kv, in.Data)
	answer(w, s.metadata())
}

func (s *ours) encrypt(w http.ResponseWriter, r *http.Request) {
	var in struct{ Plaintext string }
	json.NewDecoder(r.Body).Decode(&in)
	text, err := base64.StdEncoding.DecodeString(in.Plaintext)
	key := s.keys[r.PathValue("key")]
	if err != nil || key == nil {
		refuse(w, http.StatusBadRequest, "failed to base64-decode plaintext")
		return
	}
	answer(w, map[string]any{"ciphertext": "vault:v1:" + base64.StdEncoding.EncodeToString(key.Seal(nil, nil, text, nil)), "key_version": 1})
}

func (s *ours) decrypt(w http.ResponseWriter, r *http.Request) {
	var in struct{ Ciphertext string }
	json.NewDecoder(r.Body).Decode(&in)
	encoded, ok := strings.CutPrefix(in.Ciphertext, "vault:v1:")
	wrapped, err := base64.StdEncoding.DecodeString(encoded)
	key := s.keys[r.PathValue("key")]
	if !ok || err != nil || key == nil {
		refuse(w, http.StatusBadRequest, "invalid ciphertext: no prefix")
		return
	}
	text, err := key.Open(nil, nil, wrapped, nil)
	if err != nil {
		refuse(w, http.StatusBadRequest, "cipher: message authentication failed")
		return
	}
	answer(w, map[string]any{"plaintext": base64.StdEncoding.EncodeToString(text)})
}
