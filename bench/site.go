package bench

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
)

// A Site is the web site of a contestant for one visitor's session. Handlers
// that the contestant does not support are nil.
type Site struct {
	Login     http.Handler // stores the session of a visitor without one
	Untouched http.Handler // has access to the session and does not use it
	Read      http.Handler // writes the user's name, or nothing without a session
	Change    http.Handler // replaces the CSRF token and writes the new one
	Dump      http.Handler // writes the whole session as JSON, for the check

	Seal, Open func() // the cryptography alone, on the session's JSON; nil if not accessible
	Stored     bool   // the data are on the server, and the cookie is a token
	Close      func() // frees the site's resources; may be nil
}

// A Contestant is a way to store a session.
type Contestant struct {
	Name    string
	About   string // one line for the tables
	Build   func(Data) (*Site, error)
	Changes int  // number of changes before the measured request
	Wide    bool // the cookie may exceed a browser's 4,096 bytes, for the floors
	Renews  bool // sets its cookie in every response
}

// Contestants returns the contestants in the order of the tables.
func Contestants() []Contestant {
	return slices.Concat(floors(), carryons(), peers())
}

func floors() []Contestant {
	return []Contestant{
		{Name: Bare, About: "a middleware that only puts a value into the context", Build: buildContext},
		{Name: "floor-F1", About: "AES-256-GCM", Build: floor(newGCM), Wide: true},
		{Name: FloorF2, About: "AES-256-CTR + HMAC-SHA-256, encrypt then MAC", Build: floor(newCTR), Wide: true},
		{Name: "floor-F3", About: "XChaCha20-Poly1305", Build: floor(newXChaCha), Wide: true},
		{Name: FloorF4, About: "XAES-256-GCM, then HMAC-SHA-256 over everything", Build: floor(newXAES), Wide: true},
	}
}

func peers() []Contestant {
	return []Contestant{
		{Name: "gorilla", About: "gorilla/sessions cookie store, hash and block key, gob", Build: buildGorilla},
		{Name: "gorilla-json", About: "the same with a JSON serializer", Build: buildGorillaJSON},
		{Name: "scs-memory", About: "alexedwards/scs with its memory store, gob", Build: buildSCS},
		{Name: "gin", About: "gin with gin-contrib/sessions, its cookie store, gob", Build: buildGin},
		{Name: "echo", About: "echo with echo-contrib/session, gorilla's cookie store, gob", Build: buildEcho},
		{Name: "fiber", About: "fiber v3 with its session middleware, memory storage", Build: buildFiber, Renews: true},
		{Name: "fiber-encrypt", About: "fiber v3 with its encryptcookie middleware, JSON", Build: buildFiberEncrypt},
		{Name: "jwt", About: "golang-jwt HS256, JSON: signed, not encrypted", Build: buildJWT},
		{Name: "jose", About: "go-jose JWE dir A256GCM, JSON", Build: buildJOSE},
	}
}

// These contestants are the baselines of others.
const (
	Bare    = "context"
	FloorF2 = "floor-F2"
	FloorF4 = "floor-F4"
)

// ErrDoesNotFit means that the session is too large for the contestant.
var ErrDoesNotFit = errors.New("bench: the session does not fit")

// ErrAbsent means that something the contestant needs, such as a server, is
// missing.
var ErrAbsent = errors.New("bench: the contestant's server is missing")

// page writes a response. All contestants use it.
func page(w http.ResponseWriter, text string) {
	_, _ = io.WriteString(w, text) // a sink never fails
}

// untouched is the handler of all contestants for requests that do not use the
// session.
var untouched = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { page(w, "ok") })

// dump writes d as JSON.
func dump(w http.ResponseWriter, d Data) {
	b, err := json.Marshal(d)
	refuse(w, err)
	page(w, string(b))
}

// refuse responds with 500 if err is not nil, which makes the check fail.
func refuse(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
