package codec_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/reason"
)

// fuzzVectors returns the values of the vector files, as seeds.
func fuzzVectors(f *testing.F) (values []string) {
	for _, name := range generators {
		text, err := os.ReadFile(filepath.Join("testdata", "vectors", name+".json"))
		var file vectorFile
		if err == nil {
			err = json.Unmarshal(text, &file)
		}
		if err != nil {
			f.Fatal(err)
		}
		for _, v := range file.Vectors {
			if len(v.Value) < 500 {
				values = append(values, v.Value)
			}
		}
	}
	return values
}

// FuzzOpen checks that no input panics or needs more memory than its length,
// and that a value which opens can be sealed again.
func FuzzOpen(f *testing.F) {
	ring := testRing(f, []int{1, 2}, 3)
	for _, v := range fuzzVectors(f) {
		f.Add(v, "", binding.Base, binding.Suffix)
	}
	f.Fuzz(func(t *testing.T, value, audience, base, suffix string) {
		b := codec.Binding{Audience: audience, Base: base, Suffix: suffix}
		plaintext, key, err := codec.Open(nil, ring, now, b, value)
		if err != nil {
			if reasonOf(t, err) == reason.None || key != nil || plaintext != nil {
				t.Fatal("a refusal without a reason, or with a plaintext")
			}
			return
		}
		again, err := codec.Seal(nil, key, b, plaintext)
		if err != nil || len(again) != len(value) || string(again[:10]) != value[:10] {
			t.Fatalf("opened a value that cannot be sealed: %v", err)
		}
		got, _, err := codec.Open(nil, ring, now, b, string(again))
		if err != nil || !bytes.Equal(got, plaintext) {
			t.Fatalf("the resealed value does not open to the same plaintext: %v", err)
		}
	})
}

// FuzzJoin separates pieces by commas; an empty piece was not sent.
func FuzzJoin(f *testing.F) {
	for _, v := range fuzzVectors(f) {
		f.Add(v)
		f.Add(v[:len(v)/2] + "," + v[len(v)/2:] + ",left over")
	}
	f.Fuzz(func(t *testing.T, text string) {
		pieces := strings.Split(text, ",")
		value, used, err := codec.Join(func(i int) (string, bool) {
			if i > codec.MaxPieces {
				t.Fatal("asked too far")
			}
			return of(pieces)(i)
		})
		if err != nil {
			if reasonOf(t, err) == reason.None || value != "" {
				t.Fatal("a refusal without a reason, or with a value")
			}
			return
		}
		h, err := codec.Peek(value)
		if err != nil || value != strings.Join(pieces[:used], "") || len(value) != codec.SealedLen(h.Total-80) {
			t.Fatalf("joined a text that was not sent: %v", err)
		}
	})
}

// FuzzOpenPieces checks that pieces, separated by commas, open or are refused
// like the text that they join to.
func FuzzOpenPieces(f *testing.F) {
	ring := testRing(f, []int{1, 2}, 3)
	for _, v := range fuzzVectors(f) {
		f.Add(v, "", binding.Base, binding.Suffix)
		for _, n := range []int{12, 13, 14, 15, len(v) - 1} {
			if 0 < n && n < len(v) {
				f.Add(v[:n]+","+v[n:]+",left over", "", binding.Base, binding.Suffix)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text, audience, base, suffix string) {
		b := codec.Binding{Audience: audience, Base: base, Suffix: suffix}
		sameAsJoined(t, nil, ring, b, strings.Split(text, ","))
	})
}

// FuzzDecode checks that a text which decodes is the only encoding of its
// bytes.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"", "AA", "AAA", "AAAA", "AB", "A\n", "_-_-AA"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		bin, ok := codec.AppendDecoded(nil, text)
		if ok && string(codec.AppendEncoded(nil, bin)) != text {
			t.Fatal("two texts for the same bytes")
		}
	})
}
