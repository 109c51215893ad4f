package cookiejar

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	tagA = "k7m2qv5xyd"
	tagB = "abcdefghij"
)

func jarOf(fixed bool, lines ...string) (j Jar) {
	j.Read(lines, "session", fixed)
	return j
}

func TestReadSortsCookiesIntoGroups(t *testing.T) {
	j := jarOf(false, "session."+tagA+"=x; theme=dark;session."+tagA+".1=\"y\"", "session."+tagB+".2=z; lang=zh")
	require.Equal(t, []Piece{{tagA, 0, "x"}, {tagA, 1, "y"}, {tagB, 2, "z"}}, j.Pieces)
	require.Equal(t, []Group{
		{Tag: tagA, Count: 2, First: 0, Last: 1, Bytes: len("session.k7m2qv5xyd=x; session.k7m2qv5xyd.1=\"y\"; "), HasFirst: true},
		{Tag: tagB, Count: 1, First: 2, Last: 2, Bytes: len("session.abcdefghij.2=z; ")},
	}, j.Groups)
	require.Equal(t, 2, j.Others)
	require.Equal(t, len("theme=dark; lang=zh; "), j.OthersBytes)
	require.Equal(t, uint64(0b11), j.PieceNumbers(tagA))
	require.Equal(t, uint64(0b100), j.PieceNumbers(tagB))
	require.True(t, j.InOrder(&j.Groups[0]))
	require.False(t, j.InOrder(&j.Groups[1]), "its first pieces are missing")
}

func TestOursAreExactlyTheNamesThatWeGive(t *testing.T) {
	for pair, want := range map[string]bool{
		"session.k7m2qv5xyd=x": true, "session.k7m2qv5xyd.1=x": true, "session.k7m2qv5xyd.63=x": true, " session.k7m2qv5xyd =x": false,
		"session=x": false, "session.k7m2qv5xyd": false, "session.k7m2qv5xyd.0=x": false, "session.k7m2qv5xyd.01=x": false,
		"session.k7m2qv5xyd.64=x": false, "session.k7m2qv5xyd.100=x": false, "session.k7m2qv5xyd.1.1=x": false, "session.K7M2QV5XYD=x": false,
		"Session.k7m2qv5xyd=x": false, "sessions.k7m2qv5xyd=x": false, "session.k7m2qv5xy=x": false, "session.k7m2qv5xyd.+1=x": false,
	} {
		_, ok := ParsePair(pair, "session", false)
		require.Equal(t, want, ok, "%q", pair)
	}
	_, ok := ParsePair("session=x", "session", true)
	require.True(t, ok)
	_, ok = ParsePair("session.k7m2qv5xyd=x", "session", true)
	require.False(t, ok)
}

func TestRepeatedCookiesCountOnce(t *testing.T) {
	j := jarOf(false, "session."+tagA+"=x; session."+tagA+"=x; session."+tagA+"=other")
	require.Len(t, j.Pieces, 2, "a different value may be the good one")
	require.False(t, j.InOrder(&j.Groups[0]))
	readings := j.Combinations(&j.Groups[0])
	require.Equal(t, 2, readings.Count)
	require.Equal(t, []string{"x"}, readings.Combination(0))
	require.Equal(t, []string{"other"}, readings.Combination(1))
}

// Every doubled piece doubles the ways to read a group, so their number is bounded.
func TestReadingsAreBounded(t *testing.T) {
	var pairs []string
	for piece := range 40 {
		for value := range 3 {
			pairs = append(pairs, fmt.Sprintf("session.%s.%d=%d", tagA, piece+1, value))
		}
	}
	j := jarOf(false, strings.Join(pairs, "; "))
	require.Len(t, j.Pieces, 120)
	require.Equal(t, maxCombinations, j.Combinations(&j.Groups[0]).Count)
}

func TestWhatIsBeyondTheBoundsIsLeftOut(t *testing.T) {
	var many []string
	for i := range MaxCookies + 1 {
		many = append(many, fmt.Sprintf("session.%s=%d", tagA, i))
	}
	j := jarOf(false, strings.Join(many, "; "))
	require.True(t, j.TooMany)
	require.Len(t, j.Pieces, MaxCookies)

	j = jarOf(false, "session."+tagA+"="+strings.Repeat("x", MaxBytes), "session."+tagB+"=y")
	require.True(t, j.TooMany)
	require.Equal(t, []Piece{{tagB, 0, "y"}}, j.Pieces)

	j = jarOf(false, strings.Repeat("session."+tagA+"=x; ", 2*MaxCookies+1))
	require.True(t, j.TooMany, "repeats are counted, too")
	require.Len(t, j.Pieces, 1)
}

// What one response sets, the next request brings back.
func TestLinesComeBackAsPieces(t *testing.T) {
	for _, fixed := range []bool{false, true} {
		f := LineFormat{Name: "session", Fixed: fixed, Attributes: Attributes("/", "", true, http.SameSiteLaxMode, false, "")}
		room, tag := func(int) int { return 40 }, tagA
		text := strings.Repeat("abcdefghij", 10)
		if fixed {
			room, tag = func(int) int { return 200 }, ""
		}
		lines, err := f.AppendPieces(nil, tag, []byte(text), room, 60)
		require.NoError(t, err)
		var j Jar
		for _, line := range lines {
			pair, attributes, _ := strings.Cut(line, ";")
			require.Contains(t, attributes, "Max-Age=60; Path=/; ")
			require.LessOrEqual(t, len(line), f.MaxOverhead()+len(text))
			j.Read([]string{pair}, "session", fixed)
		}
		got := ""
		for _, p := range j.Pieces {
			got += p.Value
		}
		require.Equal(t, text, got)
		expired := f.AppendExpiry(nil, tag, j.PieceNumbers(tag))
		require.Len(t, expired, len(lines))
		for i, line := range expired {
			name, _, _ := strings.Cut(lines[i], "=")
			require.True(t, strings.HasPrefix(line, name+"=; Max-Age=0"), line)
		}
	}
}

// Whatever a client sends, what is looked at is bounded, and the groups hold
// exactly the pieces.
func FuzzRead(f *testing.F) {
	f.Add("session.k7m2qv5xyd=x; theme=dark; session.k7m2qv5xyd.1=y; session.k7m2qv5xyd.1=z", false)
	f.Add("session=\"x\"; session=y;;=; session", true)
	f.Fuzz(func(t *testing.T, header string, fixed bool) {
		j := jarOf(fixed, header)
		require.LessOrEqual(t, len(j.Pieces), MaxCookies)
		require.LessOrEqual(t, j.Bytes, MaxBytes+2*MaxCookies)
		count, bytes := 0, 0
		for i := range j.Groups {
			g := &j.Groups[i]
			count, bytes = count+g.Count, bytes+g.Bytes
			require.Equal(t, g.Tag, j.Pieces[g.First].Tag)
			readings := j.Combinations(g)
			require.LessOrEqual(t, readings.Count, maxCombinations)
			for way := range readings.Count {
				require.Len(t, readings.Combination(way), g.Last+1)
			}
		}
		require.Equal(t, len(j.Pieces), count)
		require.Equal(t, j.Bytes, bytes)
	})
}
