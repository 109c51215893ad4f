// Format3 generates the vectors of format 3: the output of
// gorilla/securecookie without its base64.
package main

import (
	"math"

	. "github.com/carryon-go/carryon/codec/testdata/gen/sealedform"
)

func main() {
	var vectors []Vector
	for _, v := range Cases(3, Seal3, map[string]int{
		"first byte of the date":      8,
		"last byte of the date":       15,
		"first byte of the IV":        16,
		"last byte of the IV":         31,
		"byte before the ciphertext":  32,
		"last byte of the ciphertext": 37,
		"first byte of the signature": -32,
		"last byte of the signature":  -1,
	}) {
		if v.Open == "ok" || len(vectors) == 0 || vectors[len(vectors)-1].Open != "ok" {
			vectors = append(vectors, v)
			continue
		}
		vectors = append(append(vectors, dated()...), v)
	}
	other := Seal3(1, "", Base, Suffix, "hello", "refused").(*Value3)
	other.Ciphertext[0] ^= 1 // decrypts to 1
	other.Sign()
	front := Refused("another byte before the plaintext, signed anew", Text(other.Bytes()), "bad seal")
	WriteFormat(3, "Format 3. Its keys are the same secrets, in a ring that gives them this format.", append(vectors, front)...)
}

// dated returns values of other times, because securecookie's limits of age
// are off.
func dated() (all []Vector) {
	for _, d := range []struct {
		name string
		date int64
	}{
		{"sealed in 1970", 0}, {"sealed before 1970", -1}, {"sealed in 2286", 10_000_000_000},
		{"sealed at the last second", math.MaxInt64}, {"sealed at the first second", math.MinInt64},
	} {
		v := Seal3At(d.date, 1, "", Base, Suffix, "hello", d.name)
		all = append(all, Vector{Name: d.name, Base: Base, Suffix: Suffix,
			Value: Text(v.Bytes()), Open: "ok", Plaintext: Hex("hello"), Steps: v})
	}
	return all
}
