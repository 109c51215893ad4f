package core_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/core"
)

// Each number has one form: the next longer one begins where the shorter ends.
// What has another is not refused for good here, but left to who reads all of CBOR.
func TestNumbersHaveOneForm(t *testing.T) {
	for raw, n := range map[string]int64{
		"\x17": 23, "\x18\x18": 24, "\x18\xff": 255, "\x19\x01\x00": 256, "\x19\xff\xff": 65_535,
		"\x1a\x00\x01\x00\x00": 65_536, "\x1a\xff\xff\xff\xff": math.MaxUint32,
		"\x1b\x00\x00\x00\x01\x00\x00\x00\x00": 1 << 32, "\x1b\x7f\xff\xff\xff\xff\xff\xff\xff": math.MaxInt64,
		"\x3b\x7f\xff\xff\xff\xff\xff\xff\xff": math.MinInt64, "\x20": -1,
	} {
		got, ok := core.Int([]byte(raw))
		require.True(t, ok, "%x", raw)
		require.Equal(t, n, got)
		require.Equal(t, raw, string(core.AppendInt(nil, n)))
	}
	for _, raw := range []string{
		"", "\x18\x17", "\x19\x00\xff", "\x1a\x00\x00\xff\xff", "\x1b\x00\x00\x00\x00\xff\xff\xff\xff",
		"\x1b\x80\x00\x00\x00\x00\x00\x00\x00", "\x3b\x80\x00\x00\x00\x00\x00\x00\x00", "\x18", "\x19\x01", "\x1a\x00\x01\x00",
		"\x1b\x00\x00\x00\x01\x00\x00\x00", "\x1c", "\x1f", "\x17\x00", "\x20\x00", "\x19\x01\x00\x00", "\x40", "\xff",
	} {
		_, ok := core.Int([]byte(raw))
		require.False(t, ok, "%x", raw)
	}
}

// A length is held against what is there, not trusted: no more, and no less.
func TestTextAndBytesAreAllThereIs(t *testing.T) {
	for _, raw := range []string{"a", "a\x00", "\x1b\x00\x00\x00\x01\x00\x00\x00\x00", "\x1b\xff\xff\xff\xff\xff\xff\xff\xff"} {
		for head, read := range map[byte]func([]byte) ([]byte, bool){0x60: core.Text, 0x40: core.Bytes} {
			b := append([]byte{head | raw[0]&31}, raw[1:]...) // 'a' is 1: one byte
			got, ok := read(b)
			require.Equal(t, raw == "a\x00", ok, "%x", b)
			if ok {
				require.Equal(t, []byte{0}, got)
			}
		}
	}
}

// At its worst a snapshot has every field, and each number is a long one.
func TestSnapshotLenBoundsTheLongestSnapshot(t *testing.T) {
	at := core.Stamp{At: 2 * core.MaxTime, ID: math.MaxUint32}
	f := &core.Fragment{Kind: core.Data, Root: core.Root{1}, Family: core.Family{1}, Created: core.MaxTime, End: at.At, Born: at, Orphan: true, Browser: true,
		Floor: at, Horizon: at.At, Idle: core.MaxTime, Subject: make([]byte, core.MaxSubject), Bound: at.At, Number: 1<<63 - 1, Moved: 1<<63 - 1, Seen: at.At,
		Entries: []core.Entry{{Name: "n", Stamp: at, Value: []byte{1}}}}
	v := core.View{Head: f, State: core.State{Entries: f.Entries, Floor: f.Floor, Horizon: f.Horizon}, Fragments: []*core.Fragment{f},
		Fates: []core.Fate{core.Accepted}, Moved: f.Moved, Collected: f.Number, Loaded: f.Seen, MaxAt: at.At - 1}
	least, most := v.SnapshotLen(&core.Changes{})
	exact := v.Snapshot(&core.Changes{}, core.Write{Now: at.At, ID: at.ID}).PlaintextLen()
	require.LessOrEqual(t, least, exact)
	require.LessOrEqual(t, exact, most)
}
