package session

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/carryon-go/carryon/internal/core"
)

// countingBackend counts the values that do not decode.
type countingBackend struct {
	core.Backend
	odd int
}

func (u *countingBackend) Undecodable(string, error) { u.odd++ }

// appendPlain and readPlain must give the results of the CBOR library, because either
// may read what the other has written.
func samePlain[T any](t require.TestingT, v T) {
	want, err := encMode.Marshal(v)
	require.NoError(t, err)
	raw, ok := appendPlain(&v)
	require.True(t, ok)
	require.Equal(t, want, raw)
	var got T
	require.True(t, readPlain(raw, &got))
	require.Equal(t, v, got)
}

func TestPlainValuesAreThoseOfTheLibrary(t *testing.T) {
	for _, n := range []int{0, 1, 23, 24, 255, 256, 65_535, 65_536, 1 << 20} {
		samePlain(t, strings.Repeat("x", n))
		samePlain(t, make([]byte, n))
		samePlain(t, n)
		samePlain(t, -n)
	}
	samePlain(t, math.MaxInt)
	samePlain(t, math.MinInt)
	rapid.Check(t, func(t *rapid.T) {
		samePlain(t, string(rapid.SliceOf(rapid.Byte()).Draw(t, "text")))
		samePlain(t, append([]byte{}, rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")...))
		samePlain(t, rapid.Int().Draw(t, "number"))
	})
	var none []byte
	_, ok := appendPlain(&none)
	require.False(t, ok, "no bytes at all are null")
}

// A named type may have methods of its own, and is left to the library.
func TestNamedTypesAreNotPlain(t *testing.T) {
	type text string
	v := text("a")
	_, ok := appendPlain(&v)
	require.False(t, ok)
	require.False(t, readPlain([]byte{0x61, 'a'}, &v))
}

// Whatever the bytes are, they decode to what the library makes of them, or not
// at all.
func FuzzPlain(f *testing.F) {
	for _, raw := range []string{"\x61a", "\x78\x01a", "\x41a", "\x00", "\x20", "\x18\x01", "\x3b\xff\xff\xff\xff\xff\xff\xff\xff", "\x61aa", "\x41aa", "\x00\x00", "\x20\x00", "\x18\x01\x00", "\xf6", "\x7f\x61a\xff", "\x5b\xff"} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		agree[string](t, raw)
		agree[[]byte](t, raw)
		agree[int](t, raw)
	})
}

func agree[T any](t *testing.T, raw []byte) {
	var got, want T
	err := decMode.Unmarshal(raw, &want)
	if readPlain(raw, &got) {
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	backend, s := &countingBackend{}, new(Session)
	s.core().Init(backend)
	all, failed := Key[T]("k").decode(s, raw)
	require.Equal(t, err == nil, failed == nil)
	require.Equal(t, err != nil, backend.odd == 1)
	if err == nil {
		require.Equal(t, want, all)
	}
}
