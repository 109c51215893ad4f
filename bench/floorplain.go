package bench

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"
)

// A plainAEAD is a floor of one AEAD under one key: nonce | ciphertext | tag.
type plainAEAD struct{ cipher.AEAD }

// newGCM returns the floor F1. Its random nonces of 12 bytes suffice for at
// most 2^32 messages.
func newGCM() (sealer, error) {
	block, err := aes.NewCipher(randomBytes(32))
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	return plainAEAD{gcm}, err
}

// newXChaCha returns the floor F3.
func newXChaCha() (sealer, error) {
	aead, err := chacha20poly1305.NewX(randomBytes(32))
	return plainAEAD{aead}, err
}

func (p plainAEAD) seal(dst, plaintext []byte) []byte {
	size := p.NonceSize()
	dst = slices.Grow(dst, size+len(plaintext)+p.Overhead())[:size]
	_, _ = rand.Read(dst) // crashes the program instead of returning an error
	return p.Seal(dst, dst, plaintext, nil)
}

func (p plainAEAD) open(dst, sealed []byte) ([]byte, bool) {
	size := p.NonceSize()
	if len(sealed) < size {
		return nil, false
	}
	plain, err := p.Open(dst, sealed[:size], sealed[size:], nil)
	return plain, err == nil
}
