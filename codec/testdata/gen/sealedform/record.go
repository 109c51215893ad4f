package sealedform

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// A Record is a sealed record of a store with all its intermediate values.
type Record struct {
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

// RecordSecret returns the n-th example of a session's own secret.
func RecordSecret(n int) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "carryon test record %d", n))
	return sum[:]
}

// SealRecord seals plaintext for a row and its revision under the n-th example
// secret. The nonce is derived from the hash of its name.
func SealRecord(n int, id string, number uint64, tag []byte, plaintext, nonceName string) *Record {
	secret := RecordSecret(n)
	r := &Record{KeyID: derive(secret, "carryon/1 record key id", 4)}
	nonce := sha256.Sum256([]byte("carryon test nonce " + nonceName))
	r.Nonce = nonce[:24]
	r.KE = derive(secret, "carryon/1 record encrypt"+string(r.KeyID), 32)
	r.KM = derive(secret, "carryon/1 record sign"+string(r.KeyID), 32)
	r.Ctx = cat([]byte("carryon/1 record"), lp([]byte(id)), binary.BigEndian.AppendUint64(nil, number), tag)
	r.Header = Header(1, r.KeyID, 80+len(plaintext))
	v := Value{KE: r.KE, Nonce: r.Nonce, Header: r.Header, Ctx: r.Ctx}
	v.Encrypt([]byte(plaintext))
	r.MessageKey, r.Ciphertext, r.Tag = v.MessageKey, v.Ciphertext, v.Tag
	r.Sign()
	return r
}

// Sign sets the MAC from the other fields. The tag represents the ciphertext.
func (r *Record) Sign() {
	mac := hmac.New(sha256.New, r.KM)
	mac.Write(cat(lp(r.Ctx), r.Header, r.Nonce, r.Tag))
	r.MAC = mac.Sum(nil)
}

// Bytes returns the record as it is in the store.
func (r *Record) Bytes() Hex { return cat(r.Header, r.Nonce, r.Ciphertext, r.Tag, r.MAC) }
