// Altered generates vectors of values with one changed part, and of values
// with only one valid seal of the two.
package main

import . "github.com/carryon-go/carryon/codec/testdata/gen/sealedform"

// flipped returns a value with one changed bit, counted from the start of the
// decoded value.
func flipped(name string, bit int, reason string) Vector {
	bin := Usual("hello", "altered").Bytes()
	bin[bit/8] ^= 0x80 >> (bit % 8)
	return Refused("flipped: "+name, Text(bin), reason)
}

func edited(name string, edit func(v *Value)) Vector {
	v := Usual("hello", name)
	edit(v)
	return Refused(name, v.Text(), "bad seal")
}

func main() {
	other := Usual("hello", "another value")
	Write("Values that were altered, or that hold one of the two seals, but not the other.",
		flipped("format", 7, "unknown format").Joins("unknown format"),
		flipped("key id", 8, "unknown key"),
		flipped("length", 63, "wrong length").Joins("torn"),
		flipped("nonce, first bit", 64, "bad seal"),
		flipped("nonce, last bit of the first half", 64+95, "bad seal"),
		flipped("nonce, first bit of the second half", 64+96, "bad seal"),
		flipped("nonce, last bit", 64+191, "bad seal"),
		flipped("ciphertext, first bit", 256, "bad seal"),
		flipped("ciphertext, last bit", 256+39, "bad seal"),
		flipped("tag, first bit", 296, "bad seal"),
		flipped("tag, last bit", 296+127, "bad seal"),
		flipped("mac, first bit", 424, "bad seal"),
		flipped("mac, last bit", 424+255, "bad seal"),
		edited("nonce of another value", func(v *Value) { v.Nonce = other.Nonce }),
		edited("ciphertext of another value", func(v *Value) { v.Ciphertext, v.Tag = other.Ciphertext, other.Tag }),
		edited("mac of another value", func(v *Value) { v.MAC = other.MAC }),
		edited("mac of zeros", func(v *Value) { v.MAC = make([]byte, 32) }),
		edited("good mac over a bad tag", func(v *Value) { v.Tag[0] ^= 1; v.Sign() }),
		edited("good mac over a bad ciphertext", func(v *Value) { v.Ciphertext[0] ^= 1; v.Sign() }),
		edited("mac under the encryption key", func(v *Value) { v.KM = v.KE; v.Sign() }),
		edited("encrypted under the signing key", func(v *Value) { v.KE = v.KM; v.Encrypt([]byte("hello")); v.Sign() }),
		edited("mac without the binding", func(v *Value) { v.Ctx = nil; v.Sign() }),
		edited("encrypted without the binding", func(v *Value) {
			ctx := v.Ctx
			v.Ctx = nil
			v.Encrypt([]byte("hello"))
			v.Ctx = ctx
			v.Sign()
		}),
		edited("encrypted with plain GCM", func(v *Value) { v.EncryptPlainGCM([]byte("hello")); v.Sign() }),
		edited("label of another purpose", func(v *Value) {
			copy(v.Ctx, "carryon/1 record")
			v.Encrypt([]byte("hello"))
			v.Sign()
		}),
	)
}
