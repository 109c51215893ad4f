package sealedform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// A Vector is one case: a value, or the pieces of one, under a binding, and
// the expected result.
type Vector struct {
	Name     string `json:"name"`
	About    string `json:"about,omitempty"`
	Audience string `json:"audience"`
	Base     string `json:"base"`
	Suffix   string `json:"suffix"`
	// Value, or Pieces if the cookie came in several; a null piece was not
	// sent.
	Value  string    `json:"value,omitempty"`
	Pieces []*string `json:"pieces,omitempty"`
	// Open is the result of opening: "ok" or the reason of the refusal. Join
	// is the result of joining, if that is not "ok"; then nothing is opened.
	Open string `json:"open,omitempty"`
	Join string `json:"join,omitempty"`
	Used int    `json:"used,omitempty"` // number of pieces of the value
	// Plaintext and Steps are set if opening succeeds. A missing plaintext is
	// an empty one.
	Plaintext Hex    `json:"plaintext,omitempty"`
	Steps     Sealed `json:"steps,omitempty"`
}

// A File is one file of vectors. Its ring has the example keys 1 and 2, lists
// number 3 as revoked, and does not list number 4.
type File struct {
	Comment string   `json:"comment"`
	Format  byte     `json:"format,omitempty"` // format of the keys; 1 if missing
	Secrets []Hex    `json:"secrets"`          // SHA-256("carryon test key 1"), …2
	Dead    []Hex    `json:"dead"`             // the id of SHA-256("carryon test key 3")
	Vectors []Vector `json:"vectors"`
}

// Write writes the vectors as JSON to the file named on the command line.
func Write(comment string, vectors ...Vector) {
	WriteFormat(0, comment, vectors...)
}

// WriteFormat is Write for keys of another format.
func WriteFormat(format byte, comment string, vectors ...Vector) {
	write(File{comment, format, []Hex{Secret(1), Secret(2)}, []Hex{KeyID(3)}, vectors})
}

// WriteAny writes vectors of another form, which need no ring.
func WriteAny[V any](comment string, vectors ...V) {
	write(struct {
		Comment string `json:"comment"`
		Vectors []V    `json:"vectors"`
	}{comment, vectors})
}

func write(file any) {
	var text bytes.Buffer
	out := json.NewEncoder(&text)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	err := out.Encode(file)
	if err == nil {
		err = os.WriteFile(os.Args[1], text.Bytes(), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// The binding of most vectors.
const (
	Base   = "__Host-session"
	Suffix = "k7m2qv5xyd"
)

// Refused returns a vector of one value under the usual binding that does not
// open.
func Refused(name, value, reason string) Vector {
	return Vector{Name: name, Base: Base, Suffix: Suffix, Value: value, Open: reason}
}

// Usual seals plaintext under key 1 and the usual binding.
func Usual(plaintext, nonceName string) *Value {
	return Seal(1, "", Base, Suffix, plaintext, nonceName)
}

// Joins returns the vector with another result for a client that sends the
// value as the first of several pieces.
func (v Vector) Joins(reason string) Vector {
	v.Join = reason
	return v
}
