// Package xchacha seals by XChaCha20-Poly1305 in place of AES, for machines that
// have no instructions for AES. It is format 2 of SPEC.md:
//
//	value = header | nonce[24] | ciphertext | Poly1305 tag[16] | HMAC[32]
//
// Like format 1 it encrypts, and then signs the whole by HMAC-SHA-256, which
// commits it to one key and one place. A program that is to open or seal it
// passes [New]() in its formats; a ring whose key says "format": 2 has it sealed.
// Only who imports this package links golang.org/x/crypto.
//
// It is not approved under FIPS 140: in a program that runs with fips140=only,
// [codec.Formats.Check] refuses a ring with such a key.
package xchacha

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/codec/internal/etm"
)

// New returns format 2, for [codec.NewFormats].
func New() codec.Format { return format{} }

const (
	nonceSize = chacha20poly1305.NonceSizeX
	overhead  = codec.HeaderSize + nonceSize + chacha20poly1305.Overhead + sha256.Size
)

type format struct{}

func (format) Number() byte  { return 2 }
func (format) Overhead() int { return overhead }

func (format) Sealer(derive func(string, int) []byte) (codec.Sealer, error) {
	aead, err := chacha20poly1305.NewX(derive("encrypt", chacha20poly1305.KeySize))
	if err != nil {
		return nil, err // fips140=only
	}
	return sealer{etm.New(drawing{aead}, derive("sign", etm.SignKeySize))}, nil
}

type sealer struct{ *etm.Sealer }

func (s sealer) Open(dst, ctx, value []byte) ([]byte, bool) {
	return s.Sealer.Open(dst, ctx, value, codec.HeaderSize)
}

// drawing is the AEAD with nonces of its own. With 24 random bytes two messages
// share a nonce with a probability below 2^-32 for 2^80 messages under one key.
type drawing struct{ aead cipher.AEAD }

func (d drawing) Seal(dst, plaintext, aad []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, nonceSize)...)
	rand.Read(dst[at:]) // never fails: the program ends where no randomness is to be had
	return d.aead.Seal(dst, dst[at:], plaintext, aad)
}

func (d drawing) Open(dst, sealed, aad []byte) ([]byte, error) {
	return d.aead.Open(dst, sealed[:nonceSize], sealed[nonceSize:], aad)
}
