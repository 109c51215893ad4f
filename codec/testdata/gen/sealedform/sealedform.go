// Package sealedform is an independent implementation of the sealed form for
// test vectors. It follows the formulas of SPEC.md and uses only the standard
// library. It exposes every intermediate value and accepts given nonces.
package sealedform

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Hex is encoded as hexadecimal digits in the vectors.
type Hex []byte

// MarshalText implements encoding.TextMarshaler.
func (h Hex) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// A Value is a sealed value with all its intermediate values.
type Value struct {
	Secret     Hex `json:"secret"`
	KeyID      Hex `json:"key_id"`
	KE         Hex `json:"k_e"`
	KM         Hex `json:"k_m"`
	Ctx        Hex `json:"ctx"`
	Header     Hex `json:"header"`
	Nonce      Hex `json:"nonce"`
	MessageKey Hex `json:"message_key"`
	Ciphertext Hex `json:"ciphertext"`
	Tag        Hex `json:"tag"`
	MAC        Hex `json:"mac"`
}

// Secret returns the n-th example secret, which no production ring accepts.
func Secret(n int) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "carryon test key %d", n))
	return sum[:]
}

// KeyID returns the id of the n-th example key.
func KeyID(n int) []byte { return derive(Secret(n), "carryon key id", 4) }

// Seal seals plaintext under the n-th example key. The nonce is derived from
// the hash of its name.
func Seal(n int, audience, base, suffix, plaintext, nonceName string) *Value {
	v := &Value{Secret: Secret(n), KeyID: KeyID(n)}
	nonce := sha256.Sum256([]byte("carryon test nonce " + nonceName))
	v.Nonce = nonce[:24]
	v.KE = derive(v.Secret, "carryon/1 encrypt"+string(v.KeyID), 32)
	v.KM = derive(v.Secret, "carryon/1 sign"+string(v.KeyID), 32)
	v.Ctx = cat([]byte("carryon/1 cookie"), lp([]byte(audience)), lp([]byte(base)), lp([]byte(suffix)))
	v.Header = Header(1, v.KeyID, 8+24+len(plaintext)+16+32)
	v.Encrypt([]byte(plaintext))
	v.Sign()
	return v
}

// Encrypt sets ciphertext and tag from the other fields.
func (v *Value) Encrypt(plaintext []byte) {
	v.MessageKey = messageKey(v.KE, v.Nonce[:12])
	gcm, err := cipher.NewGCM(must(aes.NewCipher(v.MessageKey)))
	ct := must(gcm, err).Seal(nil, v.Nonce[12:], plaintext, cat(v.Header, v.Ctx))
	v.Ciphertext, v.Tag = ct[:len(plaintext)], ct[len(plaintext):]
}

// EncryptPlainGCM makes the mistake of a careless implementation: AES-256-GCM
// with K_e itself and a nonce of 24 bytes.
func (v *Value) EncryptPlainGCM(plaintext []byte) {
	gcm, err := cipher.NewGCMWithNonceSize(must(aes.NewCipher(v.KE)), 24)
	ct := must(gcm, err).Seal(nil, v.Nonce, plaintext, cat(v.Header, v.Ctx))
	v.Ciphertext, v.Tag = ct[:len(plaintext)], ct[len(plaintext):]
}

// Sign sets the MAC from the other fields.
func (v *Value) Sign() {
	mac := hmac.New(sha256.New, v.KM)
	mac.Write(cat(lp(v.Ctx), v.Header, v.Nonce, v.Ciphertext, v.Tag))
	v.MAC = mac.Sum(nil)
}

// Bytes returns the whole value before base64url.
func (v *Value) Bytes() []byte {
	return cat(v.Header, v.Nonce, v.Ciphertext, v.Tag, v.MAC)
}

// Text returns the value as in the cookie.
func (v *Value) Text() string { return Text(v.Bytes()) }

// Text encodes bytes as base64url without padding.
func Text(bin []byte) string { return base64.RawURLEncoding.EncodeToString(bin) }

// Header returns format byte, key id and total length.
func Header(format byte, keyID []byte, total int) []byte {
	return cat([]byte{format}, keyID, []byte{byte(total >> 16), byte(total >> 8), byte(total)})
}

// messageKey implements the key derivation of XAES-256-GCM.
func messageKey(ke, half []byte) []byte {
	block := must(aes.NewCipher(ke))
	l := make([]byte, 16)
	block.Encrypt(l, l)
	hi, lo := binary.BigEndian.Uint64(l), binary.BigEndian.Uint64(l[8:])
	k1 := binary.BigEndian.AppendUint64(nil, hi<<1|lo>>63)
	k1 = binary.BigEndian.AppendUint64(k1, lo<<1)
	if hi>>63 == 1 {
		k1[15] ^= 0b10000111
	}
	var out []byte
	for i := byte(1); i <= 2; i++ {
		m := cat([]byte{0, i, 'X', 0}, half)
		for j := range m {
			m[j] ^= k1[j]
		}
		block.Encrypt(m, m)
		out = append(out, m...)
	}
	return out
}

func derive(secret []byte, info string, n int) []byte {
	return must(hkdf.Key(sha256.New, secret, nil, info, n))
}

func lp(x []byte) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(x))), x...) }

func cat(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
