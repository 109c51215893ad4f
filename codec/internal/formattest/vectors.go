package formattest

import (
	"bytes"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/carryon-go/carryon/codec"
)

type unhex []byte

func (h *unhex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

type vectorFile struct {
	Secrets, Dead []unhex
	Vectors       []vector
}

type vector struct {
	Name, Audience, Base, Suffix, Value, Open, Join string
	Plaintext                                       unhex
	Pieces                                          []*string
	Steps                                           struct {
		KeyID unhex  `json:"key_id"`
		Nonce unhex  // all random bytes of the seal
		Date  *int64 // time of the seal, if the format contains it
	}
}

func (v vector) binding() codec.Binding {
	return codec.Binding{Audience: v.Audience, Base: v.Base, Suffix: v.Suffix}
}

// vectors returns the vectors of single values. Pieces are independent of the
// format.
func (s Subject) vectors(t testing.TB) (all vectorFile) {
	for _, path := range s.Vectors {
		text, err := os.ReadFile(path)
		check(t, err == nil, "%v", err)
		var file vectorFile
		err = json.Unmarshal(text, &file)
		check(t, err == nil && len(file.Vectors) > 0, "%s: %v", path, err)
		file.Vectors = slices.DeleteFunc(file.Vectors, func(v vector) bool { return v.Pieces != nil })
		all.Secrets, all.Dead = file.Secrets, file.Dead // equal in all files
		all.Vectors = append(all.Vectors, file.Vectors...)
	}
	return all
}

// openVectors checks that the format and the independent reader open every
// vector.
func openVectors(t *testing.T, s Subject) {
	formats, ring, file := s.formats(t), Ring(t, s.number(), []int{2, 1}, 3), s.vectors(t)
	reading := readerRing{}
	for _, secret := range file.Secrets {
		reading.secrets = append(reading.secrets, secret)
	}
	for _, id := range file.Dead {
		reading.dead = append(reading.dead, string(id))
	}
	opened := map[string]int{}
	for _, v := range file.Vectors {
		if v.Join != "" {
			_, _, err := formats.Join(func(i int) (string, bool) { return v.Value, i == 0 })
			check(t, wordOf(t, err) == v.Join, "%s: joined: %v", v.Name, err)
		}
		plaintext, _, err := formats.Open(nil, ring, now, v.binding(), v.Value)
		check(t, wordOf(t, err) == v.Open && bytes.Equal(plaintext, v.Plaintext), "%s: %v", v.Name, err)
		plain, verdict := s.read(reading, v.binding(), v.Value)
		check(t, verdict == v.Open && bytes.Equal(plain, v.Plaintext), "%s: the independent reader: %s", v.Name, verdict)
		opened[v.Open]++
	}
	for _, reason := range []string{"ok", "bad seal", "wrong length", "malformed", "unknown format", "unknown key", "dead key", "wrong format"} {
		check(t, opened[reason] > 0 || reason == "wrong format" && s.Format == nil, "no vector for %q", reason)
	}
}

const fixedTime = 946684800

// sealVectors checks that sealing with a vector's random bytes gives its
// value.
func sealVectors(t *testing.T, s Subject) {
	if fips140.Enabled() {
		t.Skip("in FIPS 140 mode GCM uses its own random source")
	}
	fixed := s.FixedTime
	if fixed == nil {
		fixed = func(t *testing.T, f func(*testing.T)) { f(t) }
	}
	for _, v := range s.vectors(t).Vectors {
		if v.Open != "ok" || v.Steps.Date != nil && *v.Steps.Date != fixedTime {
			continue
		}
		for n := 1; n <= 2; n++ {
			if string(v.Steps.KeyID) != ID(n) {
				continue
			}
			formats, key := s.formats(t), Ring(t, s.number(), []int{n}).Active(now)
			fixed(t, func(t *testing.T) {
				WithRandom(v.Steps.Nonce, func() {
					got, err := formats.Seal(nil, key, v.binding(), v.Plaintext)
					check(t, err == nil && string(got) == v.Value, "%s: sealed to %s: %v", v.Name, got, err)
				})
			})
		}
	}
}

// A readerRing is the part of a ring that the independent reader uses.
type readerRing struct {
	secrets [][]byte
	dead    []string
}

// read is the independent reader: it follows SPEC.md for text form, header and
// choice of key, and calls the format's Read for the rest.
func (s Subject) read(ring readerRing, b codec.Binding, text string) (plaintext []byte, verdict string) {
	if len(text) < 12 {
		return nil, "wrong length"
	}
	value, ok := Decode(text)
	if !ok {
		return nil, "malformed"
	}
	if value[0] != 1 && value[0] != s.number() && !s.has(value[0]) {
		return nil, "unknown format"
	}
	least := 80
	if value[0] == 3 {
		least = 65
	}
	if int(value[5])*65536+int(value[6])*256+int(value[7]) != len(value) || len(value) < least {
		return nil, "wrong length"
	}
	id := string(value[1:5])
	for _, dead := range ring.dead {
		if dead == id {
			return nil, "dead key"
		}
	}
	for _, secret := range ring.secrets {
		own, _ := hkdf.Key(sha256.New, secret, nil, "carryon key id", 4)
		if string(own) != id {
			continue
		}
		if value[0] != s.number() {
			return nil, "wrong format"
		}
		ctx := "carryon/" + strconv.Itoa(int(s.number())) + " cookie"
		for _, part := range []string{b.Audience, b.Base, b.Suffix} {
			ctx += Prefixed(part)
		}
		if plaintext, ok = s.Read(secret, id, ctx, value); !ok {
			return nil, "bad seal"
		}
		return plaintext, "ok"
	}
	return nil, "unknown key"
}

// Prefixed returns lp(x) of SPEC.md.
func Prefixed(x string) string {
	n := len(x)
	return string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + x
}

// Decode returns the bytes of a text in base64url, and whether it is in the one
// form that SPEC.md allows. It reads the text as one long number in base 64.
func Decode(text string) ([]byte, bool) {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	bits := new(strings.Builder)
	for i := range len(text) {
		d := strings.IndexByte(digits, text[i])
		if d < 0 {
			return nil, false
		}
		for b := 5; b >= 0; b-- {
			bits.WriteByte('0' + byte(d>>b&1))
		}
	}
	whole, spare := bits.String()[:bits.Len()/8*8], bits.String()[bits.Len()/8*8:]
	if len(spare) >= 6 || strings.Contains(spare, "1") {
		return nil, false
	}
	number, _ := new(big.Int).SetString("0"+whole, 2)
	return number.FillBytes(make([]byte, len(whole)/8)), true
}

// Fuzz checks that no input makes the format panic, that a value which opens
// can be sealed to the same length and opened again, and that the independent
// reader agrees.
func Fuzz(f *testing.F, s Subject) {
	formats, ring := s.formats(f), Ring(f, s.number(), []int{1, 2}, 3)
	reading := readerRing{secrets: [][]byte{Secret(1), Secret(2)}, dead: []string{ID(3)}}
	for _, v := range s.vectors(f).Vectors {
		if len(v.Value) < 500 {
			f.Add(v.Value, v.Audience, v.Base, v.Suffix)
		}
	}
	f.Fuzz(func(t *testing.T, text, audience, base, suffix string) {
		b := codec.Binding{Audience: audience, Base: base, Suffix: suffix}
		plaintext, key, err := formats.Open(nil, ring, now, b, text)
		if len(text) < 10_000 {
			plain, verdict := s.read(reading, b, text)
			check(t, verdict == wordOf(t, err) && bytes.Equal(plain, plaintext), "the independent reader: %s, %v", verdict, err)
		}
		if err != nil {
			check(t, key == nil && plaintext == nil, "a refusal with a plaintext")
			return
		}
		again, err := formats.Seal(nil, key, b, plaintext)
		check(t, err == nil && len(again) == len(text), "opened a value that cannot be sealed: %v", err)
		got, _, err := formats.Open(nil, ring, now, b, string(again))
		check(t, err == nil && bytes.Equal(got, plaintext), "the resealed value does not open to the same plaintext: %v", err)
	})
}
