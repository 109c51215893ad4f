package keyring

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// No way to print a key, a ring or the live keys prints the secret.
func TestNothingPrintsSecrets(t *testing.T) {
	ring := mustGenerate(t, day)
	text := mustMarshal(t, ring)
	keys, err := Open(context.Background(), Func(func(context.Context) ([]byte, error) { return text, nil }))
	require.NoError(t, err)
	key := keys.Ring(context.Background()).Active(day)
	_, change, err := ring.Rotate(day, Policy{})
	require.NoError(t, err)

	values := []any{key, *key, ring, *ring, keys, change, &change, ring.Keys(), []Key{*key},
		map[string]any{"k": key}, struct{ K *Key }{key}, struct{ r *Ring }{ring}, error(&StagedError{key.id, day})}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%t", "%e", "%U"} {
			requireHidden(t, key, fmt.Sprintf(verb, v))
		}
		b, err := json.Marshal(v)
		require.NoError(t, err)
		requireHidden(t, key, string(b))
		requireHidden(t, key, logged(v))
	}
	require.Equal(t, "keyring.Key("+key.id.String()+")", fmt.Sprint(key))
	require.Contains(t, fmt.Sprint(keys), keys.Ring(context.Background()).Fingerprint())
	require.Contains(t, fmt.Sprint((*Key)(nil), (*Ring)(nil), (*Keys)(nil)), "none")
}

func logged(v any) string {
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "v", v)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "v", v)
	return b.String()
}

func requireHidden(t *testing.T, key *Key, shown string) {
	t.Helper()
	secret := key.mat().secret[:]
	start := secret[3:9]
	list := func(verb, sep string) string {
		var parts []string
		for _, b := range start {
			parts = append(parts, fmt.Sprintf(verb, b))
		}
		return strings.Join(parts, sep)
	}
	for _, form := range []string{
		string(start), hex.EncodeToString(start), strings.ToUpper(hex.EncodeToString(start)),
		base64.RawURLEncoding.EncodeToString(secret)[4:12], base64.RawStdEncoding.EncodeToString(secret)[4:12],
		list("%d", " "), list("%d", ","), list("%x", " "), list("%#x", ", "), list("%o", " "), list("%b", " "),
	} {
		require.NotContains(t, shown, form)
	}
}

func TestErrorsOfAFuncAreKept(t *testing.T) {
	down := errors.New("the vault is sealed")
	_, err := Open(context.Background(), Func(func(context.Context) ([]byte, error) { return nil, down }))
	require.ErrorIs(t, err, down)
	require.ErrorContains(t, err, "keyring: cannot read the ring from the function: ")
}
