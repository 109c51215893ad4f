package core

import "crypto/sha256"

// hmacSHA256 is HMAC-SHA-256 (RFC 2104) under a key of 32 bytes. The standard
// library's allocates its state anew for each key, and a name takes three keys,
// two of them for HKDF (RFC 5869: extract, expand by one block), on each write of
// each session. This one needs one state, on the same SHA-256; tests hold it and
// what is made of it to crypto/hmac and crypto/hkdf.
func hmacSHA256(key *[32]byte, message []byte) (sum [32]byte) {
	var inner, outer [sha256.BlockSize]byte
	for i := range inner {
		inner[i], outer[i] = 0x36, 0x5c
	}
	for i, k := range key {
		inner[i], outer[i] = 0x36^k, 0x5c^k
	}
	sum = sha256Of(inner[:], message)
	return sha256Of(outer[:], sum[:])
}

// sha256Of hashes a block and what follows it; on the stack if that is short.
func sha256Of(block, message []byte) [32]byte {
	var room [5 * sha256.BlockSize]byte
	if len(block)+len(message) > len(room) {
		return streamed(block, message)
	}
	n := copy(room[:], block)
	n += copy(room[n:], message)
	return sha256.Sum256(room[:n])
}

func streamed(block, message []byte) (sum [32]byte) {
	h := sha256.New()
	h.Write(block)
	h.Write(message)
	h.Sum(sum[:0])
	return sum
}
