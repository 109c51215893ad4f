package codec

import "crypto/fips140"

// Renumbered is format 1 under another number, which its labels have in them.
func Renumbered(number byte) Format { return renumbered{number: number} }

type renumbered struct {
	format1
	number byte
}

func (r renumbered) Number() byte { return r.number }

// Format1 is the format that every program has.
func Format1() Format { return format1{} }

// AppendDecoded is the strict decoder.
func AppendDecoded(dst []byte, text string) ([]byte, bool) { return appendDecoded(dst, text) }

// AppendEncoded is its reverse.
func AppendEncoded(dst, bin []byte) []byte { return appendEncoded(dst, bin) }

// SealRecordWithNonce is SealRecord with the nonce of a test vector, which
// fips140=only forbids.
func SealRecordWithNonce(secret []byte, b RecordBinding, plaintext, nonce []byte) (record []byte, err error) {
	fips140.WithoutEnforcement(func() { record, err = sealRecord(nil, secret, b, plaintext, nonce) })
	return record, err
}
