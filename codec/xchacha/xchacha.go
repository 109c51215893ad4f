// Package xchacha seals with XChaCha20-Poly1305 instead of AES, for machines
// without AES instructions. It is format 2 of SPEC.md:
//
//	value = header | nonce[24] | ciphertext | Poly1305 tag[16] | HMAC[32]
//
// Like format 1 it encrypts and then signs everything with HMAC-SHA-256, which
// commits the value to one key and one binding. To use the format, pass
// [New]() to [codec.NewFormats]; a ring key with "format": 2 then seals with
// it. Only programs that import this package link golang.org/x/crypto.
//
// The format is not approved under FIPS 140. With fips140=only,
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
	return sealer{etm.New(randomNonce{aead}, derive("sign", etm.SignKeySize))}, nil
}

type sealer struct{ *etm.Sealer }

func (s sealer) Open(dst, ctx, value []byte) ([]byte, bool) {
	return s.Sealer.Open(dst, ctx, value, codec.HeaderSize)
}

// randomNonce is the AEAD with random nonces. With 24 random bytes, two messages
// under one key share a nonce with a probability below 2^-32 for 2^80
// messages.
type randomNonce struct{ aead cipher.AEAD }

func (d randomNonce) Seal(dst, plaintext, aad []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, nonceSize)...)
	rand.Read(dst[at:]) // never fails: without randomness the program ends
	return d.aead.Seal(dst, dst[at:], plaintext, aad)
}

func (d randomNonce) Open(dst, sealed, aad []byte) ([]byte, error) {
	return d.aead.Open(dst, sealed[:nonceSize], sealed[nonceSize:], aad)
}
