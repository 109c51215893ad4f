package codec

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/rand"
	"crypto/subtle"
	"sync"
)

// XAES-256-GCM as specified at https://c2sp.org/XAES-256-GCM: AES-256-GCM with
// a key that is derived for each message from the long-lived key and the first
// half of a 24-byte nonce. The second half is GCM's nonce.
//
// A random nonce is safe here: two messages share a GCM key and nonce only if
// all 192 bits are equal, which has a probability below 2^-32 for 2^80
// messages. Plain GCM has 96 bits and must stop at 2^32 messages per key,
// which a busy site reaches.

const (
	xaesNonceSize = 24
	gcmNonceSize  = 12
	gcmTagSize    = 16
	xaesOverhead  = xaesNonceSize + gcmTagSize
)

type xaes struct {
	block cipher.Block        // AES-256 under the long-lived key
	k1    [aes.BlockSize]byte // the CMAC subkey K1
}

func newXAES(key []byte) *xaes {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key comes from HKDF and is 32 bytes
	}
	x := &xaes{block: block}
	block.Encrypt(x.k1[:], x.k1[:]) // L
	var carry byte
	for i := len(x.k1) - 1; i >= 0; i-- {
		x.k1[i], carry = x.k1[i]<<1|carry, x.k1[i]>>7
	}
	x.k1[len(x.k1)-1] ^= carry * 0b10000111 // no branch, because L is as secret as the key
	return x
}

// messageKeys pools the keys of single messages, to save an allocation per
// message. Pooled keys are cleared.
var messageKeys = sync.Pool{New: func() any { return new([32]byte) }}

// messageKey derives the AES-256-GCM key for the first twelve bytes of a
// nonce. The caller clears it and returns it to messageKeys. The messages have
// one block, so CMAC is a single AES call, as is each half of the KDF.
func (x *xaes) messageKey(half []byte) *[32]byte {
	k := messageKeys.Get().(*[32]byte)
	*k = [32]byte{1: 1, 2: 'X', 17: 2, 18: 'X'}
	for i := range 2 {
		m := k[i*aes.BlockSize : (i+1)*aes.BlockSize]
		copy(m[4:], half)
		subtle.XORBytes(m, m, x.k1[:])
		x.block.Encrypt(m, m)
	}
	return k
}

// aead returns the GCM for the first half of a nonce. In FIPS 140 mode only a
// GCM that generates its own nonce is approved, and fips140=only allows no
// other.
func (x *xaes) aead(half []byte, drawing bool) cipher.AEAD {
	k := x.messageKey(half)
	defer func() {
		clear(k[:])
		messageKeys.Put(k)
	}()
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic(err) // the key is 32 bytes
	}
	newGCM := cipher.NewGCM
	if drawing {
		newGCM = cipher.NewGCMWithRandomNonce
	}
	gcm, err := newGCM(block)
	if err != nil {
		panic(err) // the block is AES, and NewGCM is not used in FIPS mode
	}
	return gcm
}

// Seal appends nonce, ciphertext and tag to dst. The nonce is 24 random bytes.
// In FIPS 140 mode GCM generates twelve of them; the output has the same form.
func (x *xaes) Seal(dst, plaintext, aad []byte) []byte {
	drawn, at := xaesNonceSize, len(dst)
	if fips140.Enabled() {
		drawn = gcmNonceSize
	}
	dst = append(dst, make([]byte, drawn)...)
	nonce := dst[at:]
	rand.Read(nonce) // never fails: without randomness the program ends
	if fips140.Enabled() {
		return x.aead(nonce, true).Seal(dst, nil, plaintext, aad)
	}
	return x.aead(nonce[:gcmNonceSize], false).Seal(dst, nonce[gcmNonceSize:], plaintext, aad)
}

// sealWithNonce is Seal with the given nonce, which must never have been used,
// for test vectors. It does not work with fips140=only.
func (x *xaes) sealWithNonce(dst, nonce, plaintext, aad []byte) []byte {
	dst = append(dst, nonce...)
	return x.aead(nonce[:gcmNonceSize], false).Seal(dst, nonce[gcmNonceSize:], plaintext, aad)
}

// Open appends the plaintext of sealed (nonce, ciphertext and tag) to dst.
func (x *xaes) Open(dst, sealed, aad []byte) ([]byte, error) {
	half, rest := sealed[:gcmNonceSize], sealed[gcmNonceSize:]
	if fips140.Enabled() {
		return x.aead(half, true).Open(dst, nil, rest, aad)
	}
	return x.aead(half, false).Open(dst, rest[:gcmNonceSize], rest[gcmNonceSize:], aad)
}
