// Package etm implements the scheme that formats 1 and 2 share: encrypt a
// value, and then sign it as a whole (encrypt-then-MAC).
//
//	value = header | nonce, ciphertext, tag of the AEAD | HMAC[32]
//
// The AEAD's tag alone would prevent forgery. The HMAC also commits the value
// to one key and one context, which the AEADs do not, and it still protects if
// the AEAD is broken. It is checked first, so the AEAD only sees bytes that
// this library wrote.
package etm

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
)

// An AEAD encrypts and authenticates with nonces that it generates itself.
type AEAD interface {
	// Seal appends nonce, ciphertext and tag to dst.
	Seal(dst, plaintext, aad []byte) []byte
	// Open decrypts the output of Seal and appends the plaintext to dst.
	Open(dst, sealed, aad []byte) ([]byte, error)
}

// SignKeySize is the length in bytes of the signing key.
const SignKeySize = 32

// A Sealer seals under one key. It is safe for concurrent use.
type Sealer struct {
	aead   AEAD
	states sync.Pool // of *state
}

// New returns a Sealer that uses an AEAD with its key, and a signing key.
func New(aead AEAD, signKey []byte) *Sealer {
	s := &Sealer{aead: aead}
	s.states.New = func() any { return &state{mac: hmac.New(sha256.New, signKey)} }
	return s
}

// A state holds the buffers for one message.
type state struct {
	mac    hash.Hash
	length [4]byte
	aad    []byte // header || ctx
	sum    [sha256.Size]byte
}

// Seal appends the sealed data to value, which contains the header.
func (s *Sealer) Seal(value, ctx, plaintext []byte) []byte {
	st := s.states.Get().(*state)
	defer s.states.Put(st)
	value = s.aead.Seal(value, plaintext, st.bind(value, ctx))
	return append(value, st.sign(ctx, value)...)
}

// Open decrypts a value whose header has the given length, and appends the
// plaintext to dst.
func (s *Sealer) Open(dst, ctx, value []byte, header int) ([]byte, bool) {
	st := s.states.Get().(*state)
	defer s.states.Put(st)
	signed, mac := value[:len(value)-sha256.Size], value[len(value)-sha256.Size:]
	if !hmac.Equal(st.sign(ctx, signed), mac) { // constant time
		return nil, false
	}
	plaintext, err := s.aead.Open(dst, signed[header:], st.bind(value[:header], ctx))
	return plaintext, err == nil
}

func (s *state) bind(header, ctx []byte) []byte {
	s.aad = append(append(s.aad[:0], header...), ctx...)
	return s.aad
}

// sign returns the HMAC over lp(ctx) || signed, where signed is everything
// from the header to the AEAD's tag. The context is prefixed with its length,
// so that no two pairs of context and value produce the same input.
func (s *state) sign(ctx, signed []byte) []byte {
	binary.BigEndian.PutUint32(s.length[:], uint32(len(ctx)))
	s.mac.Reset()
	s.mac.Write(s.length[:])
	s.mac.Write(ctx)
	s.mac.Write(signed)
	return s.mac.Sum(s.sum[:0])
}
