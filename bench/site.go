package bench

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
)

// Site is the web site of one contestant, for one visitor's session. A nil
// handler means that the contestant has nothing to answer there.
type Site struct {
	Login     http.Handler // stores the session of a visitor who brought none
	Untouched http.Handler // has the session at hand and does not ask for it
	Read      http.Handler // writes the user's name, nothing without a session
	Change    http.Handler // sets the CSRF token to the next one and writes it
	Dump      http.Handler // writes the whole session as JSON; for the check

	Seal, Open func() // the cryptography alone, of the session's JSON; nil where there is no way to it
	Stored     bool   // the data are on the server, the cookie is a token
	Close      func() // nil, or frees what Build has taken
}

// Contestant is one way to keep a session.
type Contestant struct {
	Name    string
	About   string // one line for the tables
	Build   func(Data) (*Site, error)
	Changes int  // how many changes the visitor has made before the request that is measured
	Wide    bool // its cookie may be longer than a browser's 4,096 bytes: the floors
	Renews  bool // it sets its cookie again with every response
}

// Contestants in the order of the tables.
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

// The names of the contestants that others are compared with.
const (
	Bare    = "context"
	FloorF2 = "floor-F2"
	FloorF4 = "floor-F4"
)

// ErrDoesNotFit: the session is too large for the contestant.
var ErrDoesNotFit = errors.New("bench: the session does not fit")

// ErrAbsent: what the contestant needs, such as a server, is not there.
var ErrAbsent = errors.New("bench: what it needs is not there")

// page writes what a handler answers; every contestant answers through it.
func page(w http.ResponseWriter, text string) {
	_, _ = io.WriteString(w, text) // a sink that cannot fail
}

// untouched is the handler that leaves the session alone, the same for all.
var untouched = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { page(w, "ok") })

// dump writes d as JSON.
func dump(w http.ResponseWriter, d Data) {
	b, err := json.Marshal(d)
	refuse(w, err)
	page(w, string(b))
}

// refuse answers 500 where err is one; the check before the timing then fails.
func refuse(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
