package state_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/state"
)

// Int accepts only the shortest form of a number. Package session may still accept
// a longer one.
func TestNumbersHaveOneForm(t *testing.T) {
	for raw, n := range map[string]int64{
		"\x17": 23, "\x18\x18": 24, "\x18\xff": 255, "\x19\x01\x00": 256, "\x19\xff\xff": 65_535,
		"\x1a\x00\x01\x00\x00": 65_536, "\x1a\xff\xff\xff\xff": math.MaxUint32,
		"\x1b\x00\x00\x00\x01\x00\x00\x00\x00": 1 << 32, "\x1b\x7f\xff\xff\xff\xff\xff\xff\xff": math.MaxInt64,
		"\x3b\x7f\xff\xff\xff\xff\xff\xff\xff": math.MinInt64, "\x20": -1,
	} {
		got, ok := state.Int([]byte(raw))
		require.True(t, ok, "%x", raw)
		require.Equal(t, n, got)
		require.Equal(t, raw, string(state.AppendInt(nil, n)))
	}
	for _, raw := range []string{
		"", "\x18\x17", "\x19\x00\xff", "\x1a\x00\x00\xff\xff", "\x1b\x00\x00\x00\x00\xff\xff\xff\xff",
		"\x1b\x80\x00\x00\x00\x00\x00\x00\x00", "\x3b\x80\x00\x00\x00\x00\x00\x00\x00", "\x18", "\x19\x01", "\x1a\x00\x01\x00",
		"\x1b\x00\x00\x00\x01\x00\x00\x00", "\x1c", "\x1f", "\x17\x00", "\x20\x00", "\x19\x01\x00\x00", "\x40", "\xff",
	} {
		_, ok := state.Int([]byte(raw))
		require.False(t, ok, "%x", raw)
	}
}

// A text or byte string must take exactly the bytes that are there.
func TestLengthMustMatchTheBytesThatAreThere(t *testing.T) {
	for _, raw := range []string{"a", "a\x00", "\x1b\x00\x00\x00\x01\x00\x00\x00\x00", "\x1b\xff\xff\xff\xff\xff\xff\xff\xff"} {
		for head, read := range map[byte]func([]byte) ([]byte, bool){0x60: state.Text, 0x40: state.Bytes} {
			b := append([]byte{head | raw[0]&31}, raw[1:]...) // 'a'&31 is 1: a length of one byte
			got, ok := read(b)
			require.Equal(t, raw == "a\x00", ok, "%x", b)
			if ok {
				require.Equal(t, []byte{0}, got)
			}
		}
	}
}
