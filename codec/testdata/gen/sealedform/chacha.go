package sealedform

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"math/bits"
)

// XChaCha20-Poly1305 by the formulas of RFC 8439 and of
// draft-irtf-cfrg-xchacha-03. It is slow and independent of the library that
// seals.

// rounds applies the twenty rounds of ChaCha20 to its state of sixteen words.
func rounds(s [16]uint32) [16]uint32 {
	quarter := func(a, b, c, d int) {
		s[a] += s[b]
		s[d] = bits.RotateLeft32(s[d]^s[a], 16)
		s[c] += s[d]
		s[b] = bits.RotateLeft32(s[b]^s[c], 12)
		s[a] += s[b]
		s[d] = bits.RotateLeft32(s[d]^s[a], 8)
		s[c] += s[d]
		s[b] = bits.RotateLeft32(s[b]^s[c], 7)
	}
	for range 10 {
		for i := range 4 {
			quarter(i, i+4, i+8, i+12)
		}
		for i := range 4 {
			quarter(i, (i+1)%4+4, (i+2)%4+8, (i+3)%4+12)
		}
	}
	return s
}

// words returns the state: "expand 32-byte k", the key, and the following
// sixteen bytes.
func words(key, rest []byte) (s [16]uint32) {
	for i := range s {
		s[i] = binary.LittleEndian.Uint32(cat([]byte("expand 32-byte k"), key, rest)[4*i:])
	}
	return s
}

func little(s []uint32) (out []byte) {
	for _, w := range s {
		out = binary.LittleEndian.AppendUint32(out, w)
	}
	return out
}

// HChaCha20 derives the key of a message from 16 bytes of its nonce.
func HChaCha20(key, nonce []byte) []byte {
	s := rounds(words(key, nonce))
	return cat(little(s[:4]), little(s[12:]))
}

// block returns one block of ChaCha20's key stream.
func block(key []byte, counter uint32, nonce []byte) []byte {
	before := words(key, cat(little([]uint32{counter}), nonce))
	s := rounds(before)
	for i := range s {
		s[i] += before[i]
	}
	return little(s[:])
}

func chacha20(key, nonce, text []byte) []byte {
	out := make([]byte, len(text))
	for i := range text {
		if i%64 == 0 {
			copy(out[i:], block(key, uint32(1+i/64), nonce))
		}
		out[i] ^= text[i]
	}
	return out
}

func poly1305(key, message []byte) []byte {
	number := func(b []byte) *big.Int {
		n := new(big.Int)
		for i := len(b) - 1; i >= 0; i-- {
			n.Or(n.Lsh(n, 8), big.NewInt(int64(b[i])))
		}
		return n
	}
	clamp, _ := new(big.Int).SetString("0ffffffc0ffffffc0ffffffc0fffffff", 16)
	r := new(big.Int).And(number(key[:16]), clamp)
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 130), big.NewInt(5))
	sum := new(big.Int)
	for len(message) > 0 {
		n := min(16, len(message))
		sum.Add(sum, number(cat(message[:n], []byte{1})))
		sum.Mod(sum.Mul(sum, r), p)
		message = message[n:]
	}
	sum.Add(sum, number(key[16:]))
	tag := make([]byte, 16)
	for i := range tag {
		tag[i] = byte(new(big.Int).Rsh(sum, uint(8*i)).Uint64())
	}
	return tag
}

// SealXChaCha implements XChaCha20-Poly1305.
func SealXChaCha(key, nonce, plaintext, aad []byte) (ciphertext, tag []byte) {
	messageKey, short := HChaCha20(key, nonce[:16]), cat(make([]byte, 4), nonce[16:])
	ciphertext = chacha20(messageKey, short, plaintext)
	return ciphertext, xchachaTag(messageKey, short, ciphertext, aad)
}

func xchachaTag(messageKey, short, ciphertext, aad []byte) []byte {
	padded := func(b []byte) []byte { return cat(b, make([]byte, (16-len(b)%16)%16)) }
	u64 := func(n int) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)) }
	return poly1305(block(messageKey, 0, short)[:32], cat(padded(aad), padded(ciphertext), u64(len(aad)), u64(len(ciphertext))))
}

// OpenXChaCha reverses SealXChaCha.
func OpenXChaCha(key, nonce, ciphertext, tag, aad []byte) (plaintext []byte, ok bool) {
	messageKey, short := HChaCha20(key, nonce[:16]), cat(make([]byte, 4), nonce[16:])
	if !hmac.Equal(tag, xchachaTag(messageKey, short, ciphertext, aad)) {
		return nil, false
	}
	return chacha20(messageKey, short, ciphertext), true
}

// Seal2 is Seal for format 2.
func Seal2(n int, audience, base, suffix, plaintext, nonceName string) Sealed {
	v := &Value{Secret: Secret(n), KeyID: KeyID(n)}
	nonce := sha256.Sum256([]byte("carryon test nonce " + nonceName))
	v.Nonce = nonce[:24]
	v.KE = derive(v.Secret, "carryon/2 encrypt"+string(v.KeyID), 32)
	v.KM = derive(v.Secret, "carryon/2 sign"+string(v.KeyID), 32)
	v.Ctx = cat([]byte("carryon/2 cookie"), lp([]byte(audience)), lp([]byte(base)), lp([]byte(suffix)))
	v.Header = Header(2, v.KeyID, 8+24+len(plaintext)+16+32)
	v.MessageKey = HChaCha20(v.KE, v.Nonce[:16])
	v.Ciphertext, v.Tag = SealXChaCha(v.KE, v.Nonce, []byte(plaintext), cat(v.Header, v.Ctx))
	v.Sign()
	return v
}
