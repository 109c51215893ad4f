package state

import "crypto/sha256"

// hmacSHA256 returns the HMAC-SHA-256 (RFC 2104) of message under a key of 32
// bytes. crypto/hmac allocates a state for each key, and here each session has
// its own keys: a response that sets one cookie would make 88 allocations
// instead of 24, and take a fifth longer. Tests compare it with crypto/hmac.
func hmacSHA256(key *[32]byte, message []byte) [32]byte {
	var inner, outer [sha256.BlockSize]byte
	for i := range inner {
		inner[i], outer[i] = 0x36, 0x5c
	}
	for i, k := range key {
		inner[i], outer[i] = 0x36^k, 0x5c^k
	}
	var room [8 * sha256.BlockSize]byte // a longer message is allocated
	sum := sha256.Sum256(append(append(room[:0], inner[:]...), message...))
	return sha256.Sum256(append(append(room[:0], outer[:]...), sum[:]...))
}

// hkdfSHA256 returns the first 32 bytes of HKDF-SHA-256 (RFC 5869) without a
// salt. It derives the ids of sessions and records, once for each request that
// reads a stored session. Encryption keys come from crypto/hkdf.
func hkdfSHA256(secret []byte, info string) [32]byte {
	var buf [sha256.BlockSize]byte
	extracted := hmacSHA256(&[32]byte{}, secret)
	return hmacSHA256(&extracted, append(append(buf[:0], info...), 1))
}
