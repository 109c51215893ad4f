// Header generates vectors of values with a wrong header. Each is signed with
// that header, so that only the header can be at fault.
package main

import . "github.com/carryon-go/carryon/codec/testdata/gen/sealedform"

func with(name string, header []byte, reason string) Vector {
	v := Usual("hello", name)
	v.Header = header
	v.Encrypt([]byte("hello"))
	v.Sign()
	return Refused(name, v.Text(), reason)
}

func main() {
	k1 := KeyID(1)
	Write("Values with another header than the one that belongs to them, encrypted and signed with it by key 1.",
		with("format 0", Header(0, k1, 85), "unknown format").Joins("unknown format"),
		with("format 2", Header(2, k1, 85), "unknown format").Joins("unknown format"),
		with("format 255", Header(255, k1, 85), "unknown format").Joins("unknown format"),
		with("length 0", Header(1, k1, 0), "wrong length").Joins("torn"),
		with("length too small by one", Header(1, k1, 84), "wrong length").Joins("torn"),
		with("length too large by one", Header(1, k1, 86), "wrong length").Joins("torn"),
		with("length of 16 MiB", Header(1, k1, 1<<24-1), "wrong length").Joins("torn"),
		with("key unknown", Header(1, KeyID(4), 85), "unknown key"),
		with("key id zero", Header(1, make([]byte, 4), 85), "unknown key"),
		with("key revoked", Header(1, KeyID(3), 85), "dead key"),
		with("key of the ring, but another", Header(1, KeyID(2), 85), "bad seal"),
		short(),
	)
}

// short returns a value without space for nonce, tag and MAC, whose length is
// right.
func short() Vector {
	bin := append(Header(1, KeyID(1), 79), make([]byte, 71)...)
	return Refused("complete, but too short", Text(bin), "wrong length")
}
