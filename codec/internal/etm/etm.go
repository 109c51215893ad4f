// Package etm is what formats 1 and 2 have in common: a value is encrypted, and
// then signed as a whole.
//
//	value = header | nonce, ciphertext, tag of the AEAD | HMAC[32]
//
// The AEAD's tag would do against forgery. The HMAC makes the whole commit to one
// key and one context, which the AEADs do not, and it stands if the AEAD should
// fail; it is checked first, so that no byte reaches the AEAD that we did not write.
package etm

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
)

// An AEAD encrypts and authenticates, with nonces that it draws itself.
type AEAD interface {
	// Seal appends nonce, ciphertext and tag to dst.
	Seal(dst, plaintext, aad []byte) []byte
	// Open appends the plaintext to dst of what Seal appended.
	Open(dst, sealed, aad []byte) ([]byte, error)
}

// SignKeySize is the length in bytes of the key that signs.
const SignKeySize = 32

// A Sealer seals under one key. It is safe for concurrent use.
type Sealer struct {
	aead   AEAD
	states sync.Pool // of *state
}

// New takes an AEAD with its key, and the key that signs.
func New(aead AEAD, signKey []byte) *Sealer {
	s := &Sealer{aead: aead}
	s.states.New = func() any { return &state{mac: hmac.New(sha256.New, signKey)} }
	return s
}

// A state is the room that one message needs.
type state struct {
	mac    hash.Hash
	length [4]byte
	aad    []byte // header || ctx
	sum    [sha256.Size]byte
}

// Seal appends to value, which is the header, what follows it.
func (s *Sealer) Seal(value, ctx, plaintext []byte) []byte {
	st := s.states.Get().(*state)
	defer s.states.Put(st)
	value = s.aead.Seal(value, plaintext, st.bind(value, ctx))
	return append(value, st.sign(ctx, value)...)
}

// Open appends the plaintext of a value to dst, whose header has so many bytes.
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

// sign returns the HMAC over lp(ctx) || signed, where signed is everything from
// the header to the AEAD's tag. The context comes first and with its length, so
// no two pairs of context and value give the HMAC the same input.
func (s *state) sign(ctx, signed []byte) []byte {
	binary.BigEndian.PutUint32(s.length[:], uint32(len(ctx)))
	s.mac.Reset()
	s.mac.Write(s.length[:])
	s.mac.Write(ctx)
	s.mac.Write(signed)
	return s.mac.Sum(s.sum[:0])
}
