package state

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func drawItem(t *rapid.T) ListItem {
	l := ListItem{End: rapid.Int64Range(1, MaxTime).Draw(t, "end")}
	l.ID[0] = rapid.Byte().Draw(t, "id")
	if l.Ended = rapid.Bool().Draw(t, "ended"); l.Ended {
		return l
	}
	at := rapid.Int64Range(0, MaxTime)
	l.Created, l.SeenAt, l.Bound = at.Draw(t, "created"), at.Draw(t, "seen"), at.Draw(t, "bound")
	for range rapid.IntRange(0, MaxSubjects-1).Draw(t, "others") {
		l.Others = append(l.Others, rapid.SliceOfN(rapid.Byte(), rowHash, rowHash).Draw(t, "hash"))
	}
	l.Label = cutLabel(rapid.String().Draw(t, "label"))
	return l
}

// An encoded listing decodes to the sessions that have not expired, and to at most
// MaxListed, those seen last.
func TestListingRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l Listing
		for range rapid.IntRange(0, 250).Draw(t, "n") {
			l = append(l, drawItem(t))
		}
		now := rapid.Int64Range(0, MaxTime).Draw(t, "now")
		plaintext, until := l.Encode(now)
		got, err := DecodeListing(plaintext)
		require.NoError(t, err)
		require.LessOrEqual(t, len(got), 2*MaxListed)
		want := l.Live(now)
		want = want[:min(len(want), MaxListed)]
		require.Equal(t, len(want), len(got.Live(now)))
		for i, e := range got.Live(now) {
			require.Equal(t, want[i].SeenAt, e.SeenAt)
		}
		for _, e := range got {
			require.Greater(t, e.End, now)
			require.LessOrEqual(t, e.End, until)
		}
	})
}

// The bytes are those of SPEC.md.
func TestListingIsTheSpecs(t *testing.T) {
	l := Listing{{End: 10, Created: 1, SeenAt: 2, Bound: 700, Label: "label"}, {End: 9, Ended: true}}
	plaintext, until := l.Encode(0)
	require.EqualValues(t, 10, until)
	spec, err := os.ReadFile("../../SPEC.md")
	require.NoError(t, err)
	text := hex.EncodeToString(plaintext)
	require.True(t, strings.Contains(string(spec), "`"+text+"`"), text)
}

// An ended session is not listed again while its entry is kept.
func TestListingKeepsTheEnded(t *testing.T) {
	root := NewRoot()
	head := &Cookie{Kind: Head, Root: root, Created: 1}
	item := NewListItem(head, 5, 1000, "phone")
	l := Listing(nil).Put(item)
	require.Len(t, l.Live(10), 1)
	l = l.Remove(&root, 10)
	require.Empty(t, l.Put(item).Live(11))
	plaintext, _ := l.Encode(10 + Settled - 1)
	l, err := DecodeListing(plaintext)
	require.NoError(t, err)
	require.Empty(t, l.Put(item).Live(11))
	plaintext, until := l.Encode(10 + Settled)
	require.Equal(t, []byte{0x80}, plaintext)
	require.Equal(t, int64(10+Settled), until)
}

// An older use does not set the last-seen time back.
func TestListingIsSeenForward(t *testing.T) {
	head := &Cookie{Kind: Head, Root: NewRoot(), Created: 1}
	l := Listing(nil).Put(NewListItem(head, 20, 1000, "")).Put(NewListItem(head, 10, 1000, "phone"))
	require.Equal(t, int64(20), l[0].SeenAt)
	require.Equal(t, "phone", l[0].Label)
	require.Equal(t, head.Root.ID(), l[0].PublicID())
}

// FuzzDecodeListing: a listing that decodes encodes to as many bytes, unless items are
// dropped.
func FuzzDecodeListing(f *testing.F) {
	l := Listing{{End: 9, Ended: true}, {End: 10, Created: 1, SeenAt: 300, Bound: 70000, Others: [][]byte{make([]byte, rowHash)}, Label: "é"}}
	plaintext, _ := l.Encode(0)
	f.Add(plaintext)
	f.Add([]byte{0x80})
	f.Add([]byte{0x9b, 255, 255, 255, 255, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := DecodeListing(b)
		if err != nil {
			return
		}
		again, _ := l.Encode(-1)
		once, err := DecodeListing(again)
		require.NoError(t, err)
		require.LessOrEqual(t, len(once), len(l))
		if len(once) == len(l) {
			require.Equal(t, len(b), len(again))
		}
	})
}
