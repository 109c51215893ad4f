package codec

import "github.com/carryon-go/carryon/keyring"

// SealWithNonce is Seal with the nonce of a test vector.
func SealWithNonce(key *keyring.Key, b Binding, plaintext, nonce []byte) ([]byte, error) {
	return seal(nil, key, b, plaintext, nonce)
}

// WithFormat2 runs f while format 2 exists, under which the same bytes would
// open if the header were believed.
func WithFormat2(f func()) {
	formats[2] = &format1
	defer func() { formats[2] = nil }()
	f()
}

// AppendDecoded is the strict decoder.
func AppendDecoded(dst []byte, text string) ([]byte, bool) { return appendDecoded(dst, text) }

// AppendEncoded is its reverse.
func AppendEncoded(dst, bin []byte) []byte { return appendEncoded(dst, bin) }

// SealRecordWithNonce is SealRecord with the nonce of a test vector.
func SealRecordWithNonce(secret []byte, b RecordBinding, plaintext, nonce []byte) ([]byte, error) {
	return sealRecord(nil, secret, b, plaintext, nonce)
}
