package codec

import (
	"crypto/sha256"

	"github.com/carryon-go/carryon/codec/internal/etm"
)

// Format 1 encrypts with XAES-256-GCM, then signs with HMAC-SHA-256:
//
//	value = header | nonce[24] | ciphertext | GCM tag[16] | HMAC[32]

const overhead1 = HeaderSize + xaesOverhead + sha256.Size

type format1 struct{}

func (format1) Number() byte  { return 1 }
func (format1) Overhead() int { return overhead1 }

func (format1) Sealer(derive func(string, int) []byte) (Sealer, error) {
	return sealer1{etm.New(newXAES(derive("encrypt", 32)), derive("sign", etm.SignKeySize))}, nil
}

type sealer1 struct{ *etm.Sealer }

func (s sealer1) Open(dst, ctx, value []byte) ([]byte, bool) {
	return s.Sealer.Open(dst, ctx, value, HeaderSize)
}
