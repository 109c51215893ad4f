package codec

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"

	"github.com/carryon-go/carryon/keyring"
)

// Format 1 encrypts, then signs:
//
//	value = header | nonce[24] | ciphertext | GCM tag[16] | HMAC[32]
//
// The GCM's tag would do against forgery. The HMAC makes the whole commit to one
// key and one context, which GCM does not, and it stands if GCM should fail;
// it is checked first, so that no byte reaches GCM that we did not write.

const (
	overhead1 = headerSize + xaesOverhead + sha256.Size
	label1    = "carryon/1 cookie"
)

var format1 = format{overhead: overhead1, seal: seal1, open: open1}

// keys1 is what format 1 derives from a ring's key: once, not for each message.
// The key's id is in both labels, and the labels differ, so no derived key
// serves two purposes.
type keys1 struct {
	xaes   *xaes
	states sync.Pool // of *state1
}

// slot1 is where a keyring.Key remembers its keys1.
type slot1 struct{}

func keysOf(key *keyring.Key) *keys1 {
	return key.Derived(slot1{}, func(derive func([]byte, string, int) []byte) any {
		id := key.ID()
		k := &keys1{xaes: newXAES(derive(nil, "carryon/1 encrypt"+string(id[:]), 32))}
		macKey := derive(nil, "carryon/1 sign"+string(id[:]), 32)
		k.states.New = func() any {
			return &state1{mac: hmac.New(sha256.New, macKey)}
		}
		return k
	}).(*keys1)
}

// A state1 is the room one message needs: the keyed HMAC and the context.
type state1 struct {
	mac    hash.Hash
	length [4]byte
	aad    []byte // header || ctx
	sum    [sha256.Size]byte
}

// bind writes header and context, and returns them as GCM's additional data.
func (s *state1) bind(header []byte, b Binding) []byte {
	s.aad = append(append(s.aad[:0], header...), label1...)
	s.aad = appendPrefixed(s.aad, b.Audience)
	s.aad = appendPrefixed(s.aad, b.Base)
	s.aad = appendPrefixed(s.aad, b.Suffix)
	return s.aad
}

func appendPrefixed(dst []byte, x string) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(x))), x...)
}

// sign returns the HMAC over lp(ctx) || signed, where signed is everything from
// the header to the GCM tag. The context comes first and with its length, so no
// two pairs of context and value give the HMAC the same input. bind comes before.
func (s *state1) sign(signed []byte) []byte {
	ctx := s.aad[headerSize:]
	binary.BigEndian.PutUint32(s.length[:], uint32(len(ctx)))
	s.mac.Reset()
	s.mac.Write(s.length[:])
	s.mac.Write(ctx)
	s.mac.Write(signed)
	return s.mac.Sum(s.sum[:0])
}

func seal1(bin []byte, key *keyring.Key, b Binding, plaintext, nonce []byte) []byte {
	k := keysOf(key)
	s := k.states.Get().(*state1)
	defer k.states.Put(s)
	aad := s.bind(bin, b)
	if nonce == nil {
		bin = k.xaes.seal(bin, plaintext, aad)
	} else {
		bin = k.xaes.sealWithNonce(bin, nonce, plaintext, aad)
	}
	return append(bin, s.sign(bin)...)
}

func open1(dst []byte, key *keyring.Key, b Binding, bin []byte) ([]byte, bool) {
	k := keysOf(key)
	s := k.states.Get().(*state1)
	defer k.states.Put(s)
	aad := s.bind(bin[:headerSize], b)
	signed, mac := bin[:len(bin)-sha256.Size], bin[len(bin)-sha256.Size:]
	if !hmac.Equal(s.sign(signed), mac) { // constant time
		return nil, false
	}
	plaintext, err := k.xaes.open(dst, signed[headerSize:], aad)
	return plaintext, err == nil
}
