package codec_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/reason"
)

// A value is sealed for one cookie, split into pieces that fit, and opened
// again.
func Example() {
	now := time.Now()
	ring, err := keyring.Generate(now)
	if err != nil {
		panic(err)
	}
	b := codec.Binding{Base: "__Host-session", Suffix: "k7m2qv5xyd"}

	value, err := codec.Seal(nil, ring.Active(now), b, make([]byte, 5000))
	if err != nil {
		panic(err)
	}
	pieces, err := codec.Split(value, func(int) int { return 3800 })
	if err != nil {
		panic(err)
	}
	fmt.Println(len(value), "characters in", len(pieces), "pieces")

	text, used, err := codec.Join(func(i int) (string, bool) {
		if i >= len(pieces) {
			return "", false
		}
		return string(pieces[i]), true
	})
	if err != nil {
		panic(err)
	}
	plaintext, _, err := codec.Open(nil, ring, now, b, text)
	fmt.Println(len(plaintext), "bytes from", used, "pieces,", err)

	b.Suffix = "another" // the same value under another name
	_, _, err = codec.Open(nil, ring, now, b, text)
	fmt.Println(errors.Is(err, reason.BadSeal))
	// Output:
	// 6774 characters in 2 pieces
	// 5000 bytes from 2 pieces, <nil>
	// true
}
