package codec_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/codec/internal/formattest"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/reason"
)

// sameAsJoined checks that OpenPieces returns the same as Join and Open,
// including the key's id in the error.
func sameAsJoined(t require.TestingT, formats *codec.Formats, ring *keyring.Ring, b codec.Binding, pieces []string) (why reason.Reason) {
	var wantKey *keyring.Key
	want := []byte("kept ")
	value, wantUsed, wantErr := formats.Join(of(pieces))
	if wantErr == nil {
		want, wantKey, wantErr = formats.Open(want, ring, now, b, value)
	}
	got, key, used, err := formats.OpenPieces([]byte("kept "), ring, now, b, func(i int) (string, bool) {
		require.LessOrEqual(t, i, codec.MaxPieces, "asked too far")
		return of(pieces)(i)
	})
	require.Equal(t, wantErr, err)
	require.Equal(t, wantUsed, used)
	require.True(t, wantKey == key)
	require.True(t, slices.Equal(want, got))
	if err != nil {
		return err.(*codec.Error).Reason
	}
	return reason.None
}

// Every vector opens from its pieces, and when split differently.
func TestOpenPiecesVectors(t *testing.T) {
	ring := testRing(t, []int{2, 1}, 3)
	eachVector(t, func(t *testing.T, _ vectorFile, v vector) {
		var pieces []string
		for i := 0; ; i++ {
			p, ok := v.pieces()(i)
			if !ok && i >= len(v.Pieces) {
				break
			}
			if !ok {
				p = notSent
			}
			pieces = append(pieces, p)
		}
		want := v.Join
		if want == "" {
			want = v.Open
		}
		if want == "ok" {
			want = ""
		}
		require.Equal(t, want, sameAsJoined(t, nil, ring, v.binding(), pieces).String())
		value, _, err := codec.Join(of(pieces))
		if err != nil {
			return
		}
		for extra := range 8 {
			again := split(t, value, same(12+extra+len(value)/50))
			require.Equal(t, v.Open == "ok", sameAsJoined(t, nil, ring, v.binding(), again) == reason.None)
		}
	})
}

// A wrong character is found at every place and with every split, and so are
// spare bits and a single character at the end.
func TestOpenPiecesIsStrictAtEveryCut(t *testing.T) {
	ring := testRing(t, []int{1})
	for n := range 3 {
		value := sealed(t, ring, binding, strings.Repeat("x", n))
		for cut := 12; cut < len(value); cut += 5 {
			require.Empty(t, sameAsJoined(t, nil, ring, binding, []string{value[:cut], value[cut:]}))
			for at := 12; at < len(value); at++ {
				for _, c := range []string{"\n", "\r", "=", "/", "\xff"} {
					bad := value[:at] + c + value[at+1:]
					require.Equal(t, reason.Malformed, sameAsJoined(t, nil, ring, binding, []string{bad[:cut], bad[cut:]}))
				}
			}
			if len(value)%4 != 0 {
				bad := value[:len(value)-1] + "_" // all spare bits are set
				require.Equal(t, reason.Malformed, sameAsJoined(t, nil, ring, binding, []string{bad[:cut], bad[cut:]}))
			}
		}
	}
}

// For any split and any change by a client, OpenPieces equals Join followed by
// Open.
func TestOpenPiecesIsJoinAndOpen(t *testing.T) {
	formats, err := codec.NewFormats(codec.Renumbered(9))
	require.NoError(t, err)
	first, ninth := testRing(t, []int{1}), formattest.Ring(t, 9, []int{1})
	others := []*keyring.Ring{first, ninth, testRing(t, []int{2}, 1), nil}
	rapid.Check(t, func(t *rapid.T) {
		ring := rapid.SampledFrom([]*keyring.Ring{first, ninth}).Draw(t, "ring")
		plaintext := strings.Repeat("x", rapid.IntRange(0, 700).Draw(t, "length"))
		value, err := formats.Seal(nil, ring.Active(now), binding, []byte(plaintext))
		require.NoError(t, err)
		pieces, b, with := cut(t, string(value)), binding, formats
		switch rapid.IntRange(0, 5).Draw(t, "other") {
		case 0:
			ring = rapid.SampledFrom(others).Draw(t, "other ring")
		case 1:
			b.Suffix = "other"
		case 2:
			with = nil
		}
		for range rapid.IntRange(0, 2).Draw(t, "changes") {
			pieces = changed(t, pieces)
		}
		sameAsJoined(t, with, ring, b, pieces)
	})
}

// cut splits a value at random places after its header.
func cut(t *rapid.T, value string) (pieces []string) {
	at := rapid.IntRange(12, len(value)).Draw(t, "first")
	pieces, value = append(pieces, value[:at]), value[at:]
	most := rapid.SampledFrom([]int{8, 60, 1000}).Draw(t, "most")
	for value != "" {
		n := min(len(value), rapid.IntRange(1, most).Draw(t, "piece"))
		pieces, value = append(pieces, value[:n]), value[n:]
	}
	return pieces
}

// changed applies a random change that a client or an attacker could make.
func changed(t *rapid.T, pieces []string) []string {
	pieces = slices.Clone(pieces)
	i := rapid.IntRange(0, len(pieces)-1).Draw(t, "at")
	j := rapid.IntRange(0, len(pieces)-1).Draw(t, "other")
	p := pieces[i]
	k := rapid.IntRange(0, len(p)).Draw(t, "character")
	switch rapid.IntRange(0, 6).Draw(t, "change") {
	case 0:
		pieces[i] = notSent
	case 1:
		pieces[i] = ""
	case 2:
		pieces[i], pieces[j] = pieces[j], p
	case 3:
		pieces[i] = p[:k]
	case 4:
		pieces[i] = p + "AAAA"[:rapid.IntRange(1, 4).Draw(t, "more")]
	case 5:
		pieces = append(pieces, "left over")
	case 6:
		if k < len(p) {
			pieces[i] = p[:k] + rapid.SampledFrom([]string{"A", "_", "/", "=", "\n", "\xe9"}).Draw(t, "put") + p[k+1:]
		}
	}
	return pieces
}

// A value above the limit is refused before it is decoded, and causes no
// allocation.
func TestOpenPiecesTooLarge(t *testing.T) {
	ring := testRing(t, []int{1})
	h := "AQAAAAD___8A" // format 1, 16 MB
	most := strings.Repeat("A", 22<<20/60)
	pieces := []string{h}
	for want := ((1<<24-1)*8+5)/6 - len(h); want > 0; want -= len(most) {
		pieces = append(pieces, most[:min(want, len(most))])
	}
	require.Equal(t, reason.TooLarge, sameAsJoined(t, nil, ring, binding, pieces))
	require.Less(t, allocatedBy(func() {
		_, _, _, err := (*codec.Formats)(nil).OpenPieces(nil, ring, now, binding, of(pieces))
		require.Error(t, err)
	}), uint64(64<<10))
}

// A piece that changes between two calls of piece does not open.
func TestOpenPiecesThatChange(t *testing.T) {
	ring := testRing(t, []int{1})
	pieces := split(t, sealed(t, ring, binding, strings.Repeat("x", 100)), same(60))
	for _, other := range []string{"", "A", strings.Repeat("A", 60), strings.Repeat("A", 1000), pieces[3]} {
		asked := 0
		plaintext, key, _, err := (*codec.Formats)(nil).OpenPieces(nil, ring, now, binding, func(i int) (string, bool) {
			if asked++; i == 2 && asked > len(pieces) {
				return other, true
			}
			return of(pieces)(i)
		})
		require.Error(t, err)
		require.Nil(t, plaintext)
		require.Nil(t, key)
	}
}

// A first piece that loses its header between two calls does not open.
func TestOpenPiecesThatLoseTheirHeader(t *testing.T) {
	ring := testRing(t, []int{1})
	value := sealed(t, ring, binding, "")
	for _, other := range []string{"", "A", "AQ", "AQAA"} {
		asked := 0
		_, _, _, err := (*codec.Formats)(nil).OpenPieces(nil, ring, now, binding, func(i int) (string, bool) {
			if asked++; asked == 3 { // both pieces have been counted
				return other, true
			}
			return of([]string{value[:len(value)-1], value[len(value)-1:]})(i)
		})
		require.Error(t, err)
	}
}
