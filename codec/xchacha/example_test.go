package xchacha_test

import (
	"fmt"
	"time"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/codec/xchacha"
	"github.com/carryon-go/carryon/keyring"
)

// The ring's key determines the format. So deploy the format to all replicas
// first, and add a key of the format after that.
func Example() {
	now := time.Now()
	ring, err := keyring.Generate(now) // its key is of format 1
	if err != nil {
		panic(err)
	}
	formats, err := codec.NewFormats(xchacha.New())
	if err != nil {
		panic(err)
	}
	fmt.Println(formats.Check(ring, now)) // for every new ring

	b := codec.Binding{Base: "__Host-session", Suffix: "k7m2qv5xyd"}
	value, err := formats.Seal(nil, ring.Active(now), b, []byte("a session"))
	if err != nil {
		panic(err)
	}
	h, _ := codec.Peek(string(value))
	fmt.Println("format", h.Format)
	plaintext, _, err := formats.Open(nil, ring, now, b, string(value))
	fmt.Println(string(plaintext), err)
	// Output:
	// <nil>
	// format 1
	// a session <nil>
}
