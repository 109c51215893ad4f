// Record generates vectors of sealed records: records that open, with all
// intermediate values, and records that must be refused.
package main

import (
	"slices"
	"strings"

	. "github.com/carryon-go/carryon/codec/testdata/gen/sealedform"
)

// vector is one record, the secret and the binding to open it with, and the
// expected result.
type vector struct {
	Name      string  `json:"name"`
	About     string  `json:"about,omitempty"`
	Secret    Hex     `json:"secret"`
	ID        string  `json:"id"`
	Number    uint64  `json:"number"`
	Tag       Hex     `json:"tag"`
	Record    Hex     `json:"record"`
	Open      string  `json:"open"`
	Plaintext Hex     `json:"plaintext,omitempty"`
	Steps     *Record `json:"steps,omitempty"`
}

const id = "rBzQpUWV0rFvj9k0Yyq8cA"

var tag = []byte("0123456789abcdef")

func opens(name string, secret int, id string, number uint64, tag []byte, plaintext string) vector {
	r := SealRecord(secret, id, number, tag, plaintext, "record "+name)
	return vector{Name: name, Secret: RecordSecret(secret), ID: id, Number: number, Tag: tag, Record: r.Bytes(),
		Open: "ok", Plaintext: Hex(plaintext), Steps: r}
}

// usual returns the record from which the refused ones are derived.
func usual() *Record { return SealRecord(1, id, 7, tag, "hello", "record refused") }

func refused(name, reason string, record []byte) vector {
	return vector{Name: name, Secret: RecordSecret(1), ID: id, Number: 7, Tag: tag, Record: record, Open: reason}
}

// changed returns the usual record with one changed byte.
func changed(at int) []byte {
	b := slices.Clone(usual().Bytes())
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 1
	return b
}

func bound(name string, change func(*vector)) vector {
	v := refused(name, "bad seal", usual().Bytes())
	change(&v)
	return v
}

func main() {
	longer := append(slices.Clone(usual().Bytes()), 0)
	cookie := Seal(1, "", Base, Suffix, "hello", "record as a cookie")
	resigned := usual()
	resigned.Ciphertext[0] ^= 1
	resigned.Sign()
	WriteAny("Records of a store. A vector has a secret, the binding (id, number, tag) and the record.",
		opens("short", 1, id, 1, tag, "hello"),
		opens("empty", 1, id, 1, tag, ""),
		opens("another secret", 2, id, 1, tag, "hello"),
		opens("no id", 1, "", 1, tag, "hello"),
		opens("greatest number", 1, id, 1<<64-1, make([]byte, 16), "hello"),
		opens("five kilobytes", 1, id, 3, tag, strings.Repeat("0123456789abcde\n", 320)),

		bound("another row", func(v *vector) { v.ID = "rBzQpUWV0rFvj9k0Yyq8cB" }),
		bound("an older number", func(v *vector) { v.Number = 6 }),
		bound("another tag", func(v *vector) { v.Tag = []byte("0123456789abcdeg") }),
		bound("another session's secret", func(v *vector) { v.Secret, v.Open = RecordSecret(2), "unknown key" }),
		refused("format 2", "unknown format", func() []byte { b := slices.Clone(usual().Bytes()); b[0] = 2; return b }()),
		refused("key id", "unknown key", changed(1)),
		refused("total", "wrong length", changed(7)),
		refused("nonce", "bad seal", changed(8)),
		refused("last byte of the nonce", "bad seal", changed(31)),
		refused("ciphertext", "bad seal", changed(32)),
		refused("GCM tag", "bad seal", changed(-33)),
		refused("MAC", "bad seal", changed(-1)),
		refused("a byte more", "wrong length", longer),
		refused("a byte less", "wrong length", longer[:len(longer)-2]),
		refused("79 bytes", "wrong length", usual().Bytes()[:79]),
		refused("nothing", "wrong length", nil),
		vector{Name: "ciphertext changed and signed anew", About: "only GCM can tell: its tag is what is signed",
			Secret: RecordSecret(1), ID: id, Number: 7, Tag: tag, Record: resigned.Bytes(), Open: "bad seal"},
		vector{Name: "a cookie", About: "no value of a cookie is a record, even under one secret",
			Secret: Secret(1), ID: id, Number: 7, Tag: tag, Record: cookie.Bytes(), Open: "unknown key"},
	)
}
