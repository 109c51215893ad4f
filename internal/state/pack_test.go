package state_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/carryon-go/carryon/internal/state"
)

// drawValue draws a typical value: text, tokens with dots, hexadecimal, identifiers
// with dashes, or any bytes.
func drawValue(t *rapid.T) []byte {
	b := []byte{}
	for range rapid.IntRange(0, 5).Draw(t, "pieces") {
		raw := rapid.SliceOfN(rapid.Byte(), 0, 90).Draw(t, "bytes")
		switch rapid.IntRange(0, 5).Draw(t, "piece") {
		case 0:
			b = append(b, base64.RawURLEncoding.EncodeToString(raw)+"."...)
		case 1:
			b = append(b, strings.Repeat("0123abcdef", len(raw)/10)...)
		case 2:
			b = append(b, strings.Repeat("8f14-e45f-", len(raw)/10)...)
		case 3:
			b = append(b, base64.StdEncoding.EncodeToString(raw)...)
		case 4:
			b = append(b, "a sentence, and more. "...)
		default:
			b = append(b, raw...)
		}
	}
	return b
}

func TestUnpackingRestoresValuesExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := drawValue(t)
		e := state.NewEntry("a", state.Stamp{}, value)
		require.Equal(t, string(value), string(e.CBOR()))
		require.True(t, e.HasValue(value))
		require.False(t, e.HasValue(append(value, 'x')))
		require.LessOrEqual(t, len(e.Value), len(value))
		if e.Packed {
			require.Less(t, len(e.Value), len(value))
		}
	})
}

// A packed token takes 3 bytes for 4 characters, and other values are not packed.
func TestOnlyTokensArePacked(t *testing.T) {
	segment := base64.RawURLEncoding.EncodeToString(make([]byte, 300))
	for name, value := range map[string]string{
		"three segments":        segment + "." + segment + "." + segment,
		"beside text":           "Bearer " + segment + "; and so on",
		"hexadecimal":           strings.Repeat("0123456789abcdef", 20),
		"cut to groups of four": segment + "a",
		"two beside each other": segment + "/" + segment,
	} {
		e := state.NewEntry("a", state.Stamp{}, []byte(value))
		require.True(t, e.Packed, name)
		require.Less(t, len(e.Value), len(value)*3/4+40, name)
		require.Equal(t, value, string(e.CBOR()), name)
	}
	for name, value := range map[string]string{
		"short":      "YWJjZGVmZ2hpamtsbW5vcA",
		"short runs": strings.Repeat("a sentence with words. ", 20),
		"bytes":      strings.Repeat("\x00\xff", 200),
	} {
		e := state.NewEntry("a", state.Stamp{}, []byte(value))
		require.False(t, e.Packed, name)
		require.Equal(t, value, string(e.Value), name)
	}
}
