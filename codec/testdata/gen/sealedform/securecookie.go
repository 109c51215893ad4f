package sealedform

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
)

// Epoch is the date of most vectors of format 3: 2000-01-01T00:00:00Z.
const Epoch = 946684800

// A Value3 is a sealed value of format 3 with all its intermediate values.
type Value3 struct {
	Secret     Hex   `json:"secret"`
	KeyID      Hex   `json:"key_id"`
	KE         Hex   `json:"k_e"`
	KM         Hex   `json:"k_m"`
	Ctx        Hex   `json:"ctx"`
	Header     Hex   `json:"header"`
	Date       int64 `json:"date"`
	Nonce      Hex   `json:"nonce"` // the IV
	Ciphertext Hex   `json:"ciphertext"`
	Input      Hex   `json:"hmac_input"`
	MAC        Hex   `json:"mac"`
	// Name and SecureCookie are the arguments of securecookie itself.
	Name         Hex    `json:"name"`
	SecureCookie string `json:"securecookie"`
}

// Seal3 is Seal for format 3.
func Seal3(n int, audience, base, suffix, plaintext, nonceName string) Sealed {
	return Seal3At(Epoch, n, audience, base, suffix, plaintext, nonceName)
}

// Seal3At is Seal3 at another time, in seconds since 1970.
func Seal3At(date int64, n int, audience, base, suffix, plaintext, nonceName string) *Value3 {
	v := &Value3{Secret: Secret(n), KeyID: KeyID(n), Date: date}
	nonce := sha256.Sum256([]byte("carryon test nonce " + nonceName))
	v.Nonce = nonce[:16]
	v.KE = derive(v.Secret, "carryon/3 encrypt"+string(v.KeyID), 32)
	v.KM = derive(v.Secret, "carryon/3 sign"+string(v.KeyID), 32)
	v.Ctx = cat([]byte("carryon/3 cookie"), lp([]byte(audience)), lp([]byte(base)), lp([]byte(suffix)))
	v.Header = Header(3, v.KeyID, 8+8+16+1+len(plaintext)+32)
	v.Ciphertext = make([]byte, 1+len(plaintext))
	cipher.NewCTR(must(aes.NewCipher(v.KE)), v.Nonce).XORKeyStream(v.Ciphertext, cat([]byte{0}, []byte(plaintext)))
	v.Sign()
	return v
}

// Sign sets the MAC from the other fields.
func (v *Value3) Sign() {
	v.Name = cat(lp(v.Ctx), v.Header)
	dated := []byte(strconv.FormatInt(v.Date, 10) + "|" + base64.URLEncoding.EncodeToString(cat(v.Nonce, v.Ciphertext)))
	v.Input = cat(v.Name, []byte("|"), dated)
	mac := hmac.New(sha256.New, v.KM)
	mac.Write(v.Input)
	v.MAC = mac.Sum(nil)
	v.SecureCookie = base64.URLEncoding.EncodeToString(cat(dated, []byte("|"), v.MAC))
}

// Bytes returns the whole value before base64url.
func (v *Value3) Bytes() []byte {
	return cat(v.Header, binary.BigEndian.AppendUint64(nil, uint64(v.Date)), v.Nonce, v.Ciphertext, v.MAC)
}
