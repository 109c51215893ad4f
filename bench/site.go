package bench

import (
	"encoding/json"
	"io"
	"net/http"
)

// Site is the web site of one contestant, for one visitor's session. A nil
// handler means that the contestant has nothing to answer there.
type Site struct {
	Login     http.Handler // stores the session of a visitor who brought none
	Untouched http.Handler // has the session at hand and does not ask for it
	Read      http.Handler // writes the user's name, nothing without a session
	Change    http.Handler // sets the CSRF token to the next one and writes it
	Dump      http.Handler // writes the whole session as JSON; for the check
}

// Contestant is one way to keep a session.
type Contestant struct {
	Name  string
	About string // one line for the tables
	Build func(Data) (*Site, error)
}

// Contestants in the order of the tables. The names of the first three are what
// ratios are taken to.
func Contestants() []Contestant {
	return []Contestant{
		{Bare, "a middleware that only puts a value into the context", buildContext},
		{FloorF2, "AES-256-CTR + HMAC-SHA-256, cached keys, pooled", floor(newCTR)},
		{FloorF4, "XAES-256-GCM + HMAC-SHA-256 over everything, cached keys, pooled", floor(newXAES)},
		{"carryon", "github.com/carryon-go/carryon, format 1", buildCarryon},
		{"gorilla", "gorilla/sessions cookie store, hash and block key, gob", buildGorilla},
		{"scs-memory", "alexedwards/scs with its memory store, gob", buildSCS},
	}
}

// The names of the contestants that others are compared with.
const (
	Bare    = "context"
	FloorF2 = "floor-F2"
	FloorF4 = "floor-F4"
)

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
