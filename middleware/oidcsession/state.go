package oidcsession

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
)

// states makes and reads the state parameter: the flow's id, and sealed the page to
// which the visitor returns. The session must have the flow for the parameter to
// count. The page is in the parameter and not in the session for visitors whose
// browser has lost the flow, for example because ten tabs have begun the first
// sign-in at once: they sign in once more, and still arrive at their page.
type states struct{ aead cipher.AEAD }

// state is the content of a state parameter.
type state struct {
	ID      string // of the flow
	Restart byte   // how often the sign-in began again because the flow was lost
	Page    string // a path of this site, still to be checked
}

// newStates derives the key from the client's secret, which all replicas have and
// the provider has too. Sealing keeps pages out of logs and histories. It is no
// protection against forgery: for public clients the key is known.
func newStates(c Config) states {
	key, err := hkdf.Key(sha256.New, []byte(c.ClientSecret), []byte(c.Issuer+"\x00"+c.ClientID), "carryon oidc state", 32)
	if err != nil {
		panic("oidcsession: deriving the key of the state parameter: " + err.Error()) // fails only for more than 255 hashes of output
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("oidcsession: " + err.Error()) // the key has 32 bytes
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("oidcsession: " + err.Error()) // the block has 16 bytes
	}
	return states{aead}
}

// maxPage is the longest page, in bytes, that a state parameter carries.
const maxPage = 1024

// encode returns the state parameter. Visitors return to the start page if the page is
// too long.
func (s states) encode(st state) string {
	if len(st.Page) > maxPage {
		st.Page = "/"
	}
	sealed := s.aead.Seal(nil, nil, append([]byte{st.Restart}, st.Page...), []byte(st.ID))
	return st.ID + "." + base64.RawURLEncoding.EncodeToString(sealed)
}

// decode reads a state parameter. ok reports whether it is one of this program.
func (s states) decode(parameter string) (st state, ok bool) {
	id, rest, found := strings.Cut(parameter, ".")
	if !found || len(id) != 22 || len(rest) > 2*maxPage {
		return state{}, false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if err != nil {
		return state{}, false
	}
	plain, err := s.aead.Open(nil, nil, sealed, []byte(id))
	if err != nil || len(plain) == 0 {
		return state{}, false
	}
	return state{ID: id, Restart: plain[0], Page: string(plain[1:])}, true
}

// equal compares secrets in constant time.
func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
