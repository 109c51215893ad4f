package core_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/core"
)

// goldenFragment is one fragment with the bytes that SPEC.md says it has.
type goldenFragment struct {
	name     string
	fragment *core.Fragment
	hex      string // the plaintext
	diag     string // the same in CBOR's diagnostic notation (RFC 8949 section 8)
	suffix   string
	id       string // the public id of its generation
	family   string // in hex
}

const goldenCreated = 1_750_000_000_000 // 2025-06-15T15:06:40Z

func goldenRoot(first byte) (r core.Root) {
	for i := range r {
		r[i] = first + byte(i)
	}
	return r
}

func goldenHeader(kind core.Kind, root core.Root) core.Fragment {
	return core.Fragment{
		Kind: kind, Root: root, Created: goldenCreated, End: goldenCreated + 86_400_000,
		Born: core.Stamp{At: goldenCreated, ID: 0x01020304}, Seen: goldenCreated + 61_000,
	}
}

func at(offset int64, id uint32) core.Stamp { return core.Stamp{At: goldenCreated + offset, ID: id} }

func goldenSnapshot() *core.Fragment {
	f := goldenHeader(core.Data, goldenRoot(0))
	f.Orphan = true
	f.Entries = []core.Entry{
		{Name: "cart", Stamp: at(60_000, 7), Value: []byte{0x82, 0x01, 0x02}},
		{Name: "flash", Stamp: at(0, 0x01020304), Gone: goldenCreated + 60_000},
		{Name: "theme", Stamp: at(60_000, 7), Gone: goldenCreated + 60_000},
		{Name: "user", Stamp: at(0, 0x01020304), Value: append([]byte{0x66}, "张三"...)},
	}
	return &f
}

func goldenDelta() *core.Fragment {
	f := goldenHeader(core.Data, goldenRoot(0x40))
	f.Family = core.Family{0xf0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	f.Browser = true
	f.Floor, f.Horizon = at(100, 5), goldenCreated+200
	f.Entries = []core.Entry{{Name: "b", Stamp: at(90_000, 0xffffffff), Value: []byte{0xf5}}}
	f.Needs = []core.Need{{Name: "a", Stamp: at(300, 5)}, {Name: "c", Stamp: at(400, 6), Gone: true}}
	f.Idle, f.Subject, f.Bound, f.Moved = 7_200_000, []byte("42"), goldenCreated+100, 3
	return &f
}

func goldenReference() *core.Fragment {
	f := goldenHeader(core.Reference, goldenRoot(0))
	f.Number, f.ETag = 2, [16]byte{15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}
	return &f
}

func golden(name string) *core.Fragment {
	for _, g := range goldens() {
		if g.name == name {
			return g.fragment
		}
	}
	panic("no golden fragment has the name " + name)
}

func TestGoldenFragments(t *testing.T) {
	for _, g := range goldens() {
		t.Run(g.name, func(t *testing.T) {
			b := g.fragment.AppendPlaintext(nil)
			require.Equal(t, g.hex, hex.EncodeToString(b))
			require.Equal(t, g.diag, diagnose(t, b))
			require.Equal(t, secondWriter(t, g.fragment), b)

			got, err := core.Decode(b)
			require.NoError(t, err)
			require.Equal(t, g.fragment, got)

			got.Name()
			family := core.FamilyOf(got)
			require.Equal(t, g.suffix, got.Suffix)
			require.Equal(t, g.id, got.Root.ID())
			require.Equal(t, g.family, hex.EncodeToString(family[:]))
			require.True(t, core.IsSuffix(got.Suffix))
		})
	}
}

// SPEC.md shows these very fragments, for whoever writes another implementation.
func TestSpecShowsTheGoldenFragments(t *testing.T) {
	b, err := os.ReadFile("../../SPEC.md")
	if err != nil || !bytes.Contains(b, []byte("carryon fragment name")) {
		t.Skip("SPEC.md has no section on the plaintext yet")
	}
	spec := strings.Join(strings.Fields(string(b)), "")
	for _, g := range goldens() {
		require.Contains(t, spec, g.hex, g.name)
		require.Contains(t, spec, g.suffix, g.name)
		require.Contains(t, spec, g.id, g.name)
	}
	for _, g := range goldens()[:2] {
		require.Contains(t, spec, strings.Join(strings.Fields(strings.Trim(g.diag, "{}610\n")), ""), g.name)
	}
}

// diagnose shows a plaintext as a general decoder sees it: the content map and
// the last-seen time, on a line each.
func diagnose(t *testing.T, b []byte) string {
	content, rest, err := cbor.DiagnoseFirst(b)
	require.NoError(t, err)
	seen, rest, err := cbor.DiagnoseFirst(rest)
	require.NoError(t, err)
	require.Empty(t, rest)
	return content + "\n" + seen
}

// The name follows from the content alone: a touch keeps it, a write does not.
func TestNameFollowsFromTheContent(t *testing.T) {
	f := goldenSnapshot()
	f.Name()
	touched := f.Touched(f.Seen + 5)
	require.Equal(t, f.Seen+5, touched.Seen)
	touched.Name()
	require.Equal(t, f.Suffix, touched.Suffix)
	require.Equal(t, f.Seen, f.Touched(f.Seen-5).Seen, "the last-seen time never goes back")

	for what, change := range map[string]func(f *core.Fragment){
		"a value":  func(f *core.Fragment) { f.Entries[0].Value = []byte{0x80} },
		"a stamp":  func(f *core.Fragment) { f.Entries[0].Stamp.ID++ },
		"the root": func(f *core.Fragment) { f.Root[0] ^= 1 },
		"the end":  func(f *core.Fragment) { f.End++ },
	} {
		other := goldenSnapshot()
		change(other)
		other.Name()
		require.NotEqual(t, f.Suffix, other.Suffix, what)
	}
}

// All idle clocks of a generation have one name, whatever they say.
func TestNameOfTheIdleClockIsFixed(t *testing.T) {
	a, b := goldenHeader(core.SeenMark, goldenRoot(0)), goldenHeader(core.SeenMark, goldenRoot(0))
	b.Seen, b.Orphan, b.End = b.Seen+9, true, b.End+1
	a.Name()
	b.Name()
	require.Equal(t, a.Suffix, b.Suffix)
	require.NotEqual(t, golden("logout").Suffix, a.Suffix)
}

func TestRootsAreDrawn(t *testing.T) {
	a, b := core.NewRoot(), core.NewRoot()
	require.NotEqual(t, a, b)
	require.Len(t, a.ID(), 22)
	require.False(t, bytes.Contains(a[:], []byte(a.ID())))
}

func TestIsSuffix(t *testing.T) {
	for s, want := range map[string]bool{
		"abcdefghij": true, "z234567zzz": true,
		"": false, "abcdefghi": false, "abcdefghijk": false, "abcdefghi1": false, "abcdefghi8": false,
		"Abcdefghij": false, "abcdefgh.1": false, "abcdefgh\x00i": false, "abcdéfghi": false,
	} {
		require.Equal(t, want, core.IsSuffix(s), "%q", s)
	}
}

func goldens() []goldenFragment {
	logout, seen := goldenHeader(core.Logout, goldenRoot(0x80)), goldenHeader(core.SeenMark, goldenRoot(0))
	return []goldenFragment{
		{
			name: "snapshot", fragment: goldenSnapshot(),
			hex: "a80101025820000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f031b00000197" +
				"7420dc00041a05265c000582001a0102030407f50b84001a0102030419ea60070c8c64636172740143820102" +
				"65666c6173680019ea60657468656d6501f66475736572004766e5bca0e4b88919ee48",
			diag: `{1: 1, 2: h'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', ` +
				`3: 1750000000000, 4: 86400000, 5: [0, 16909060], 7: true, 11: [0, 16909060, 60000, 7], ` +
				`12: ["cart", 1, h'820102', "flash", 0, 60000, "theme", 1, null, "user", 0, ` +
				`h'66e5bca0e4b889']}` + "\n61000",
			suffix: "3j72abs7uk", id: "d6FGXF1fSsCtryDlLEDdHw", family: "fa40d7dece1ee2a70fb366ca84096185",
		},
		{
			name: "delta", fragment: goldenDelta(),
			hex: "b00101025820404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f031b00000197" +
				"7420dc00041a05265c000582001a010203040650f00102030405060708090a0b0c0d0e0f08f509821864050a" +
				"18c80b8619012c05190190061a00015f901affffffff0c8361620241f50d846161006163030e1a006ddd000f" +
				"423432101864130319ee48",
			diag: `{1: 1, 2: h'404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f', ` +
				`3: 1750000000000, 4: 86400000, 5: [0, 16909060], ` +
				`6: h'f00102030405060708090a0b0c0d0e0f', 8: true, 9: [100, 5], 10: 200, 11: [300, 5, ` +
				`400, 6, 90000, 4294967295], 12: ["b", 2, h'f5'], 13: ["a", 0, "c", 3], 14: 7200000, ` +
				`15: h'3432', 16: 100, 19: 3}` + "\n61000",
			suffix: "hwfvhetwli", id: "yg-blXTu8AvCoCUlnQPxJQ", family: "f00102030405060708090a0b0c0d0e0f",
		},
		{
			name: "logout", fragment: &logout,
			hex: "a50102025820808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f031b00000197" +
				"7420dc00041a05265c000582001a0102030419ee48",
			diag: `{1: 2, 2: h'808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f', ` +
				`3: 1750000000000, 4: 86400000, 5: [0, 16909060]}` + "\n61000",
			suffix: "ep23od6c3b", id: "4Gf_nB_7e0AfdFMbdlE_Jg", family: "69fd08deba0b8c4c3c7ee860e5804a4a",
		},
		{
			name: "idle clock", fragment: &seen,
			hex: "a50103025820000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f031b00000197" +
				"7420dc00041a05265c000582001a0102030419ee48",
			diag: `{1: 3, 2: h'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', ` +
				`3: 1750000000000, 4: 86400000, 5: [0, 16909060]}` + "\n61000",
			suffix: "qb37x2mh3n", id: "d6FGXF1fSsCtryDlLEDdHw", family: "fa40d7dece1ee2a70fb366ca84096185",
		},
		{
			name: "reference", fragment: goldenReference(),
			hex: "a70104025820000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f031b00000197" +
				"7420dc00041a05265c000582001a01020304110212500f0e0d0c0b0a0908070605040302010019ee48",
			diag: `{1: 4, 2: h'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', ` +
				`3: 1750000000000, 4: 86400000, 5: [0, 16909060], 17: 2, ` +
				`18: h'0f0e0d0c0b0a09080706050403020100'}` + "\n61000",
			suffix: "jkdi3gugiw", id: "d6FGXF1fSsCtryDlLEDdHw", family: "fa40d7dece1ee2a70fb366ca84096185",
		},
	}
}
