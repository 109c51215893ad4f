package codec

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/reason"
)

// RecordSecretSize is the length in bytes of the secret that seals a record.
const RecordSecretSize = 32

// RecordOverhead is the length of a sealed record minus that of its plaintext,
// in bytes.
const RecordOverhead = HeaderSize + xaesOverhead + sha256.Size

// MaxRecordPlaintext is the maximum size in bytes that [SealRecord] accepts. A
// sealed record then has 1 MiB, which every store must support.
const MaxRecordPlaintext = 1<<20 - RecordOverhead

// A RecordBinding is the context for which a record is sealed: its row in the
// store and the revision of that row. Someone who can write to the store can
// restore an old revision as a whole, but cannot use it as another revision or
// in another row.
type RecordBinding struct {
	ID     string   // the record's id in the store
	Number uint64   // number of its revision
	Tag    [16]byte // tag of its revision
}

const labelRecord = "carryon/1 record"

// SealRecord seals a plaintext for a store and appends the record to dst. The
// form is that of format 1 in bytes, but with an HMAC over less data:
//
//	record = header | nonce[24] | ciphertext | GCM tag[16] | HMAC[32]
//
// The secret belongs to the session and is stored only in the client's
// cookies. So the key ring cannot open a record, and rotation need not rewrite
// any. The HMAC covers the GCM tag instead of the ciphertext, which can be
// large: the tag authenticates the ciphertext, and the HMAC commits the record
// to one secret and one binding. The errors are [reason.NoKey] for a secret that is
// not [RecordSecretSize] bytes long, and [reason.TooLarge].
func SealRecord(dst, secret []byte, b RecordBinding, plaintext []byte) ([]byte, error) {
	return sealRecord(dst, secret, b, plaintext, nil)
}

// sealRecord uses the given nonce, for tests; nil means a random nonce.
func sealRecord(dst, secret []byte, b RecordBinding, plaintext, nonce []byte) ([]byte, error) {
	switch {
	case len(secret) != RecordSecretSize:
		return dst, refuse(reason.NoKey, keyring.ID{})
	case len(plaintext) > MaxRecordPlaintext:
		return dst, refuse(reason.TooLarge, keyring.ID{})
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

// OpenRecord decrypts a sealed record and appends the plaintext to dst. The
// record must have been sealed with the same secret and binding. Every error
// is an [*Error]. OpenRecord checks in this order: [reason.NoKey], [reason.TooLarge] and
// [reason.WrongLength], [reason.UnknownFormat], WrongLength for the length in the header,
// [reason.UnknownKey], and [reason.BadSeal]. On an error dst is returned unchanged.
func OpenRecord(dst, secret []byte, b RecordBinding, record []byte) ([]byte, error) {
	switch {
	case len(secret) != RecordSecretSize:
		return dst, refuse(reason.NoKey, keyring.ID{})
	case len(record) > RecordOverhead+MaxRecordPlaintext:
		return dst, refuse(reason.TooLarge, keyring.ID{})
	case len(record) < RecordOverhead:
		return dst, refuse(reason.WrongLength, keyring.ID{})
	}
	k, h := newRecordKeys(secret), parseHeader(record)
	switch {
	case h.Format != 1:
		return dst, refuse(reason.UnknownFormat, h.KeyID)
	case h.Total != len(record):
		return dst, refuse(reason.WrongLength, h.KeyID)
	case h.KeyID != k.id: // the id is public; this is only a quick check
		return dst, refuse(reason.UnknownKey, h.KeyID)
	}
	aad := b.additional(record[:HeaderSize])
	signed, mac := record[:len(record)-sha256.Size], record[len(record)-sha256.Size:]
	if !hmac.Equal(k.sign(aad, signed), mac) { // constant time
		return dst, refuse(reason.BadSeal, h.KeyID)
	}
	plaintext, err := k.xaes().Open(dst, signed[HeaderSize:], aad)
	if err != nil {
		return dst, refuse(reason.BadSeal, h.KeyID)
	}
	return plaintext, nil
}

// additional returns GCM's additional data: header || ctx.
func (b RecordBinding) additional(header []byte) []byte {
	aad := append(append(make([]byte, 0, 128), header...), labelRecord...)
	aad = appendPrefixed(aad, b.ID)
	aad = binary.BigEndian.AppendUint64(aad, b.Number)
	return append(aad, b.Tag[:]...)
}

// recordKeys holds the keys derived from a record's secret. Their labels
// differ from those of a ring's key and from each other, so no derived key
// serves two purposes.
type recordKeys struct {
	extracted []byte // HKDF's first step, shared by all derived keys
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
		panic(err) // n is at most 32
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
