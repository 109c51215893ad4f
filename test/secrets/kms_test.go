package secrets

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
)

// A kms stands for AWS KMS. It follows the two calls of the published API, and
// its limit of 4,096 bytes:
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
type kms struct {
	aead cipher.AEAD
	url  string
}

func newKMS(t *testing.T) *kms {
	key := make([]byte, 32)
	rand.Read(key)
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	k := new(kms)
	k.aead, err = cipher.NewGCMWithRandomNonce(block)
	require.NoError(t, err)
	server := httptest.NewServer(k)
	t.Cleanup(server.Close)
	k.url = server.URL
	return k
}

func (k *kms) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		KeyId                     string
		Plaintext, CiphertextBlob []byte
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	refuse := func(kind string) {
		w.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(w).Encode(map[string]string{"__type": kind, "message": kind})
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuse("SerializationException")
		return
	}
	switch r.Header.Get("X-Amz-Target") {
	case "TrentService.Encrypt":
		if in.KeyId != "alias/session-keys" || len(in.Plaintext) < 1 || len(in.Plaintext) > 4096 {
			refuse("ValidationException")
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"CiphertextBlob": k.aead.Seal(nil, nil, in.Plaintext, nil), "KeyId": in.KeyId, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"})
	case "TrentService.Decrypt":
		text, err := k.unwrap(r.Context(), in.CiphertextBlob)
		if err != nil {
			refuse("InvalidCiphertextException")
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"Plaintext": text, "KeyId": in.KeyId, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"})
	default:
		refuse("UnknownOperationException")
	}
}

func (k *kms) unwrap(_ context.Context, wrapped []byte) ([]byte, error) {
	return k.aead.Open(nil, nil, wrapped, nil)
}

// The commands of the page, with Amazon's own command line.
func TestAWSCommandLine(t *testing.T) {
	program, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("aws is not installed")
	}
	s, k := newShell(t), newKMS(t)
	bin := t.TempDir()
	wrapper := fmt.Sprintf("#!/bin/sh\nAWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x AWS_DEFAULT_REGION=eu-west-1 AWS_CONFIG_FILE=/dev/null exec %q --endpoint-url %s \"$@\"\n", program, k.url)
	require.NoError(t, os.WriteFile(filepath.Join(bin, "aws"), []byte(wrapper), 0o700))
	path := "PATH=" + bin + ":$PATH\n"
	s.run(path + script(t, "aws kms encrypt"))
	file := filepath.Join(s.dir, "session-keys.kms")
	keys, err := keyring.Open(t.Context(), keyring.Wrapped(keyring.File(file), k.unwrap))
	require.NoError(t, err)
	ring := keys.Ring(t.Context())
	require.Len(t, ring.Keys(), 2)
	s.onlyWrapped(ring, "session-keys.kms")

	// A ring above the limit of the service is refused, and the file remains.
	out := s.run(path + `cp session-keys.kms before
		wrap='aws kms encrypt --key-id alias/session-keys --plaintext fileb:///dev/stdin --query CiphertextBlob --output text'
		carryon keys init big.json
		for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28; do carryon keys rotate --force --quiet big.json; done
		! carryon keys wrap --wrap "$wrap" big.json --to big.kms
		! test -e big.kms
		cmp session-keys.kms before`)
	require.Contains(t, out, "ValidationException")
}
