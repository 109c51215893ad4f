package core_test

import (
	"encoding/hex"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/carryon-go/carryon/internal/core"
)

// The layout is checked against a second writer of it, view below: the same
// fragment as plain Go maps and slices, encoded by a general CBOR library.

func deterministic(t require.TestingT) cbor.EncMode {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	require.NoError(t, err)
	return mode
}

// secondWriter encodes f by a general encoder.
func secondWriter(t require.TestingT, f *core.Fragment) []byte {
	mode := deterministic(t)
	content, err := mode.Marshal(view(f))
	require.NoError(t, err)
	seen, err := mode.Marshal(uint64(max(f.Seen-f.Created, 0)))
	require.NoError(t, err)
	return append(content, seen...)
}

// view is what SPEC.md says of the content map, key by key.
func view(f *core.Fragment) map[uint64]any {
	off := func(ms int64) uint64 { return uint64(ms - f.Created) }
	stamp := func(s core.Stamp) []any { return []any{off(s.At), uint64(s.ID)} }
	m := map[uint64]any{
		1: uint64(f.Kind), 2: f.Root[:], 3: uint64(f.Created), 4: off(f.End), 5: stamp(f.Born),
	}
	put := func(key uint64, there bool, v func() any) {
		if there {
			m[key] = v()
		}
	}
	put(6, f.Family != core.Family{}, func() any { return f.Family[:] })
	put(7, f.Orphan, func() any { return true })
	put(8, f.Browser, func() any { return true })
	put(9, f.Floor != core.Stamp{}, func() any { return stamp(f.Floor) })
	put(10, f.Horizon != 0, func() any { return off(f.Horizon) })
	viewState(f, m, off)
	put(14, f.Idle != 0, func() any { return uint64(f.Idle) })
	put(15, f.Subject != nil, func() any { return f.Subject })
	put(16, f.Bound != 0, func() any { return off(f.Bound) })
	put(17, f.Number != 0, func() any { return f.Number })
	put(18, f.ETag != [16]byte{}, func() any { return f.ETag[:] })
	put(19, f.Moved != 0, func() any { return f.Moved })
	return m
}

// viewState adds the stamp table, the entries and the needs.
func viewState(f *core.Fragment, m map[uint64]any, off func(int64) uint64) {
	var stamps []core.Stamp
	for _, e := range f.Entries {
		stamps = append(stamps, e.Stamp)
	}
	for _, n := range f.Needs {
		stamps = append(stamps, n.Stamp)
	}
	slices.SortFunc(stamps, core.Stamp.Compare)
	stamps = slices.Compact(stamps)
	at := func(s core.Stamp) uint64 { return uint64(slices.Index(stamps, s)) }
	var table, entries, needs []any
	for _, s := range stamps {
		table = append(table, off(s.At), uint64(s.ID))
	}
	for _, e := range f.Entries {
		var v any // null: deleted by the write that its stamp names
		switch {
		case e.Gone == 0:
			v = e.Value
		case e.Gone != e.Stamp.At:
			v = off(e.Gone)
		}
		entries = append(entries, e.Name, at(e.Stamp), v)
	}
	for _, n := range f.Needs {
		ref := 2 * at(n.Stamp)
		if n.Gone {
			ref++
		}
		needs = append(needs, n.Name, ref)
	}
	for key, v := range map[uint64][]any{11: table, 12: entries, 13: needs} {
		if len(v) > 0 {
			m[key] = v
		}
	}
}

// fragments draws every fragment that the layout can carry.
func fragments() *rapid.Generator[*core.Fragment] {
	return rapid.Custom(func(t *rapid.T) *core.Fragment {
		f := &core.Fragment{Kind: core.Kind(rapid.IntRange(1, 4).Draw(t, "kind"))}
		f.Created = rapid.Int64Range(1, core.MaxTime).Draw(t, "created")
		time := func(label string) int64 { return f.Created + rapid.Int64Range(0, core.MaxTime).Draw(t, label) }
		stamp := func(label string) core.Stamp {
			return core.Stamp{At: time(label), ID: rapid.Uint32().Draw(t, label+" id")}
		}
		maybe := func(label string) bool { return rapid.Bool().Draw(t, label) }
		fill(t, f.Root[:])
		f.End, f.Born, f.Seen = time("end"), stamp("born"), time("seen")
		f.Orphan, f.Browser = maybe("orphan"), maybe("browser")
		if maybe("family?") {
			fill(t, f.Family[:])
		}
		if maybe("floor?") {
			f.Floor, f.Horizon = stamp("floor"), time("horizon")
		}
		if maybe("rare fields?") {
			f.Idle = rapid.Int64Range(0, core.MaxTime).Draw(t, "idle")
			f.Subject = rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "subject")
			f.Bound = time("bound")
			f.Number = rapid.Uint64Range(0, 1<<63-1).Draw(t, "number")
			f.Moved = rapid.Uint64Range(0, 1<<63-1).Draw(t, "moved")
			fill(t, f.ETag[:])
		}
		if f.Kind == core.Data {
			pool := rapid.SliceOfN(rapid.Custom(func(*rapid.T) core.Stamp { return stamp("pool") }), 1, 6).Draw(t, "stamps")
			drawState(t, f, pool)
		}
		return f
	})
}

func fill(t *rapid.T, dst []byte) {
	copy(dst, rapid.SliceOfN(rapid.Byte(), len(dst), len(dst)).Draw(t, "bytes"))
	dst[0] |= 1 // all zero means absent
}

func names(t *rapid.T) []string {
	list := rapid.SliceOfNDistinct(rapid.StringN(1, 20, core.MaxName), 0, 6, rapid.ID[string]).Draw(t, "names")
	slices.Sort(list)
	return list
}

func drawState(t *rapid.T, f *core.Fragment, pool []core.Stamp) {
	stamp := rapid.SampledFrom(pool)
	for _, name := range names(t) {
		e := core.Entry{Name: name, Stamp: stamp.Draw(t, "stamp")}
		switch rapid.IntRange(0, 3).Draw(t, "form") {
		case 0:
			e.Gone = e.Stamp.At
		case 1: // popped, at or after the write that it takes
			e.Gone = rapid.Int64Range(e.Stamp.At, f.Created+core.MaxTime).Draw(t, "gone")
		default:
			e.Value = append([]byte{}, rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "value")...)
		}
		f.Entries = append(f.Entries, e)
	}
	for _, name := range names(t) {
		f.Needs = append(f.Needs, core.Need{Name: name, Stamp: stamp.Draw(t, "need"), Gone: rapid.Bool().Draw(t, "gone?")})
	}
}

func TestLayoutRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := fragments().Draw(t, "fragment")
		b := f.AppendPlaintext(nil)
		counted := *f
		require.Equal(t, len(b), counted.PlaintextLen())
		require.Equal(t, hex.EncodeToString(secondWriter(t, f)), hex.EncodeToString(b))
		got, err := core.Decode(b)
		require.NoError(t, err)
		require.Equal(t, f, got)
		require.Equal(t, b, got.AppendPlaintext(nil))
	})
}

// What is decoded must be what was written, byte for byte: two encodings of one
// content would have two names.
func TestLayoutEveryChangedByteIsRefusedOrIsAnotherFragment(t *testing.T) {
	for _, g := range goldens() {
		t.Run(g.name, func(t *testing.T) {
			good := g.fragment.AppendPlaintext(nil)
			for i := range good {
				for delta := 1; delta < 256; delta++ {
					b := slices.Clone(good)
					b[i] ^= byte(delta)
					if f, err := core.Decode(b); err == nil {
						require.Equal(t, b, f.AppendPlaintext(nil), "byte %d xor %#x", i, delta)
					}
				}
			}
		})
	}
}

func TestLayoutAnyChangedByteOfAnyFragment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := fragments().Draw(t, "fragment").AppendPlaintext(nil)
		b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= rapid.ByteRange(1, 255).Draw(t, "by")
		if f, err := core.Decode(b); err == nil {
			require.Equal(t, b, f.AppendPlaintext(nil))
		}
	})
}

func TestLayoutRefusesEveryTruncationAndExtension(t *testing.T) {
	for _, g := range goldens() {
		b := g.fragment.AppendPlaintext(nil)
		for i := range b {
			_, err := core.Decode(b[:i])
			require.Error(t, err, "%s cut to %d of %d bytes", g.name, i, len(b))
		}
		for tail := range 256 {
			_, err := core.Decode(append(slices.Clone(b), byte(tail)))
			require.Error(t, err, "%s with the byte %#x behind it", g.name, tail)
		}
	}
}

// A table of more stamps than the reader counts in one word.
func TestLayoutManyStamps(t *testing.T) {
	f := golden("snapshot")
	f.Entries = nil
	for i := range 130 {
		f.Entries = append(f.Entries, core.Entry{
			Name: "k" + hex.EncodeToString([]byte{byte(i)}), Stamp: core.Stamp{At: f.Created + int64(i*7%130), ID: 1}, Value: []byte{1},
		})
	}
	b := f.AppendPlaintext(nil)
	got, err := core.Decode(b)
	require.NoError(t, err)
	require.Equal(t, f, got)
	require.Equal(t, secondWriter(t, f), b)

	unused := view(f)
	table := unused[11].([]any)
	unused[11] = append(table, table[len(table)-2].(uint64)+1, uint64(1))
	_, err = core.Decode(encodeView(t, unused))
	require.Error(t, err, "a stamp that nothing refers to")
}

func encodeView(t *testing.T, m map[uint64]any) []byte {
	b, err := deterministic(t).Marshal(m)
	require.NoError(t, err)
	return append(b, 0) // last seen
}

// Each of these is sound CBOR and one step away from what is written.
func TestLayoutRefusesWhatIsNeverWritten(t *testing.T) {
	cases := map[string]func(m map[uint64]any){
		"no kind":                     func(m map[uint64]any) { delete(m, 1) },
		"no root":                     func(m map[uint64]any) { delete(m, 2) },
		"no birth":                    func(m map[uint64]any) { delete(m, 5) },
		"kind 0":                      func(m map[uint64]any) { m[1] = 0 },
		"kind 5":                      func(m map[uint64]any) { m[1] = 5 },
		"four fields":                 func(m map[uint64]any) { keep(m, 1, 2, 3, 4) },
		"one field":                   func(m map[uint64]any) { keep(m, 1) },
		"no fields":                   func(m map[uint64]any) { keep(m) },
		"an empty table alone":        func(m map[uint64]any) { keep(m, 1, 2, 3, 4, 5); m[11] = []any{} },
		"empty entries alone":         func(m map[uint64]any) { keep(m, 1, 2, 3, 4, 5); m[12] = []any{} },
		"empty needs alone":           func(m map[uint64]any) { keep(m, 1, 2, 3, 4, 5); m[13] = []any{} },
		"a short root":                func(m map[uint64]any) { m[2] = []byte(strings.Repeat("r", 31)) },
		"a long root":                 func(m map[uint64]any) { m[2] = []byte(strings.Repeat("r", 33)) },
		"a root of zeros":             func(m map[uint64]any) { m[2] = make([]byte, 32) },
		"created 0":                   func(m map[uint64]any) { m[3] = 0 },
		"created beyond its bound":    func(m map[uint64]any) { m[3] = uint64(1 << 48) },
		"a negative time":             func(m map[uint64]any) { m[4] = -1 },
		"a time beyond its bound":     func(m map[uint64]any) { m[4] = uint64(1 << 48) },
		"a float for a time":          func(m map[uint64]any) { m[4] = 1.5 },
		"a birth of one number":       func(m map[uint64]any) { m[5] = []any{1} },
		"a birth of three":            func(m map[uint64]any) { m[5] = []any{1, 2, 3} },
		"a write id of 33 bits":       func(m map[uint64]any) { m[5] = []any{0, uint64(1 << 32)} },
		"a family of zeros":           func(m map[uint64]any) { m[6] = make([]byte, 16) },
		"orphan false":                func(m map[uint64]any) { m[7] = false },
		"browser null":                func(m map[uint64]any) { m[8] = nil },
		"no stamps":                   func(m map[uint64]any) { delete(m, 11) },
		"an empty table":              func(m map[uint64]any) { m[11] = []any{} },
		"stamps out of order":         func(m map[uint64]any) { m[11] = []any{30, 9, 20, 7} },
		"a stamp twice":               func(m map[uint64]any) { m[11] = []any{20, 7, 20, 7} },
		"an odd table":                func(m map[uint64]any) { m[11] = []any{20, 7, 30} },
		"no entries for the stamps":   func(m map[uint64]any) { delete(m, 12) },
		"empty entries":               func(m map[uint64]any) { m[12] = []any{} },
		"entries out of order":        func(m map[uint64]any) { m[12] = []any{"b", 0, []byte{1}, "a", 1, []byte{1}} },
		"a name twice":                func(m map[uint64]any) { m[12] = []any{"a", 0, []byte{1}, "a", 1, []byte{1}} },
		"an empty name":               func(m map[uint64]any) { m[12] = []any{"", 0, []byte{1}, "a", 1, []byte{1}} },
		"a name too long":             func(m map[uint64]any) { m[12] = []any{strings.Repeat("n", 256), 0, []byte{1}, "z", 1, nil} },
		"a name that is not UTF-8":    func(m map[uint64]any) { m[12] = []any{"a\xff", 0, []byte{1}, "b", 1, []byte{1}} },
		"a name of bytes":             func(m map[uint64]any) { m[12] = []any{[]byte("a"), 0, []byte{1}, "b", 1, []byte{1}} },
		"a stamp that is not there":   func(m map[uint64]any) { m[12] = []any{"a", 0, []byte{1}, "b", 2, []byte{1}} },
		"a value of text":             func(m map[uint64]any) { m[12] = []any{"a", 0, "v", "b", 1, []byte{1}} },
		"popped before it was set":    func(m map[uint64]any) { m[12] = []any{"a", 0, 19, "b", 1, []byte{1}} },
		"popped as null is written":   func(m map[uint64]any) { m[12] = []any{"a", 0, 20, "b", 1, []byte{1}} },
		"a value undefined":           func(m map[uint64]any) { m[12] = []any{"a", 0, cbor.SimpleValue(23), "b", 1, []byte{1}} },
		"empty needs":                 func(m map[uint64]any) { m[13] = []any{} },
		"a need twice":                func(m map[uint64]any) { m[13] = []any{"n", 0, "n", 0} },
		"a need of an unknown stamp":  func(m map[uint64]any) { m[13] = []any{"n", 4} },
		"an idle timeout of 0":        func(m map[uint64]any) { m[14] = 0 },
		"a subject of text":           func(m map[uint64]any) { m[15] = "42" },
		"a subject too long":          func(m map[uint64]any) { m[15] = make([]byte, 1025) },
		"number 0":                    func(m map[uint64]any) { m[17] = 0 },
		"a number beyond its bound":   func(m map[uint64]any) { m[17] = uint64(1 << 63) },
		"an etag of zeros":            func(m map[uint64]any) { m[18] = make([]byte, 16) },
		"moved 0":                     func(m map[uint64]any) { m[19] = 0 },
		"a field of a later version":  func(m map[uint64]any) { m[20] = 1 },
		"a logout with entries":       func(m map[uint64]any) { m[1] = 2 },
		"an idle clock with entries":  func(m map[uint64]any) { m[1] = 3 },
		"a reference with entries":    func(m map[uint64]any) { m[1] = 4 },
		"a tag around the table":      func(m map[uint64]any) { m[11] = cbor.Tag{Number: 1000, Content: m[11]} },
		"a table that is not a list":  func(m map[uint64]any) { m[11] = map[int]int{20: 7, 30: 9} },
		"a nested list of entries":    func(m map[uint64]any) { m[12] = []any{m[12]} },
		"three entries' worth of two": func(m map[uint64]any) { m[12] = []any{"a", 0, []byte{1}, "b", 1} },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			m := base()
			_, err := core.Decode(encodeView(t, m))
			require.NoError(t, err, "the base of this table must be sound")
			change(m)
			f, err := core.Decode(encodeView(t, m))
			require.Error(t, err, "%+v", f)
		})
	}
}

// keep deletes all keys of m but these.
func keep(m map[uint64]any, keys ...uint64) {
	maps.DeleteFunc(m, func(key uint64, _ any) bool { return !slices.Contains(keys, key) })
}

// base is a sound content map of two entries, a and b.
func base() map[uint64]any {
	return map[uint64]any{
		1: 1, 2: []byte(strings.Repeat("r", 32)), 3: 1_000_000, 4: 5000, 5: []any{10, 3},
		11: []any{20, 7, 30, 9}, 12: []any{"a", 0, []byte{1}, "b", 1, []byte{1}},
	}
}

// Heads that are longer than needed and indefinite lengths, on the wire.
func TestLayoutRefusesOtherEncodingsOfTheSame(t *testing.T) {
	good := hex.EncodeToString(encodeView(t, base()))
	for name, swap := range map[string][2]string{
		"the map's head in two bytes":      {"a7", "b807"},
		"an indefinite map":                {"a7", "bf"},
		"a key in two bytes":               {"0101", "180101"},
		"a kind in two bytes":              {"0101", "011801"},
		"a time in four bytes":             {"04191388", "041a00001388"},
		"a time in eight bytes":            {"04191388", "041b0000000000001388"},
		"the entries' head in two bytes":   {"0c86", "0c9806"},
		"indefinite entries":               {"0c86", "0c9f"},
		"a name in two parts":              {"0c866161", "0c867f6161ff"},
		"a name's head in two bytes":       {"0c866161", "0c86780161"},
		"a value's head in two bytes":      {"00410161", "0058010161"},
		"a value in parts":                 {"00410161", "005f4101ff61"},
		"the root's head in three bytes":   {"025820", "02590020"},
		"the table's head in two bytes":    {"0b84", "0b9804"},
		"fields out of order":              {"010102", "020101"},
		"a reserved head":                  {"04191388", "041c1388"},
		"a time that says more than comes": {"04191388", "045b1388"},
	} {
		require.Equal(t, 1, strings.Count(good, swap[0]), "%s: %s in %s", name, swap[0], good)
		b, err := hex.DecodeString(strings.Replace(good, swap[0], swap[1], 1))
		require.NoError(t, err)
		_, err = core.Decode(b)
		require.Error(t, err, name)
	}
}

// A count in a head is a claim; nothing may be allocated for it.
func TestLayoutAllocatesNoMoreThanItReads(t *testing.T) {
	head, _, _ := strings.Cut(hex.EncodeToString(encodeView(t, base())), "0c86")
	for name, tail := range map[string]string{
		"2^32 entries": "0c9affffffff", "2^64 entries": "0c9bffffffffffffffff", "2^63 of name": "0c867b7fffffffffffffff",
		"2^64 needs": "0d9bfffffffffffffffe", "2^32 of subject": "0f5affffffff",
	} {
		b, err := hex.DecodeString(head + tail)
		require.NoError(t, err)
		b = append(b, make([]byte, 64)...)
		_, err = core.Decode(b)
		require.Error(t, err, name)
		require.Less(t, allocatedBy(func() { _, _ = core.Decode(b) }), uint64(64*1024), name)
	}
}

// allocatedBy is the mean number of bytes that f allocates.
func allocatedBy(f func()) uint64 {
	var before, after runtime.MemStats
	const runs = 100
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / runs
}

// The fragment with the reader's own room, and the entries: 2.
func TestDecodeAllocations(t *testing.T) {
	b := golden("snapshot").AppendPlaintext(nil)
	require.Len(t, golden("snapshot").Entries, 4)
	require.EqualValues(t, 2, testing.AllocsPerRun(100, func() {
		if _, err := core.Decode(b); err != nil {
			t.Fatal(err)
		}
	}))
}

func FuzzDecode(f *testing.F) {
	for _, g := range goldens() {
		f.Add(g.fragment.AppendPlaintext(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := slices.Clone(b)
		got, err := core.Decode(b)
		require.Equal(t, before, b, "Decode must not write to its input")
		if err != nil {
			require.Nil(t, got)
			return
		}
		if b[0]>>5 != 5 { // no map: another form of the same
			b = got.AppendPlaintext(nil)
			got, err = core.Decode(b)
			require.NoError(t, err)
		}
		require.Equal(t, b, got.AppendPlaintext(nil))
		require.LessOrEqual(t, 4*cap(got.Entries)+3*cap(got.Needs), len(b)+64)
		require.Equal(t, b, secondWriter(t, got))
	})
}

func TestLeastDataIsALowerBound(t *testing.T) {
	f := core.Fragment{Kind: core.Data, Root: core.Root{1}, Created: 1, End: 1, Born: core.Stamp{At: 1}, Seen: 1,
		Entries: []core.Entry{{Name: "n", Stamp: core.Stamp{At: 1}, Value: []byte{0}}}}
	require.GreaterOrEqual(t, len(f.Plaintext())-len("n")-1, core.LeastData)
	require.Equal(t, len(f.Plaintext()), (&core.Fragment{Kind: f.Kind, Root: f.Root, Created: 1, End: 1, Born: f.Born, Seen: 1, Entries: f.Entries}).PlaintextLen())
}
