package keyring_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing/fstest"
	"time"

	"github.com/carryon-go/carryon/keyring"
)

func Example() {
	ctx, dir := context.Background(), mustTempDir()
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "session-keys.json")

	// Once, by hand: carryon keys init session-keys.json
	ring, _ := keyring.Generate(time.Now())
	text, _ := ring.Marshal()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		panic(err)
	}

	// In the program: pass keys to middleware.Config.
	keys, err := keyring.Open(ctx, keyring.File(path))
	if err != nil {
		panic(err)
	}
	fmt.Println(keys.Ring(ctx).Active(time.Now()).State(time.Now()))
	// Output: active
}

// A ring from a secret manager, read every ten minutes.
func ExampleFunc() {
	ring, _ := keyring.Generate(time.Now())
	fetch := func(ctx context.Context) ([]byte, error) { // call the secret manager here
		return ring.Marshal()
	}
	keys, err := keyring.Open(context.Background(), keyring.Func(fetch), keyring.ReloadEvery(10*time.Minute))
	fmt.Println(keys.Ring(context.Background()).Fingerprint() == ring.Fingerprint(), err)
	// Output: true <nil>
}

// A ring that is stored encrypted. In place of this cipher, call a key
// management service, the transit engine of Vault, or age.
func ExampleWrapped() {
	ring, _ := keyring.Generate(time.Now())
	text, _ := ring.Marshal()
	block, _ := aes.NewCipher(make([]byte, 32))
	service, _ := cipher.NewGCMWithRandomNonce(block)
	stored := keyring.FS(fstest.MapFS{"session-keys.enc": {Data: service.Seal(nil, nil, text, nil)}}, "session-keys.enc")

	unwrap := func(ctx context.Context, wrapped []byte) ([]byte, error) {
		return service.Open(nil, nil, wrapped, nil)
	}
	keys, err := keyring.Open(context.Background(), keyring.Wrapped(stored, unwrap))
	fmt.Println(keys.Ring(context.Background()).Fingerprint() == ring.Fingerprint(), err)

	_, err = keyring.Open(context.Background(), keyring.Wrapped(keyring.FS(fstest.MapFS{"plain.json": {Data: text}}, "plain.json"), unwrap))
	fmt.Println(err)
	// Output:
	// true <nil>
	// keyring: cannot read the ring from the wrapped file plain.json: it is not encrypted: its secrets can be read; wrap it with: carryon keys wrap
}

// A first experiment, with a secret in the environment of the process.
func ExampleDangerouslyFromText() {
	os.Setenv("SESSION_SECRET", "keyboard cat")
	defer os.Unsetenv("SESSION_SECRET")
	_, err := keyring.DangerouslyFromText(os.Getenv("SESSION_SECRET"))
	fmt.Println(err)

	os.Setenv("SESSION_SECRET", "6cYJNVrxDvnPs4cB0pSxKmhbTSk1CkYnqGvM7oTBLZ3g")
	keys, err := keyring.DangerouslyFromText(os.Getenv("SESSION_SECRET")) // logs a warning
	fmt.Println(len(keys.Ring(context.Background()).Keys()), err)
	// Output:
	// keyring: the text has 12 characters, and at least 32 are needed; take a random one, such as the output of: openssl rand -base64 33; or make a key ring with: carryon keys init FILE
	// 1 <nil>
}

// Operators ask every replica which ring it uses: carryon keys fleet URL...
func ExampleKeys_FleetHandler() {
	keys := keyring.Ephemeral() // in a program: keyring.Open
	internal := http.NewServeMux()
	internal.Handle("GET /keys", keys.FleetHandler())
	server := httptest.NewServer(internal) // in a program: on an address that only operators reach
	defer server.Close()

	answer, err := http.Get(server.URL + "/keys")
	if err != nil {
		panic(err)
	}
	answer.Body.Close()
	fmt.Println(answer.StatusCode, answer.Header.Get("Cache-Control"))
	// Output: 200 no-store
}

// A program that rotates its own ring.
func ExampleRing_Rotate() {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ring, _ := keyring.Generate(now)
	now = now.AddDate(0, 1, 0)
	ring, change, err := ring.Rotate(now, keyring.Policy{})
	if err != nil {
		panic(err)
	}
	fmt.Println("the new key is", change.Added.State(now), "until", change.Added.Activates())
	fmt.Println("the old key opens until", change.Retires.Expires())
	_, _, err = ring.Rotate(now, keyring.Policy{})
	fmt.Println(err != nil)
	// Output:
	// the new key is staged until 2026-02-01 01:00:00 +0000 UTC
	// the old key opens until 2026-03-05 01:00:00 +0000 UTC
	// true
}

func ExampleRing_Revoke() {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ring, _ := keyring.Generate(now)
	leaked := ring.Active(now).ID()
	ring, change, _ := ring.Revoke(leaked, now)
	_, state := ring.Find(leaked, now)
	fmt.Println("the leaked key is", state)
	fmt.Println("the new key is", change.Added.State(now))
	// Output:
	// the leaked key is revoked
	// the new key is active
}

func mustTempDir() string {
	dir, err := os.MkdirTemp("", "keyring")
	if err != nil {
		panic(err)
	}
	return dir
}
