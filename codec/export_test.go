package codec

import "crypto/fips140"

// Renumbered returns format 1 with another number, which its labels contain.
func Renumbered(number byte) Format { return renumbered{number: number} }

type renumbered struct {
	format1
	number byte
}

func (r renumbered) Number() byte { return r.number }

// Format1 returns the built-in format.
func Format1() Format { return format1{} }

// AppendDecoded exports the strict decoder.
func AppendDecoded(dst []byte, text string) ([]byte, bool) { return appendDecoded(dst, text) }

// AppendEncoded exports the encoder.
func AppendEncoded(dst, bin []byte) []byte { return appendEncoded(dst, bin) }

// SealRecordWithNonce is SealRecord with the nonce of a test vector. It does
// not work with fips140=only.
func SealRecordWithNonce(secret []byte, b RecordBinding, plaintext, nonce []byte) (record []byte, err error) {
	fips140.WithoutEnforcement(func() { record, err = sealRecord(nil, secret, b, plaintext, nonce) })
	return record, err
}
