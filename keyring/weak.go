package keyring

import (
	"crypto/sha256"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// minDistinct is the minimum number of different bytes in a secret. 32 random
// bytes have about 30; fewer than 17 occur less than once in a billion. The
// limit catches repeated bytes and any pattern with a period of up to 16.
const minDistinct = 17

// weakness returns why a secret cannot be random, as the end of a sentence, or
// "". It catches accidents: of random secrets it refuses fewer than one in ten
// million. text is the secret as written in the JSON.
func weakness(secret *[secretSize]byte, text string) string {
	switch {
	case distinct(secret) < minDistinct:
		return "has few different bytes, so it is a pattern"
	case steps(secret) >= secretSize/2:
		return "is a sequence"
	case isText(secret[:]):
		return "is text"
	case strings.ToLower(text) == text || strings.ToUpper(text) == text:
		return "was typed as text, not encoded from random bytes"
	}
	return ""
}

// isText reports whether b is UTF-8, possibly truncated within the last
// character.
func isText(b []byte) bool {
	for len(b) > 0 && utf8.FullRune(b) {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			return false
		}
		b = b[size:]
	}
	return true
}

func distinct(secret *[secretSize]byte) int {
	var seen [256]bool
	n := 0
	for _, b := range secret {
		if !seen[b] {
			seen[b] = true
			n++
		}
	}
	return n
}

// steps returns how often the most frequent difference between neighbouring
// bytes occurs: 31 times in 00 01 02 … 1f, rarely more than twice in random
// bytes.
func steps(secret *[secretSize]byte) int {
	var count [256]int
	most := 0
	for i := 1; i < len(secret); i++ {
		d := secret[i] - secret[i-1]
		count[d]++
		most = max(most, count[d])
	}
	return most
}

// exampleKeys is the number of example keys. SPEC.md defines them:
// SHA-256("carryon test key 1") and so on.
const exampleKeys = 64

// examples holds the secrets that appear in public: those of the test vectors
// and documents, and hashes of common words.
var examples = sync.OnceValue(func() map[[secretSize]byte]bool {
	known := make(map[[secretSize]byte]bool)
	for i := range exampleKeys {
		known[sha256.Sum256([]byte("carryon test key "+strconv.Itoa(i+1)))] = true
	}
	for _, word := range []string{"", "a", "abc", "carryon", "changeme", "hello", "key", "password", "secret", "session", "test", "123456"} {
		known[sha256.Sum256([]byte(word))] = true
	}
	// The AES-256 key of NIST SP 800-38A, appendix F, which many tests copy.
	known[[secretSize]byte{
		0x60, 0x3d, 0xeb, 0x10, 0x15, 0xca, 0x71, 0xbe, 0x2b, 0x73, 0xae, 0xf0, 0x85, 0x7d, 0x77, 0x81,
		0x1f, 0x35, 0x2c, 0x07, 0x3b, 0x61, 0x08, 0xd7, 0x2d, 0x98, 0x10, 0xa3, 0x09, 0x14, 0xdf, 0xf4,
	}] = true
	return known
})
