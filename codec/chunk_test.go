package codec_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/reason"
)

func same(n int) func(int) int { return func(int) int { return n } }

// notSent marks a piece that the client did not send.
const notSent = "(not sent)"

// of returns the pieces as a cookie jar would.
func of(pieces []string) func(int) (string, bool) {
	return func(i int) (string, bool) {
		if i >= len(pieces) || pieces[i] == notSent {
			return "", false
		}
		return pieces[i], true
	}
}

func split(t testing.TB, value string, limit func(int) int) []string {
	pieces, err := codec.Split([]byte(value), limit)
	require.NoError(t, err)
	var texts []string
	for _, p := range pieces {
		texts = append(texts, string(p))
	}
	return texts
}

func TestSplitAndJoin(t *testing.T) {
	ring := testRing(t, []int{1})
	value := sealed(t, ring, binding, strings.Repeat("x", 300))
	for _, limit := range []func(int) int{
		same(12), same(13), same(100), same(len(value) - 1), same(len(value)), same(1 << 20),
		func(i int) int { return 12 + 40*i },
		func(i int) int { return max(12, len(value)-8+i*(1-len(value)+8)) },
	} {
		pieces := split(t, value, limit)
		for i, p := range pieces {
			require.LessOrEqual(t, len(p), limit(i))
			require.NotEmpty(t, p)
		}
		got, used, err := codec.Join(of(append(slices.Clone(pieces), "left over", "")))
		require.NoError(t, err)
		require.Equal(t, len(pieces), used)
		require.Equal(t, value, got)
	}
}

func TestSplitPiecesCannotGrowIntoEachOther(t *testing.T) {
	pieces, err := codec.Split([]byte(strings.Repeat("A", 40)), same(20))
	require.NoError(t, err)
	_ = append(pieces[0], "BBBB"...)
	require.Equal(t, strings.Repeat("A", 20), string(pieces[1]))
}

func TestSplitRefuses(t *testing.T) {
	value := []byte(strings.Repeat("A", 12+63))
	pieces, err := codec.Split(value, func(i int) int { return max(1, 12-12*i) })
	require.NoError(t, err)
	require.Len(t, pieces, codec.MaxPieces)
	for name, limit := range map[string]func(int) int{
		"first too small":  same(11),
		"nothing":          same(0),
		"negative":         same(-1),
		"second is closed": func(i int) int { return 20 - 20*i },
	} {
		_, err := codec.Split(value, limit)
		require.Equal(t, reason.TooLarge, reasonOf(t, err), name)
	}
	_, err = codec.Split(append(value, 'A'), func(i int) int { return max(1, 12-12*i) })
	require.Equal(t, reason.TooLarge, reasonOf(t, err), "one piece too many")
}

func TestJoinRefuses(t *testing.T) {
	ring := testRing(t, []int{1})
	value := sealed(t, ring, binding, strings.Repeat("x", 100)) // 240 characters
	p := split(t, value, same(60))
	require.Len(t, p, 4)
	for _, v := range []struct {
		name   string
		pieces []string
		used   int
		want   reason.Reason
	}{
		{"none", nil, 0, reason.Torn},
		{"first missing", []string{notSent, p[1], p[2], p[3]}, 0, reason.Torn},
		{"first empty", []string{"", p[1], p[2], p[3]}, 0, reason.Torn},
		{"first too short for the header", []string{p[0][:11], p[0][11:], p[1], p[2], p[3]}, 0, reason.WrongLength},
		{"first is not ours", []string{"!" + p[0][1:], p[1], p[2], p[3]}, 0, reason.Malformed},
		{"first of a format to come", []string{"Ag" + p[0][2:], p[1], p[2], p[3]}, 0, reason.UnknownFormat},
		{"middle missing", []string{p[0], p[1], notSent, p[3]}, 2, reason.Torn},
		{"middle empty", []string{p[0], "", p[1], p[2], p[3]}, 1, reason.Torn},
		{"last missing", p[:3], 3, reason.Torn},
		{"last cut", []string{p[0], p[1], p[2], p[3][:59]}, 4, reason.Torn},
		{"last too long", []string{p[0], p[1], p[2], p[3] + "A"}, 3, reason.Torn},
		{"one piece too long", []string{value + "A"}, 0, reason.Torn},
		{"pieces of one character", slices.Insert(strings.Split(value[12:], ""), 0, value[:12]), 64, reason.Torn},
	} {
		t.Run(v.name, func(t *testing.T) {
			text, used, err := codec.Join(of(v.pieces))
			require.Equal(t, v.want, reasonOf(t, err))
			require.Equal(t, v.used, used)
			require.Empty(t, text)
		})
	}
}

// Pieces in the wrong order, or of two values, join to a text of the right
// length; only the signature reveals it.
func TestJoinedFromTheWrongPieces(t *testing.T) {
	ring := testRing(t, []int{1})
	plaintext := strings.Repeat("x", 100)
	p := split(t, sealed(t, ring, binding, plaintext), same(60))
	q := split(t, sealed(t, ring, binding, plaintext), same(60))
	for name, pieces := range map[string][]string{
		"swapped": {p[0], p[2], p[1], p[3]},
		"twice":   {p[0], p[1], p[1], p[3]},
		"mixed":   {p[0], q[1], p[2], p[3]},
	} {
		value, used, err := codec.Join(of(pieces))
		require.NoError(t, err, name)
		require.Equal(t, 4, used)
		_, _, err = codec.Open(nil, ring, now, binding, value)
		require.Equal(t, reason.BadSeal, reasonOf(t, err), name)
	}
}

// A header that claims 16 MB causes no allocation: the pieces are counted
// first.
func TestJoinDoesNotBelieveTheHeader(t *testing.T) {
	asked := 0
	allocated := allocatedBy(func() {
		_, _, err := codec.Join(func(i int) (string, bool) {
			asked++
			return "AQAAAAD___8A", true
		})
		require.Equal(t, reason.Torn, reasonOf(t, err))
	})
	require.Less(t, allocated, uint64(64<<10))
	require.LessOrEqual(t, asked, codec.MaxPieces+1)
}
