package codec_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/reason"
)

func reasonOf(t testing.TB, err error) reason.Reason {
	if err == nil {
		return reason.None
	}
	var e *codec.Error
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, e.Reason)
	return e.Reason
}

func TestRoundTrip(t *testing.T) {
	ring := testRing(t, []int{1, 2})
	for _, n := range []int{0, 1, 2, 3, 4, 15, 16, 17, 1000, 4096, 70_000, codec.MaxPlaintext} {
		plaintext := strings.Repeat("界", n)[:n]
		value := sealed(t, ring, binding, plaintext)
		require.Len(t, value, codec.SealedLen(n))

		got, key, err := codec.Open([]byte("before "), ring, now, binding, value)
		require.NoError(t, err)
		require.True(t, string(got) == "before "+plaintext)
		require.Equal(t, ring.Active(now).ID(), key.ID())
	}
}

func TestSealAppendsAndIsNeverTheSameTwice(t *testing.T) {
	ring := testRing(t, []int{1})
	a, err := codec.Seal([]byte("name="), ring.Active(now), binding, []byte("x"))
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(a, []byte("name=")))
	require.NotEqual(t, string(a[5:]), sealed(t, ring, binding, "x"))
}

func TestSealRefuses(t *testing.T) {
	key := testRing(t, []int{1}).Active(now)
	dst, err := codec.Seal([]byte("as it was"), nil, binding, nil)
	require.Equal(t, reason.NoKey, reasonOf(t, err))
	require.Equal(t, "as it was", string(dst))
	_, err = codec.Seal(nil, key, binding, make([]byte, codec.MaxPlaintext+1))
	require.Equal(t, reason.TooLarge, reasonOf(t, err))
}

// A retired key opens, a key of another ring is unknown, and a revoked one is
// dead.
func TestOpenByTheKeyInTheHeader(t *testing.T) {
	value := sealed(t, testRing(t, []int{1}), binding, "x")
	for _, v := range []struct {
		name string
		ring *keyring.Ring
		want reason.Reason
	}{
		{"active", testRing(t, []int{1}), reason.None},
		{"retired", testRing(t, []int{1, 2}), reason.None},
		{"never heard of", testRing(t, []int{2}), reason.UnknownKey},
		{"revoked", testRing(t, []int{2}, 1), reason.DeadKey},
		{"no ring", nil, reason.UnknownKey},
	} {
		t.Run(v.name, func(t *testing.T) {
			got, key, err := codec.Open([]byte("as it was"), v.ring, now, binding, value)
			require.Equal(t, v.want, reasonOf(t, err))
			if v.want == reason.None {
				require.Equal(t, testID(t, 1), key.ID().String())
				return
			}
			var e *codec.Error
			require.True(t, errors.As(err, &e))
			require.Equal(t, testID(t, 1), e.KeyID.String())
			require.Nil(t, key)
			require.Equal(t, "as it was", string(got))
		})
	}
}

// Every flipped bit and every replaced character of a value is refused.
func TestOpenRefusesEveryChange(t *testing.T) {
	ring := testRing(t, []int{1, 2})
	value := sealed(t, ring, binding, "a session")
	bin, err := base64.RawURLEncoding.DecodeString(value)
	require.NoError(t, err)
	for i := range len(bin) * 8 {
		bin[i/8] ^= 1 << (i % 8)
		text := base64.RawURLEncoding.EncodeToString(bin)
		bin[i/8] ^= 1 << (i % 8)
		_, _, err := codec.Open(nil, ring, now, binding, text)
		require.Error(t, err, "bit %d", i)
	}
	for i := range value {
		for c := range 256 {
			if value[i] != byte(c) {
				_, _, err := codec.Open(nil, ring, now, binding, value[:i]+string([]byte{byte(c)})+value[i+1:])
				require.Error(t, err, "character %d as %d", i, c)
			}
		}
	}
	for i := range value {
		_, _, err := codec.Open(nil, ring, now, binding, value[:i])
		require.Error(t, err, "cut to %d", i)
	}
}

// The header of a client does not choose the algorithm: a key of format 1 does
// not open a value that claims to be of format 2.
func TestKeyDecidesTheFormat(t *testing.T) {
	ring := testRing(t, []int{1})
	bin, err := base64.RawURLEncoding.DecodeString(sealed(t, ring, binding, "x"))
	require.NoError(t, err)
	bin[0] = 2
	value := base64.RawURLEncoding.EncodeToString(bin)

	_, _, err = codec.Open(nil, ring, now, binding, value)
	require.Equal(t, reason.UnknownFormat, reasonOf(t, err))
	both, err := codec.NewFormats(codec.Renumbered(2))
	require.NoError(t, err)
	_, _, err = both.Open(nil, ring, now, binding, value)
	require.Equal(t, reason.WrongFormat, reasonOf(t, err))
}

func TestErrorsDoNotCarryTheValue(t *testing.T) {
	ring := testRing(t, []int{1})
	value := sealed(t, ring, binding, "x")
	for _, v := range []string{"short", strings.Repeat("!secret!", 30), value + "AAAA", value[:50], "A" + value[1:], value[:len(value)-8] + "AAAAAAAA"} {
		_, _, err := codec.Open(nil, ring, now, codec.Binding{Base: "other"}, v)
		require.Error(t, err)
		require.NotContains(t, err.Error(), v)
		require.NotContains(t, err.Error(), "secret")
		require.NotContains(t, err.Error(), "other\"")
		require.Less(t, len(err.Error()), 200)
	}
}

// An error says which reason it is, what that means and what to do.
func TestErrorsHaveAHint(t *testing.T) {
	for _, r := range []reason.Reason{
		reason.TooLarge, reason.Torn, reason.Malformed, reason.WrongLength, reason.UnknownFormat,
		reason.UnknownKey, reason.DeadKey, reason.WrongFormat, reason.BadSeal, reason.NoKey,
	} {
		err := &codec.Error{Reason: r}
		require.Equal(t, "codec: "+r.String()+": "+r.Meaning()+"; "+r.Hint(), err.Error())
		require.Equal(t, r, reason.Of(err))
	}
	e := &codec.Error{Reason: reason.UnknownKey, KeyID: keyring.ID{0xab, 1, 2, 3}}
	require.Contains(t, e.Error(), "ab010203")
}

func TestPeek(t *testing.T) {
	ring := testRing(t, []int{1})
	value := sealed(t, ring, binding, "0123456789")
	for _, n := range []int{12, 20, len(value)} {
		h, err := codec.Peek(value[:n])
		require.NoError(t, err)
		require.Equal(t, codec.Header{Format: 1, KeyID: ring.Active(now).ID(), Total: 90}, h)
	}
	_, err := codec.Peek(value[:11])
	require.Equal(t, reason.WrongLength, reasonOf(t, err))
	_, err = codec.Peek("AQ=AAAAAAAAAAAAA")
	require.Equal(t, reason.Malformed, reasonOf(t, err))
}

// For everything except line breaks, the decoder must match Go's.
func TestDecoderIsStrict(t *testing.T) {
	strict := base64.RawURLEncoding.Strict()
	for _, text := range []string{"", "AA", "AAA", "AAAA", "AB", "AAB", "_-_-", "A", "AAAAA", "A=", "AA==", "AAA=", "AA+A", "AA/A", "AA A", "AA\x00A", "AA\x80A", "\xff\xff\xff\xff"} {
		want, err := strict.DecodeString(text)
		got, ok := codec.AppendDecoded(nil, text)
		require.Equal(t, err == nil, ok, "%q", text)
		if ok {
			require.True(t, bytes.Equal(want, got), "%q", text)
		}
	}
	for _, text := range []string{"\r", "\n", "AA\n", "\nAA", "AA\nAA", "AAAA\r\n", "AA\r\nAAAA", "AAA\n"} {
		_, ok := codec.AppendDecoded(nil, text)
		require.False(t, ok, "%q", text)
	}
	for i := range 256 { // each byte has exactly one text of two characters
		texts := 0
		for a := range 256 {
			for b := range 256 {
				if got, ok := codec.AppendDecoded(nil, string([]byte{byte(a), byte(b)})); ok && got[0] == byte(i) {
					texts++
				}
			}
		}
		require.Equal(t, 1, texts)
		if testing.Short() {
			break
		}
	}
}

// Encoding and decoding process several characters at a time. For every
// length, the text must match the standard library's, and a wrong character
// must be found at every place.
func TestTextOfEveryLength(t *testing.T) {
	std := base64.RawURLEncoding.Strict()
	bin := make([]byte, 70)
	for i := range bin {
		bin[i] = byte(i*37 + i>>3)
	}
	for n := range bin {
		text := string(codec.AppendEncoded([]byte("before"), bin[:n]))
		require.Equal(t, "before"+std.EncodeToString(bin[:n]), text)
		text = text[len("before"):]
		got, ok := codec.AppendDecoded([]byte("before"), text)
		require.True(t, ok)
		require.Equal(t, "before"+string(bin[:n]), string(got))
		for i := range text {
			for _, c := range []byte{'+', '/', '=', '\n', '\r', ' ', 0, 0x80, 0xff} {
				_, ok := codec.AppendDecoded(nil, text[:i]+string([]byte{c})+text[i+1:])
				require.False(t, ok, "%q at %d of %d", c, i, len(text))
			}
		}
	}
}

// The memory for any input is limited by its length, whatever length its
// header claims.
func TestAllocationIsBoundedByTheInput(t *testing.T) {
	ring := testRing(t, []int{1})
	huge := base64.RawURLEncoding.EncodeToString(append([]byte{1, 0, 0, 0, 0, 0xff, 0xff, 0xff}, make([]byte, 100)...))
	inputs := []string{"", huge, huge[:12], strings.Repeat("A", 100_000), strings.Repeat("\xff", 100_000), strings.Repeat("A", 8<<20), sealed(t, ring, binding, "x") + strings.Repeat("A", 50_000)}
	for _, in := range inputs {
		allocated := allocatedBy(func() {
			_, _, err := codec.Open(nil, ring, now, binding, in)
			require.Error(t, err)
			_, _, err = codec.Join(func(i int) (string, bool) { return in, i == 0 })
			_ = err
		})
		require.Less(t, allocated, uint64(2*len(in)+64<<10), "%d characters", len(in))
	}
}

func allocatedBy(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
