package securecookieformat_test

import (
	"fmt"
	"time"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/codec/securecookieformat"
	"github.com/carryon-go/carryon/keyring"
)

// First deploy the format to all replicas, then add a key of the format to the
// ring. Until that key is active, sessions are sealed as before.
func Example() {
	now := time.Now()
	ring, err := keyring.Generate(now) // its key is of format 1
	if err != nil {
		panic(err)
	}
	formats, err := codec.NewFormats(securecookieformat.New())
	if err != nil {
		panic(err)
	}
	if err := formats.Check(ring, now); err != nil {
		panic(err) // a key has a format that this program does not have
	}
	b := codec.Binding{Base: "__Host-session", Suffix: "k7m2qv5xyd"}
	value, err := formats.Seal(nil, ring.Active(now), b, []byte("a session"))
	if err != nil {
		panic(err)
	}
	plaintext, key, err := formats.Open(nil, ring, now, b, string(value))
	fmt.Println(string(plaintext), key.Format(), err)
	// Output:
	// a session 1 <nil>
}
