package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/span"
	"github.com/carryon-go/carryon/keyring"
)

// call runs the command in this process.
func call(now time.Time, in string, args ...string) (code int, out, err string) {
	var stdout, stderr strings.Builder
	u := &ui{in: strings.NewReader(in), out: &stdout, err: &stderr, now: func() time.Time { return now }}
	code = run(u, args)
	return code, stdout.String(), stderr.String()
}

// ringFile writes a ring with a retired, an active and a staged key, as of now.
// It returns the file and its text.
func ringFile(t *testing.T, now time.Time) (file, text string) {
	ring, err := keyring.Generate(now.Add(-10 * span.Day))
	require.NoError(t, err)
	for _, at := range []time.Duration{-5 * span.Day, -time.Minute} {
		ring, _, err = ring.Rotate(now.Add(at), keyring.Policy{})
		require.NoError(t, err)
	}
	file = filepath.Join(t.TempDir(), "ring.json")
	require.NoError(t, (&ui{}).createRing(file, ring))
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return file, string(b)
}

// secretsOf returns the secrets in the text of a ring.
func secretsOf(t *testing.T, text string) (list []string) {
	var ring struct {
		Keys []struct{ Secret string }
	}
	require.NoError(t, json.Unmarshal([]byte(text), &ring))
	for _, k := range ring.Keys {
		require.Len(t, k.Secret, 43)
		list = append(list, k.Secret)
	}
	return list
}

// A command prints secrets only if the user asked for the ring, and only on
// standard output.
func TestSecretsAreNotTold(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	file, text := ringFile(t, now)
	secrets := secretsOf(t, text)
	require.Len(t, secrets, 3)
	ring, err := keyring.Parse([]byte(text))
	require.NoError(t, err)
	id := ring.Active(now).ID().String()
	half := text[:len(text)-20]
	spoilt := strings.Replace(text, `"format":1`, `"format":999`, 1)
	twice := strings.Replace(text, `"keys": [`, `"keys": [{"id":"00000000","secret":"`+secrets[0]+`"},`, 1)
	tests := []struct {
		in      string
		args    string
		secrets bool // on standard output
	}{
		{"", "keys list FILE", false},
		{"", "keys list --ascii FILE", false},
		{"", "keys check FILE", false},
		{"", "keys check --lifetime 90d --propagation 2d --period 7d --strict FILE", false},
		{text, "keys check FILE --next -", false},
		{"", "keys rotate FILE", false}, // refused
		{"", "keys rotate --if-due FILE", false},
		{"", "keys rotate --to FILE.new --force FILE", false},
		{"", "keys revoke --yes " + id + " --to FILE.revoked FILE", false},
		{"", "keys revoke " + id + " FILE", false},
		{"", "keys prune FILE", false},
		{"", "keys export --format env --to FILE.env FILE", false},
		{"", "keys export --to FILE.env FILE", false},
		{text, "keys rotate -", true}, // refused; prints the old ring
		{text, "keys rotate --force -", true},
		{text, "keys prune -", true},
		{text, "keys revoke --yes 00000000 -", true},
		{"", "keys export FILE", true},
		{"", "keys export --format env FILE", true},
		{half, "keys rotate -", false},
		{half, "keys check FILE --next -", false},
		{spoilt, "keys rotate -", false},
		{twice, "keys list -", false},
		{text + text, "keys check -", false},
	}
	for _, tt := range tests {
		args := strings.Fields(strings.ReplaceAll(tt.args, "FILE", file))
		_, out, said := call(now, tt.in, args...)
		require.NotEmpty(t, out+said, tt.args)
		for _, s := range secrets {
			for _, form := range []string{s, fmt.Sprintf("%x", mustDecode(t, s))} {
				require.NotContains(t, said, form, tt.args)
				if !tt.secrets {
					require.NotContains(t, out, form, tt.args)
				}
			}
		}
		if tt.secrets {
			require.Contains(t, out, secrets[1], tt.args)
		}
	}
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, text, string(after))
}

func mustDecode(t *testing.T, secret string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(secret)
	require.NoError(t, err)
	return b
}

// A YAML parser reads the manifest as intended.
func TestManifestIsYAML(t *testing.T) {
	now := time.Now()
	file, text := ringFile(t, now)
	data := base64.StdEncoding.EncodeToString([]byte(text))
	code, out, said := call(now, "", "keys", "export", "--format", "k8s-secret", file)
	require.Equal(t, exitDone, code, said)
	require.YAMLEq(t, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"session-keys"},"type":"Opaque",
		"data":{"session-keys.json":"`+data+`"}}`, out)

	// Quotes keep YAML from reading these names as a number or null.
	code, out, said = call(now, "", "keys", "export", "--format", "k8s-secret", "--name", "1e3", "--namespace", "null", "--key", "0x1F", file)
	require.Equal(t, exitDone, code, said)
	require.YAMLEq(t, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"1e3","namespace":"null"},"type":"Opaque",
		"data":{"0x1F":"`+data+`"}}`, out)
}

// If many jobs find a rotation due at the same time, only one rotates.
func TestRotationsThatAreDueAtTheSameTime(t *testing.T) {
	now := time.Now()
	file := filepath.Join(t.TempDir(), "ring.json")
	ring, err := keyring.Generate(now.Add(-31 * span.Day))
	require.NoError(t, err)
	require.NoError(t, (&ui{}).createRing(file, ring))
	said := make(chan string, 20)
	for range cap(said) {
		go func() {
			code, _, err := call(now, "", "keys", "rotate", "--if-due", file)
			said <- fmt.Sprint(code, err)
		}()
	}
	added := 0
	for range cap(said) {
		s := <-said
		require.True(t, strings.HasPrefix(s, "0"), s)
		added += strings.Count(s, "added key")
	}
	require.Equal(t, 1, added)
	after, err := (&ui{}).readRing(file)
	require.NoError(t, err)
	require.Len(t, after.Keys(), 2)
}

func TestDurations(t *testing.T) {
	for _, tt := range []struct {
		text string
		want time.Duration
		said string
	}{
		{"90s", 90 * time.Second, "1m30s"}, {"1h", time.Hour, "1h"}, {"36h", 36 * time.Hour, "36h"},
		{"1d", 24 * time.Hour, "24h"}, {"30d", 30 * span.Day, "30d"}, {"2w", 14 * span.Day, "14d"}, {"0", 0, "0s"},
		{"1h30m", 90 * time.Minute, "1h30m"}, {"-2d", -2 * span.Day, "-48h"}, {"1000w", 7000 * span.Day, "7000d"}, {"8191d", 8191 * span.Day, "8191d"},
		{"100h30m5s", 100*time.Hour + 30*time.Minute + 5*time.Second, "4d4h30m5s"}, {"90d2m", 90*span.Day + 2*time.Minute, "90d2m"},
		{"1w1h30m", 7*span.Day + 90*time.Minute, "7d1h30m"}, {"49h", 49 * time.Hour, "2d1h"}, {"2d1ns", 2*span.Day + 1, "2d1ns"}, {"60d1s", 60*span.Day + time.Second, "60d1s"},
	} {
		var d duration
		require.NoError(t, d.Set(tt.text), tt.text)
		require.Equal(t, tt.want, time.Duration(d), tt.text)
		require.Equal(t, tt.said, d.String())
		require.NoError(t, d.Set(d.String()), "Set must read the output of String")
		require.Equal(t, tt.want, time.Duration(d))
	}
	for _, bad := range []string{"", "d", "w", "1", "1.5d", "d1", "1d24h", "1d-1h", "1d+1h", "1d1", "-1d1h", "1d1d", "1w1d", "0dsoon", "1d ", "8192w", "-8193d", "99999999999999999999d", "soon", " 1d"} {
		require.Error(t, new(duration).Set(bad), bad)
	}
}
