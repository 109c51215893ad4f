// Format2 generates the vectors of format 2: XChaCha20-Poly1305, then
// HMAC-SHA-256.
package main

import . "github.com/carryon-go/carryon/codec/testdata/gen/sealedform"

func main() {
	vectors := Cases(2, Seal2, map[string]int{
		"first byte of the nonce":     8,
		"byte 16 of the nonce":        24,
		"last byte of the nonce":      31,
		"first byte of ciphertext":    32,
		"last byte of ciphertext":     36,
		"first byte of the tag":       37,
		"last byte of the tag":        -33,
		"first byte of the signature": -32,
		"last byte of the signature":  -1,
	})
	vectors = append(vectors,
		signed("ciphertext changed and signed anew", func(v *Value) { v.Ciphertext[0] ^= 1 }),
		signed("nonce changed and signed anew", func(v *Value) { v.Nonce[23] ^= 1 }),
		signed("tag changed and signed anew", func(v *Value) { v.Tag[0] ^= 1 }),
		signed("encrypted without the context", func(v *Value) {
			v.Ciphertext, v.Tag = SealXChaCha(v.KE, v.Nonce, []byte("hello"), v.Header)
		}),
	)
	WriteFormat(2, "Format 2. Its keys are the same secrets, in a ring that gives them this format.", vectors...)
}

// signed returns a value that was changed and then signed with the right key,
// so that only the tag reveals the change.
func signed(name string, change func(*Value)) Vector {
	v := Seal2(1, "", Base, Suffix, "hello", "refused").(*Value)
	change(v)
	v.Sign()
	return Refused(name, v.Text(), "bad seal")
}
