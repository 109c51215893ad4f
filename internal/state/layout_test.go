package state_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
)

// golden returns a cookie of each kind and form.
func golden() map[string]*state.Cookie {
	born := state.Stamp{At: 1_800_000_000_000, ID: 5}
	root := state.Root{0xaa, 0xbb}
	small := state.Cookie{Kind: state.Head, Root: root, Created: born.At, End: born.At + 3_600_000, Born: born, Floor: born, Since: born.At, SeenAt: born.At}
	full := small
	full.Orphan, full.Browser, full.Turn, full.Floor = true, true, 3, state.Stamp{At: born.At + 1000, ID: 6}
	full.Since, full.SeenAt, full.Idle, full.Bound = born.At+2000, born.At+3000, 60_000, born.At+1
	full.Subjects, _ = state.NewSubjects("u1", "s")
	full.Entries = []state.Entry{
		{Name: "a", Stamp: full.Floor, Value: []byte{0x01}},
		{Name: "b", Stamp: state.Stamp{At: born.At + 1500}, Form: state.Listed},
		{Name: "c", Stamp: state.Stamp{At: born.At + 1600, ID: 7}, Value: []byte{0x02}},
		{Name: "d", Stamp: state.Stamp{At: born.At + 1700, ID: 8}, Form: state.Deleted},
		{Name: "e", Stamp: state.Stamp{At: born.At + 1800, ID: 9}, Value: []byte{0x03}, Above: state.Stamp{At: born.At + 1100, ID: 10}},
	}
	ref := small
	ref.Row = state.Revision{Number: 4, Tag: [16]byte{1, 2}}
	back := small
	back.Back = true
	return map[string]*state.Cookie{
		"head":       &small,
		"full head":  &full,
		"reference":  &ref,
		"moved back": &back,
		"cell": {Kind: state.Cell, Gen: state.GenID{1, 2, 3}, Turn: 2, Entry: state.Entry{Name: "a", Stamp: born, Value: []byte{0x01}},
			SeenEntries: []state.SeenEntry{{Name: "b", At: born.At - 10}, {Name: "c", At: born.At - 20, Deleted: true}}},
		"cell that deletes": {Kind: state.Cell, Gen: state.GenID{1, 2, 3}, Entry: state.Entry{Name: "a", Stamp: born, Form: state.Deleted}},
		"logout":            {Kind: state.Logout, Root: root, Created: born.At, End: born.At + 1000, Born: state.Stamp{At: born.At + 500, ID: 1}},
		"seen":              {Kind: state.Seen, Gen: state.GenID{1, 2, 3}, SeenAt: born.At},
	}
}

func TestGoldenBytesOfEachKind(t *testing.T) {
	for name, want := range goldenHex {
		c := golden()[name]
		require.Equal(t, want, hex.EncodeToString(c.Plaintext()), name)
		back, err := state.Decode(c.Plaintext())
		require.NoError(t, err, name)
		require.Equal(t, want, hex.EncodeToString(back.Append(nil)), name)
	}
	require.Len(t, goldenHex, len(golden()))
}

// drawCookie draws any cookie that can be encoded.
func drawCookie(t *rapid.T) *state.Cookie {
	times := rapid.Int64Range(0, 1<<40)
	created := times.Draw(t, "created") + 1
	stamp := func() state.Stamp {
		return state.Stamp{At: created + times.Draw(t, "at"), ID: rapid.Uint32().Draw(t, "id")}
	}
	c := &state.Cookie{Kind: state.Kind(rapid.IntRange(1, 4).Draw(t, "kind"))}
	switch c.Kind {
	case state.Seen:
		c.SeenAt = times.Draw(t, "seen")
		copy(c.Gen[:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "gen"))
		return c
	case state.Cell:
		c.Turn = uint64(times.Draw(t, "turn"))
		c.Entry = drawEntry(t, "x", stamp())
		for _, name := range drawNames(t) {
			c.SeenEntries = append(c.SeenEntries, state.SeenEntry{Name: name, At: rapid.Int64Range(0, c.Entry.Stamp.At).Draw(t, "saw"), Deleted: rapid.Bool().Draw(t, "deleted")})
		}
		return c
	}
	copy(c.Root[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "root"))
	c.Created, c.End, c.Born, c.Orphan = created, created+times.Draw(t, "end"), stamp(), rapid.Bool().Draw(t, "orphan")
	if c.Kind == state.Logout {
		return c
	}
	c.Browser, c.Turn, c.Back = rapid.Bool().Draw(t, "browser"), uint64(times.Draw(t, "turn")), rapid.Bool().Draw(t, "back")
	c.Floor, c.Since, c.SeenAt = stamp(), stamp().At, stamp().At
	if rapid.Bool().Draw(t, "new") {
		c.Floor, c.Since, c.SeenAt = c.Born, c.Born.At, c.Born.At
	}
	if rapid.Bool().Draw(t, "terms") {
		c.Idle, c.Subjects, c.Bound = times.Draw(t, "idle"), drawSubjects(t), stamp().At
	}
	c.Row.Number = uint64(rapid.IntRange(0, 3).Draw(t, "row"))
	for _, name := range drawNames(t) {
		e := drawEntry(t, name, stamp())
		switch rapid.IntRange(0, 3).Draw(t, "form") {
		case 0:
			e = state.Entry{Name: name, Form: state.Listed, Stamp: state.Stamp{At: stamp().At}}
		case 1:
			if e.Live() {
				e.Stamp = c.Floor
			}
		case 2:
			if e.Stamp != c.Floor {
				e.Above = stamp()
			}
		}
		c.Entries = append(c.Entries, e)
	}
	return c
}

func drawSubjects(t *rapid.T) state.Subjects {
	names := rapid.SliceOfN(rapid.StringN(1, -1, 255), 1, 4).Draw(t, "subjects")
	s, err := state.NewSubjects(names[0], names[1:]...)
	require.NoError(t, err)
	return s
}

func drawNames(t *rapid.T) (names []string) {
	for _, name := range []string{"a", "b", "zz", "名前"} {
		if rapid.Bool().Draw(t, name) {
			names = append(names, name)
		}
	}
	return names
}

func drawEntry(t *rapid.T, name string, stamp state.Stamp) state.Entry {
	if rapid.IntRange(0, 3).Draw(t, "deleted") == 0 {
		return state.Entry{Name: name, Stamp: stamp, Form: state.Deleted}
	}
	return state.NewEntry(name, stamp, drawValue(t))
}

func TestLayoutRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCookie(t)
		plain := c.Append(nil)
		got, err := state.Decode(plain)
		require.NoError(t, err)
		require.Equal(t, plain, got.Append(nil))
		require.Equal(t, normal(c), normal(got))
	})
}

// normal returns a cookie without the fields that are not encoded.
func normal(c *state.Cookie) state.Cookie {
	d := *c.Clone()
	if c.Row.Number == 0 {
		d.Row = state.Revision{}
	}
	return d
}

// Each content has one encoding: a plaintext that was changed, cut or extended by a
// byte is refused, or is the encoding of another content.
func TestDecodeRefusesOtherEncodings(t *testing.T) {
	for name, c := range golden() {
		plain := c.Append(nil)
		for cut := range plain {
			_, err := state.Decode(plain[:cut])
			require.Error(t, err, "%s cut to %d", name, cut)
		}
		_, err := state.Decode(append(bytes.Clone(plain), 0))
		require.Error(t, err, "%s with one more byte", name)
		for i := range plain {
			for b := range 256 {
				other := bytes.Clone(plain)
				other[i] = byte(b)
				if got, err := state.Decode(other); err == nil {
					require.Equal(t, other, got.Append(nil), "%s with %02x at %d", name, b, i)
				}
			}
		}
	}
}

func TestDecodeRefusesNonCanonicalForms(t *testing.T) {
	base, err := hex.DecodeString(goldenHex["full head"])
	require.NoError(t, err)
	for name, change := range map[string][2]string{
		"a number in a longer form":                  {"0803", "081803"},
		"a turn of zero":                             {"0803", "0800"},
		"a flag that is not set":                     {"06f5", "06f4"},
		"keys out of order":                          {"06f507f5", "07f506f5"},
		"a value with a stamp that equals the floor": {"61614101", "616183" + "1903e8" + "06" + "4101"},
		"an entry without a name":                    {"61614101", "604101"},
		"a name that is not UTF-8":                   {"61614101", "61ff4101"},
		"a tombstone without a stamp":                {"61614101", "6161f6"},
		"a subject that is text":                     {"82427531", "82627531"},
		"a subject outside of an array":              {"0d824275314173", "0d427531"},
		"an empty list of subjects":                  {"0d824275314173", "0d80"},
		"an empty subject":                           {"824275314173", "8242753140"},
		"the same subject twice":                     {"824275314173", "82427531427531"},
		"five subjects":                              {"824275314173", "8541614162416341644165"},
		"more subjects than are there":               {"824275314173", "844275314173"},
		"a subject of 256 bytes":                     {"4275314173", "590100" + strings.Repeat("61", 256) + "4173"},
		"a list of subjects without an end":          {"824275314173", "9f4275314173ff"},
		"a count of subjects in a longer form":       {"824275314173", "98024275314173"},
	} {
		from, _ := hex.DecodeString(change[0])
		to, _ := hex.DecodeString(change[1])
		require.Equal(t, 1, bytes.Count(base, from), name)
		_, err := state.Decode(bytes.Replace(base, from, to, 1))
		require.Error(t, err, name)
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range golden() {
		f.Add(c.Append(nil))
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		c, err := state.Decode(plain)
		if err != nil {
			return
		}
		require.Equal(t, plain, c.Append(nil))
		for i := range c.Entries {
			c.Entries[i].CBOR()
		}
		c.Entry.CBOR()
	})
}

func FuzzRead(f *testing.F) {
	var all []byte
	for _, c := range golden() {
		plain := c.Append(nil)
		f.Add(append([]byte{byte(len(plain))}, plain...), int64(1_800_000_001_000))
		all = append(append(all, byte(len(plain))), plain...)
	}
	f.Add(all, int64(1_800_000_001_000))
	f.Fuzz(func(t *testing.T, data []byte, at int64) {
		var cookies []*state.Cookie
		for len(data) > 0 {
			n := min(int(data[0]), len(data)-1)
			if c, err := state.Decode(data[1 : 1+n]); err == nil {
				c.Tag = "x"
				cookies = append(cookies, c)
			}
			data = data[1+n:]
		}
		v := state.Read(cookies, nil, at, 60_000)
		require.Equal(t, v.Verdict == reason.None, v.Head != nil)
		for _, c := range cookies {
			if c.Kind == state.Head {
				v = state.Read(cookies, c, at, 60_000)
				require.Equal(t, v.Verdict == reason.None, v.Head != nil)
			}
		}
	})
}
