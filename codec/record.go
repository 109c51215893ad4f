package codec

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"github.com/carryon-go/carryon/keyring"
)

// RecordSecretSize is the length in bytes of the secret that a record is sealed
// with.
const RecordSecretSize = 32

// RecordOverhead is how much longer a sealed record is than its plaintext.
const RecordOverhead = HeaderSize + xaesOverhead + sha256.Size

// MaxRecordPlaintext is the most that [SealRecord] takes, in bytes: a sealed
// record has at most 1 MiB, as stores are asked to hold.
const MaxRecordPlaintext = 1<<20 - RecordOverhead

// A RecordBinding is what a record is sealed for: the row it lives in, and
// which state of that row it is. Who can write to the store can put back an old
// state as a whole; they cannot pass it off as another, nor for another row.
type RecordBinding struct {
	ID     string   // under which the store keeps the record
	Number uint64   // of its revision
	Tag    [16]byte // of its revision
}

const labelRecord = "carryon/1 record"

// SealRecord appends the sealed form of a plaintext that goes into a store. It
// is format 1 in bytes, with a shorter signature:
//
//	record = header | nonce[24] | ciphertext | GCM tag[16] | HMAC[32]
//
// The secret is the session's own, which only the client's cookies hold, so the
// key ring opens no record and rotating it needs none to be written anew.
// The HMAC covers the GCM's tag in place of the ciphertext, which is large: the
// tag vouches for the ciphertext, and the HMAC commits the record to one secret
// and one place.
// The errors are [NoKey] for a secret that is not [RecordSecretSize] bytes and
// [TooLarge].
func SealRecord(dst, secret []byte, b RecordBinding, plaintext []byte) ([]byte, error) {
	return sealRecord(dst, secret, b, plaintext, nil)
}

// sealRecord takes a nonce for the tests' sake; nil draws one.
func sealRecord(dst, secret []byte, b RecordBinding, plaintext, nonce []byte) ([]byte, error) {
	switch {
	case len(secret) != RecordSecretSize:
		return dst, refuse(NoKey, keyring.ID{})
	case len(plaintext) > MaxRecordPlaintext:
		return dst, refuse(TooLarge, keyring.ID{})
	}
	k, at := newRecordKeys(secret), len(dst)
	dst = Header{Format: 1, KeyID: k.id, Total: RecordOverhead + len(plaintext)}.append(dst)
	aad := b.additional(dst[at:])
	if nonce == nil {
		dst = k.xaes().Seal(dst, plaintext, aad)
	} else {
		dst = k.xaes().sealWithNonce(dst, nonce, plaintext, aad)
	}
	return append(dst, k.sign(aad, dst[at:])...), nil
}

// OpenRecord appends the plaintext of a sealed record to dst. It opens only
// what was sealed with this secret for exactly this binding. Every error is an
// [*Error]; the reasons are, in the order in which they are looked for, [NoKey],
// [TooLarge] and [WrongLength], [UnknownFormat], WrongLength again (the header's
// number), [UnknownKey] and [BadSeal]. On an error dst is returned as it was.
func OpenRecord(dst, secret []byte, b RecordBinding, record []byte) ([]byte, error) {
	switch {
	case len(secret) != RecordSecretSize:
		return dst, refuse(NoKey, keyring.ID{})
	case len(record) > RecordOverhead+MaxRecordPlaintext:
		return dst, refuse(TooLarge, keyring.ID{})
	case len(record) < RecordOverhead:
		return dst, refuse(WrongLength, keyring.ID{})
	}
	k, h := newRecordKeys(secret), parseHeader(record)
	switch {
	case h.Format != 1:
		return dst, refuse(UnknownFormat, h.KeyID)
	case h.Total != len(record):
		return dst, refuse(WrongLength, h.KeyID)
	case h.KeyID != k.id: // public, and no more than a first look
		return dst, refuse(UnknownKey, h.KeyID)
	}
	aad := b.additional(record[:HeaderSize])
	signed, mac := record[:len(record)-sha256.Size], record[len(record)-sha256.Size:]
	if !hmac.Equal(k.sign(aad, signed), mac) { // constant time
		return dst, refuse(BadSeal, h.KeyID)
	}
	plaintext, err := k.xaes().Open(dst, signed[HeaderSize:], aad)
	if err != nil {
		return dst, refuse(BadSeal, h.KeyID)
	}
	return plaintext, nil
}

// additional is GCM's additional data: header || ctx.
func (b RecordBinding) additional(header []byte) []byte {
	aad := append(append(make([]byte, 0, 128), header...), labelRecord...)
	aad = appendPrefixed(aad, b.ID)
	aad = binary.BigEndian.AppendUint64(aad, b.Number)
	return append(aad, b.Tag[:]...)
}

// recordKeys are what a record's secret gives. The labels differ from those of
// a ring's key and from one another, so no derived key serves two purposes.
type recordKeys struct {
	extracted []byte // HKDF's first step, which all have in common
	id        keyring.ID
}

func newRecordKeys(secret []byte) recordKeys {
	extracted, err := hkdf.Extract(sha256.New, secret, nil)
	if err != nil {
		panic(err) // the secret has 32 bytes
	}
	k := recordKeys{extracted: extracted}
	copy(k.id[:], k.derive("carryon/1 record key id", len(k.id)))
	return k
}

func (k recordKeys) derive(info string, n int) []byte {
	key, err := hkdf.Expand(sha256.New, k.extracted, info, n)
	if err != nil {
		panic(err) // the lengths are ours, and at most 32
	}
	return key
}

func (k recordKeys) xaes() *xaes {
	return newXAES(k.derive("carryon/1 record encrypt"+string(k.id[:]), 32))
}

// sign returns the HMAC over lp(ctx) || header || nonce || tag.
func (k recordKeys) sign(aad, signed []byte) []byte {
	mac := hmac.New(sha256.New, k.derive("carryon/1 record sign"+string(k.id[:]), 32))
	ctx := aad[HeaderSize:]
	mac.Write(appendPrefixed(nil, string(ctx)))
	mac.Write(signed[:HeaderSize+xaesNonceSize])
	mac.Write(signed[len(signed)-gcmTagSize:])
	return mac.Sum(nil)
}
