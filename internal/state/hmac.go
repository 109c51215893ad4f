package state

import "crypto/sha256"

// hmacSHA256 is HMAC-SHA-256 (RFC 2104) of label and message under a key of 32
// bytes. The standard library's allocates its state anew for each key, and here each
// session has keys of its own. This one needs no state, on the same SHA-256; tests
// hold it to crypto/hmac.
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

// hkdfSHA256 is the first 32 bytes of HKDF-SHA-256 (RFC 5869) without a salt, for
// the ids of sessions, which are made for each request that a store or an observer
// is told of. Keys that encrypt come from crypto/hkdf.
func hkdfSHA256(secret []byte, info string) [32]byte {
	extracted := hmacSHA256(&[32]byte{}, "", secret)
	return hmacSHA256(&extracted, info, []byte{1})
}

// sha256Of hashes a block and what follows it; on the stack if that is short.
func sha256Of(block *[sha256.BlockSize]byte, label string, message []byte) (sum [32]byte) {
	var room [8 * sha256.BlockSize]byte
	if len(block)+len(label)+len(message) <= len(room) {
		n := copy(room[:], block[:])
		n += copy(room[n:], label)
		n += copy(room[n:], message)
		return sha256.Sum256(room[:n])
	}
	h := sha256.New()
	h.Write(block[:])
	h.Write([]byte(label))
	h.Write(message)
	h.Sum(sum[:0])
	return sum
}
