package codec

import "github.com/carryon-go/carryon/keyring"

// A format is one way to seal. All have the same header and text form; the rest
// of the value is the format's own. A key belongs to one format for good.
type format struct {
	// overhead is what a value has beyond its plaintext, header included.
	overhead int
	// seal appends what follows the header to bin, which holds the header. A
	// nonce of nil is drawn.
	seal func(bin []byte, key *keyring.Key, b Binding, plaintext, nonce []byte) []byte
	// open appends the plaintext of bin, which is at least overhead bytes.
	open func(dst []byte, key *keyring.Key, b Binding, bin []byte) ([]byte, bool)
}

// formats by the header's first byte. To add one is to add a line here.
var formats = [256]*format{1: &format1}

// maxOverhead is the largest overhead of any format.
const maxOverhead = overhead1
