package core_test

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/core"
)

// deflated is the standard library's DEFLATE.
func deflated(dst, src []byte) []byte {
	out := bytes.NewBuffer(dst)
	w, err := flate.NewWriter(out, 9)
	if err != nil {
		panic(err)
	}
	_, _ = w.Write(src) // neither fails: it goes to memory
	_ = w.Close()
	return out.Bytes()
}

// stored is the least that RFC 1951 allows: one block, not compressed.
func stored(dst, src []byte) []byte {
	n := len(src)
	dst = append(dst, 1, byte(n), byte(n>>8), ^byte(n), ^byte(n>>8))
	return append(dst, src...)
}

func always(apart ...string) *core.Packing {
	return &core.Packing{Compress: deflated, Apart: apart, Worth: func(_, _ int) bool { return true }}
}

// listing is a session of some entries that compress well, and a secret one.
func listing(secret string) *core.Fragment {
	f := goldenHeader(core.Data, goldenRoot(0))
	f.Orphan = true
	put := func(name, value string) {
		f.Entries = append(f.Entries, core.Entry{Name: name, Stamp: at(0, 0x01020304), Value: append([]byte{0x78, byte(len(value))}, value...)})
	}
	put("cart", strings.Repeat("teapot, ", 16))
	put("token", secret)
	put("wish", strings.Repeat("teacup, ", 16))
	return &f
}

// A vector that anyone can read by eye, for its text is in a stored block.
func TestGoldenPacked(t *testing.T) {
	p := always("token")
	p.Compress = stored
	f := listing("Pssst!")
	wire := f.Wire(p)
	clear := "a80101025820000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" + // as in every snapshot
		"031b000001977420dc00041a05265c000582001a0102030407f50b82001a010203040c89" +
		"65746f6b656e0048" + "7806" + hex.EncodeToString([]byte("Pssst!")) + // the entry that is kept apart
		"19ee48" // last seen
	text := "6463617274005882" + "7880" + hex.EncodeToString([]byte(strings.Repeat("teapot, ", 16))) +
		"6477697368005882" + "7880" + hex.EncodeToString([]byte(strings.Repeat("teacup, ", 16)))
	require.Equal(t, "01"+"0003"+"00004a"+"00008a"+"000010"+"00008a"+"000003"+"000000"+clear+
		"011401ebfe"+text+strings.Repeat("00", 39), hex.EncodeToString(wire))
	got, err := core.Decode(wire)
	require.NoError(t, err)
	require.Equal(t, f.Plaintext(), got.Plaintext())
}

const zlibText = "4b494e2c2a618868aa6828494d2cc82fd15118283aa53cb33803e692e4d202b0cc80d000"

// The same, compressed by another program (zlib, level 9).
func TestReadsWhatZlibWrote(t *testing.T) {
	wire := listing("Pssst!").Wire(always("token"))
	head := wire[:3+3*6+0x4a+0x10+3]
	zlib, err := hex.DecodeString(zlibText)
	require.NoError(t, err)
	wire = slices.Concat(head, zlib, make([]byte, 64-len(zlib)%64))
	got, err := core.Decode(wire)
	require.NoError(t, err)
	require.Equal(t, listing("Pssst!").Plaintext(), got.Plaintext())

	spec, err := os.ReadFile("../../SPEC.md")
	require.NoError(t, err)
	if bytes.Contains(spec, []byte("packed form")) { // it shows this one
		require.Contains(t, strings.Join(strings.Fields(string(spec)), ""), hex.EncodeToString(wire))
	}
}

// Packing changes neither what a fragment says nor its name.
func TestPackedFragmentsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := fragments().Draw(t, "fragment")
		var apart []string
		for _, e := range f.Entries {
			if rapid.Bool().Draw(t, "apart") {
				apart = append(apart, e.Name)
			}
		}
		wire := f.Wire(always(apart...))
		require.Equal(t, len(apart) < len(f.Entries), wire[0] == 1, "there is something to compress")
		got, err := core.Decode(slices.Clone(wire))
		require.NoError(t, err)
		require.Equal(t, f.AppendPlaintext(nil), got.AppendPlaintext(nil))
		got.Name()
		f.Name()
		require.Equal(t, f.Suffix, got.Suffix, "the name does not follow from the form")
	})
}

func TestPackedOnlyWhereItIsWorthIt(t *testing.T) {
	f := listing("x")
	require.Equal(t, f.AppendPlaintext(nil), f.Wire(nil))

	asked := [][2]int{}
	p := always()
	p.Worth = func(plain, packed int) bool {
		asked = append(asked, [2]int{plain, packed})
		return packed == 0
	}
	require.Equal(t, f.AppendPlaintext(nil), f.Wire(p))
	require.Len(t, asked, 2)
	f.Wire(p)
	require.Len(t, asked, 2, "what was chosen is kept")

	p.Worth = func(int, int) bool { return false }
	p.Compress = func(_, _ []byte) []byte { panic("asked for nothing") }
	require.Equal(t, listing("y").AppendPlaintext(nil), listing("y").Wire(p))

	everything := listing("x").Wire(always("cart", "token", "wish"))
	require.Equal(t, listing("x").Plaintext(), everything)

	huge := goldenSnapshot()
	huge.Entries[0].Value = make([]byte, core.MaxPlaintext)
	require.Len(t, huge.Wire(always()), len(huge.Plaintext()), "what nobody would unpack is not packed")
}

// A touch is of the same content: the same name and form, with another time.
func TestTouchOfPacked(t *testing.T) {
	f := listing("x")
	f.Name()
	wire := f.Wire(always())
	touched := f.Touched(f.Seen + 1000)
	again := touched.Wire(always())
	require.Equal(t, f.Suffix, touched.Suffix)
	require.NotEqual(t, wire, again)
	got, err := core.Decode(again)
	require.NoError(t, err)
	require.Equal(t, f.Seen+1000, got.Seen)
	require.Equal(t, f.AppendContent(nil), got.AppendContent(nil))
}

// Were a secret compressed with text that a visitor chooses, a right guess would
// make the whole shorter.
func TestSecretsDoNotCompress(t *testing.T) {
	const secret, wrong = "correct-horse-battery-staple", "Xq7#uPz0kLw9vB!m2RtYc8&dFgHj"
	with := func(secret, guess string, apart ...string) (text, stream []byte) {
		f := listing(secret)
		f.Entries[0].Value = append([]byte{0x78, byte(len(guess))}, guess...)
		p := always(apart...)
		p.Compress = func(dst, src []byte) []byte {
			text, stream = slices.Clone(src), deflated(nil, src)
			return append(dst, stream...)
		}
		f.Wire(p)
		return text, stream
	}
	_, right := with(secret, "token="+secret)
	_, other := with(wrong, "token="+secret)
	require.Less(t, len(right), len(other)-16, "this is the leak")

	text, right := with(secret, "token="+secret, "token")
	_, other = with(wrong, "token="+secret, "token")
	require.Equal(t, right, other, "the compressed text does not depend on the secret")
	require.Equal(t, 1, bytes.Count(text, []byte(secret)), "the guess is there, the secret is not")
}

// The root is not in the compressed text either: names, ids and records' keys
// come from it.
func TestHeaderIsNotCompressed(t *testing.T) {
	f, text := listing("x"), []byte(nil)
	p := always()
	p.Compress = func(dst, src []byte) []byte {
		text = slices.Clone(src)
		return deflated(dst, src)
	}
	f.Wire(p)
	require.NotContains(t, string(text), string(f.Root[:4]))
	require.Contains(t, string(f.Plaintext()), string(text), "it is the entries, as they are")
	require.Equal(t, "dcart", string(text[:5]))
}

func TestPaddingBluntsTheLength(t *testing.T) {
	lengths := map[int]bool{}
	for n := range 100 {
		f := listing("x")
		f.Entries[0].Value = append([]byte{0x58, byte(100 + n)}, strings.Repeat("ab", 50+n/2)...)
		lengths[len(f.Wire(always("token")))] = true
	}
	require.LessOrEqual(t, len(lengths), 2)
}

// bomb is a packed form that promises n bytes of text.
func bomb(n int, stream []byte) []byte {
	clear := listing("x").AppendPlaintext(nil)
	head := []byte{1, 0, 1, 0, 0, byte(len(clear)), byte(n >> 16), byte(n >> 8), byte(n)}
	return slices.Concat(head, clear, stream, make([]byte, (64-len(stream)%64)%64))
}

func TestBombs(t *testing.T) {
	zeros := deflated(nil, make([]byte, core.MaxPlaintext))
	good := listing("x").Wire(always())
	edit := func(at int, b byte) []byte {
		b2 := slices.Clone(good)
		b2[at] = b
		return b2
	}
	for what, b := range map[string][]byte{
		"a megabyte in a kilobyte":    bomb(1<<20-400, zeros),
		"16 MiB promised":             bomb(1<<24-1, zeros),
		"more than a plaintext has":   bomb(1<<20, slices.Concat(zeros, make([]byte, 16<<10))),
		"less than there is":          bomb(10_000, zeros),
		"no text":                     bomb(0, deflated(nil, nil)),
		"a packed fragment in itself": {1, 0, 1, 0, 0, 1, 0, 0, 1, 1},
		"65,535 runs of 16 MiB each":  append([]byte{1, 0xff, 0xff}, bytes.Repeat([]byte{0xff}, 65535*6)...),
		"one byte":                    {1},
		"no runs":                     {1, 0, 0},
		"not all runs":                {1, 0, 2, 0, 0, 0, 0, 0, 0},
		"padding that is not zero":    edit(len(good)-1, 1),
		"more of the first run":       edit(5, good[5]+1),
		"less of the first run":       edit(5, good[5]-1),
		"more of the text":            edit(8, good[8]+1),
		"less of the text":            edit(8, good[8]-1),
		"a bucket too many":           append(slices.Clone(good), 0),
		"cut":                         good[:len(good)-64],
		"cut inside of a bucket":      good[:len(good)-1],
	} {
		t.Run(what, func(t *testing.T) {
			before := slices.Clone(b)
			spent := allocated(func() {
				_, err := core.Decode(b)
				require.Error(t, err)
				require.NotContains(t, err.Error(), "teapot")
			})
			require.Equal(t, before, b)
			require.Less(t, spent, 64*len(b)+128<<10, "bytes allocated")
		})
	}
	_, err := core.Decode(good)
	require.NoError(t, err)
	_, err = core.Decode(append(slices.Clone(good), make([]byte, 64)...))
	require.NoError(t, err, "more padding than need be is no harm")
}

func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// What compresses better than 64 to 1 is padded, so that a reader's bound holds.
func TestWhatCompressesTooWellIsPadded(t *testing.T) {
	f := listing("x")
	f.Entries[0].Value = make([]byte, 600_000)
	wire := f.Wire(always())
	require.Greater(t, 64*len(wire), len(f.Plaintext()))
	require.Less(t, len(wire), 600_000/64+300)
	got, err := core.Decode(wire)
	require.NoError(t, err)
	require.Equal(t, f.Entries, got.Entries)
}

func TestSealTakesWhatUnpacks(t *testing.T) {
	require.Equal(t, codec.MaxPlaintext, core.MaxPlaintext)
}

func FuzzUnpack(f *testing.F) {
	for _, g := range goldens() {
		f.Add(g.fragment.Wire(always()))
	}
	f.Add(listing("x").Wire(always("token")))
	f.Add(bomb(1<<20-400, deflated(nil, make([]byte, 1<<20))))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = append([]byte{1}, b[min(1, len(b)):]...)
		before := slices.Clone(b)
		got, err := core.Decode(b)
		require.Equal(t, before, b, "Decode must not write to its input")
		if err != nil {
			require.Nil(t, got)
			return
		}
		plain := got.AppendPlaintext(nil)
		require.LessOrEqual(t, len(plain), 64*len(b))
		again, err := core.Decode(plain)
		require.NoError(t, err)
		require.Equal(t, plain, again.AppendPlaintext(nil))
	})
}

func BenchmarkDecodePacked(b *testing.B) {
	f := listing("x")
	for i := range 40 {
		f.Entries[0].Value = fmt.Appendf(f.Entries[0].Value, `{"sku":"SKU-%08X","title":"Umbrella, windproof","qty":%d}`, i*7919, i%5)
	}
	wire := f.Wire(always())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := core.Decode(wire); err != nil {
			b.Fatal(err)
		}
	}
}
