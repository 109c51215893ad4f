package state

import "crypto/sha256"

// hmacSHA256 returns the HMAC-SHA-256 (RFC 2104) of label and message under a key
// of 32 bytes. Unlike crypto/hmac it does not allocate for each key, and each
// session has its own keys. It uses the same SHA-256, and tests compare it with
// crypto/hmac.
func hmacSHA256(key *[32]byte, label string, message []byte) (sum [32]byte) {
	var inner, outer [sha256.BlockSize]byte
	for i := range inner {
		inner[i], outer[i] = 0x36, 0x5c
	}
	for i, k := range key {
		inner[i], outer[i] = 0x36^k, 0x5c^k
	}
	sum = sha256Of(&inner, label, message)
	return sha256Of(&outer, "", sum[:])
}

// hkdfSHA256 returns the first 32 bytes of HKDF-SHA-256 (RFC 5869) without a salt.
// It derives session ids, which each request with a store or an observer needs.
// Encryption keys come from crypto/hkdf.
func hkdfSHA256(secret []byte, info string) [32]byte {
	extracted := hmacSHA256(&[32]byte{}, "", secret)
	return hmacSHA256(&extracted, info, []byte{1})
}

// sha256Of returns the hash of block, label and message. Short input is hashed
// without allocation.
func sha256Of(block *[sha256.BlockSize]byte, label string, message []byte) (sum [32]byte) {
	var buf [8 * sha256.BlockSize]byte
	if len(block)+len(label)+len(message) <= len(buf) {
		n := copy(buf[:], block[:])
		n += copy(buf[n:], label)
		n += copy(buf[n:], message)
		return sha256.Sum256(buf[:n])
	}
	h := sha256.New()
	h.Write(block[:])
	h.Write([]byte(label))
	h.Write(message)
	h.Sum(sum[:0])
	return sum
}
