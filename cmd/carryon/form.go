package main

import (
	"errors"
	"sync"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/codec/securecookieformat"
	"github.com/carryon-go/carryon/codec/xchacha"
)

// A form is a flag that names the format of a key.
type form byte

// formNames are the names of formats 1, 2 and 3.
var formNames = []string{"xaes", "xchacha", "securecookie"}

func (f *form) Set(s string) error {
	for i, name := range formNames {
		if s == name {
			*f = form(i + 1)
			return nil
		}
	}
	return errors.New("the form must be xaes, xchacha or securecookie")
}

func (f *form) String() string {
	if n := int(*f); 1 <= n && n <= len(formNames) {
		return formNames[n-1]
	}
	return ""
}

// formats returns all formats that a ring can have.
var formats = sync.OnceValue(func() *codec.Formats {
	f, err := codec.NewFormats(xchacha.New(), securecookieformat.New())
	if err != nil {
		panic(err) // their numbers differ
	}
	return f
})
