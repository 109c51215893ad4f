package codec_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec/internal/formattest"
)

// reader is an independent reader of the sealed form, written from SPEC.md
// without this package and as simply as possible. Both must agree on every
// vector.
type reader struct {
	secrets map[string][]byte // by key id
	dead    map[string]bool
}

func (r reader) open(audience, base, suffix, value string) (plaintext []byte, refusal string) {
	if len(value) < 12 {
		return nil, "wrong length"
	}
	bin, ok := formattest.Decode(value)
	if !ok {
		return nil, "malformed"
	}
	if bin[0] != 1 {
		return nil, "unknown format"
	}
	total := int(bin[5])*65536 + int(bin[6])*256 + int(bin[7])
	if total != len(bin) || total < 80 {
		return nil, "wrong length"
	}
	id := string(bin[1:5])
	secret, ok := r.secrets[id]
	if r.dead[id] {
		return nil, "dead key"
	}
	if !ok {
		return nil, "unknown key"
	}
	ctx := "carryon/1 cookie" + formattest.Prefixed(audience) + formattest.Prefixed(base) + formattest.Prefixed(suffix)
	return plainOpen1(secret, id, ctx, bin)
}

func plainOpen1(secret []byte, id, ctx string, bin []byte) (plaintext []byte, refusal string) {
	ke, _ := hkdf.Key(sha256.New, secret, nil, "carryon/1 encrypt"+id, 32)
	km, _ := hkdf.Key(sha256.New, secret, nil, "carryon/1 sign"+id, 32)
	body := string(bin[:len(bin)-32])
	mac := hmac.New(sha256.New, km)
	mac.Write([]byte(formattest.Prefixed(ctx) + body))
	if !hmac.Equal(mac.Sum(nil), bin[len(bin)-32:]) {
		return nil, "bad seal"
	}
	return plainXAES(ke, body[8:32], body[32:], body[:8]+ctx)
}

func plainXAES(key []byte, nonce, ct, aad string) ([]byte, string) {
	block, _ := aes.NewCipher(key)
	l := make([]byte, 16)
	block.Encrypt(l, l)
	k1 := new(big.Int).Lsh(new(big.Int).SetBytes(l), 1)
	if k1.BitLen() == 129 {
		k1.SetBit(k1, 128, 0)
		k1.Xor(k1, big.NewInt(0b10000111))
	}
	var derived []byte
	for i := range 2 {
		m := new(big.Int).SetBytes([]byte("\x00" + string(rune(i+1)) + "X\x00" + nonce[:12]))
		out := m.Xor(m, k1).FillBytes(make([]byte, 16))
		block.Encrypt(out, out)
		derived = append(derived, out...)
	}
	block, _ = aes.NewCipher(derived)
	var plaintext []byte
	var err error
	fips140.WithoutEnforcement(func() { // FIPS mode has no GCM that takes a nonce
		gcm, _ := cipher.NewGCM(block)
		plaintext, err = gcm.Open(nil, []byte(nonce[12:]), []byte(ct), []byte(aad))
	})
	if err != nil {
		return nil, "bad seal"
	}
	return plaintext, "ok"
}

func TestIndependentReaderAgrees(t *testing.T) {
	eachVector(t, func(t *testing.T, file vectorFile, v vector) {
		r := reader{secrets: map[string][]byte{}, dead: map[string]bool{}}
		for _, secret := range file.Secrets {
			id, _ := hkdf.Key(sha256.New, secret, nil, "carryon key id", 4)
			r.secrets[string(id)] = secret
		}
		for _, id := range file.Dead {
			r.dead[string(id)] = true
		}
		if v.Open == "" {
			t.Skip("does not join")
		}
		value := v.Value
		for _, p := range v.Pieces[:min(len(v.Pieces), v.piecesInAll())] {
			value += *p
		}
		plaintext, got := r.open(v.Audience, v.Base, v.Suffix, value)
		require.Equal(t, v.Open, got)
		require.Equal(t, hex.EncodeToString(v.Plaintext), hex.EncodeToString(plaintext))
	})
}

func (v vector) piecesInAll() int {
	if v.Used > 0 {
		return v.Used
	}
	return len(v.Pieces)
}
