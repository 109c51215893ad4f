package keyring

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// minText is the minimum length of a text in characters. Six words of a
	// diceware list, or 16 random bytes in hexadecimal digits, have as many.
	minText = 32

	// minTextDistinct is the minimum number of different characters. 32 random
	// hexadecimal digits have about 14, 32 random decimal digits about 9.
	minTextDistinct = 8

	// textIterations is the number that OWASP recommends for
	// PBKDF2-HMAC-SHA-256: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
	textIterations = 600_000

	// textSalt is the same for all programs, because a text has no place for a
	// salt of its own. Equal texts have equal keys.
	textSalt = "carryon key from text 1"
)

// DangerouslyFromText returns a ring with one key that is derived from a text,
// such as the session secret in a variable of the environment. Use it for a
// first experiment, and then make a ring with "carryon keys init FILE":
//
//   - Anyone who gets a single cookie, for example by visiting the site, can
//     guess the text on their own computers, as fast as those can. A text that
//     a person made up will be found. Its finder can forge every session.
//   - The key never rotates. Another text logs everyone out, and a text that
//     leaked cannot be revoked.
//
// The text must have at least 32 characters. Take random ones, for example from
// "openssl rand -base64 33". A text that is plainly weak is an error, but a text
// that is not refused may still be weak. Every call logs a warning.
//
// The secret of the key is PBKDF2-HMAC-SHA-256 of the text with 600,000
// iterations and a salt that is the same for all programs. This takes about 0.1
// seconds of a processor, once.
func DangerouslyFromText(text string) (*Keys, error) {
	if why := textWeakness(text); why != "" {
		return nil, fmt.Errorf("keyring: the text %s; take a random one, such as the output of: openssl rand -base64 33; or make a key ring with: carryon keys init FILE", why)
	}
	secret, err := pbkdf2.Key(sha256.New, text, []byte(textSalt), textIterations, secretSize)
	if err != nil {
		return nil, errors.New("keyring: cannot derive a key from the text: " + err.Error())
	}
	m := new(material)
	copy(m.secret[:], secret)
	first := time.Unix(0, 0).UTC() // the same on all replicas
	ring, err := newRing([]*Key{{id: m.id(), mat: hide(m), format: format1, created: first, active: first}}, nil)
	if err != nil {
		return nil, err
	}
	slog.Warn("keyring: DangerouslyFromText: anyone who has one cookie can try to guess the text, and the key never rotates; make a ring with: carryon keys init FILE",
		"ring", ring.Fingerprint())
	k := &Keys{src: Source{name: "text"}, opt: newOptions(Source{every: -1}, nil)}
	k.ring.Store(ring)
	return k, nil
}

// textWeakness returns why a text can be guessed, as the end of a sentence, or
// "". It catches accidents only.
func textWeakness(text string) string {
	characters := []rune(text)
	switch n := len(characters); {
	case !utf8.ValidString(text):
		return "is not UTF-8"
	case n < minText:
		return fmt.Sprintf("has %d characters, and at least %d are needed", n, minText)
	case distinctRunes(characters) < minTextDistinct:
		return "has few different characters"
	case runeSteps(characters) >= n*3/4:
		return "is a sequence"
	case strings.Contains((text + text)[1:2*len(text)-1], text):
		return "repeats itself"
	case isExampleText(text):
		return "contains words that examples use"
	}
	return ""
}

func distinctRunes(text []rune) int {
	seen := make(map[rune]bool)
	for _, r := range text {
		seen[r] = true
	}
	return len(seen)
}

// runeSteps returns how many characters are next to the character before them,
// as in "abc" or "321".
func runeSteps(text []rune) (n int) {
	for i := 1; i < len(text); i++ {
		if d := text[i] - text[i-1]; -1 <= d && d <= 1 {
			n++
		}
	}
	return n
}

// exampleWords occur in the session secrets of documents and templates. They
// are written without spaces and punctuation.
var exampleWords = []string{
	"keyboardcat", "changeme", "changethis", "replaceme", "replacethis", "yoursecret", "mysecret", "supersecret", "topsecret",
	"secretkey", "sessionsecret", "placeholder", "example", "correcthorse", "loremipsum", "quickbrownfox", "qwerty", "password",
}

func isExampleText(text string) bool {
	var letters strings.Builder
	for _, r := range strings.ToLower(text) {
		if 'a' <= r && r <= 'z' {
			letters.WriteRune(r)
		}
	}
	return slices.ContainsFunc(exampleWords, func(word string) bool { return strings.Contains(letters.String(), word) })
}
