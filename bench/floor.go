package bench

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// A sealer is the cryptography of a floor. Both methods append to dst.
type sealer interface {
	seal(dst, plaintext []byte) []byte
	open(dst, sealed []byte) (plaintext []byte, ok bool)
}

// A floorSite stores a session's JSON in one cookie and does only the
// cryptography: no decoding, no expiry, no names, no limits.
type floorSite struct {
	sealer
	first   []byte // JSON that Login stores
	csrfAt  int    // offset of the token in first
	buffers sync.Pool
}

// floorBuffers holds the buffers of a request: the cookie, the sealed and the
// plain session.
type floorBuffers struct{ text, sealed, plain []byte }

const (
	floorName  = "s="
	floorAttrs = "; Path=/; Max-Age=86400; HttpOnly; Secure; SameSite=Lax"
	jsonStart  = `{"user":{"name":"`
	csrfStart  = `"csrf":"`
)

func floor(make func() (sealer, error)) func(Data) (*Site, error) {
	return func(d Data) (*Site, error) {
		first, err := json.Marshal(d)
		if err != nil {
			return nil, err
		}
		crypto, err := make()
		if err != nil {
			return nil, err
		}
		at := bytes.Index(first, []byte(csrfStart))
		if at < 0 || !bytes.HasPrefix(first, []byte(jsonStart)) {
			return nil, fmt.Errorf("bench: the layout of the session's JSON has changed; update floor.go")
		}
		f := &floorSite{sealer: crypto, first: first, csrfAt: at + len(csrfStart)}
		f.buffers.New = func() any { return new(floorBuffers) }
		site := f.site()
		site.Seal, site.Open = f.alone()
		return site, nil
	}
}

func (f *floorSite) site() *Site {
	return &Site{
		Login: f.with(func(w http.ResponseWriter, _ *http.Request, b *floorBuffers) {
			f.save(w, b, f.first)
		}),
		Untouched: untouched,
		Read: f.with(func(w http.ResponseWriter, r *http.Request, b *floorBuffers) {
			if plain, ok := f.load(r, b); ok {
				rest := plain[len(jsonStart):]
				page(w, string(rest[:bytes.IndexByte(rest, '"')]))
			}
		}),
		Change: f.with(func(w http.ResponseWriter, r *http.Request, b *floorBuffers) {
			if plain, ok := f.load(r, b); ok {
				next := nextToken()
				copy(plain[f.csrfAt:], next)
				f.save(w, b, plain)
				page(w, next)
			}
		}),
		Dump: f.with(func(w http.ResponseWriter, r *http.Request, b *floorBuffers) {
			if plain, ok := f.load(r, b); ok {
				page(w, string(plain))
			}
		}),
	}
}

func (f *floorSite) with(serve func(http.ResponseWriter, *http.Request, *floorBuffers)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := f.buffers.Get().(*floorBuffers)
		defer f.buffers.Put(b)
		serve(w, r, b)
	})
}

// alone returns the cryptography and base64 without a request.
func (f *floorSite) alone() (seal, open func()) {
	b, opened := new(floorBuffers), new(floorBuffers)
	text := base64.RawURLEncoding.AppendEncode(nil, f.seal(nil, f.first))
	return func() {
			b.sealed = f.seal(b.sealed[:0], f.first)
			b.text = base64.RawURLEncoding.AppendEncode(b.text[:0], b.sealed)
		}, func() {
			sealed, err := base64.RawURLEncoding.AppendDecode(opened.sealed[:0], text)
			plain, ok := f.open(opened.plain[:0], sealed)
			if err != nil || !ok {
				panic("bench: a floor cannot open what it sealed")
			}
			opened.sealed, opened.plain = sealed, plain
		}
}

// load opens the visitor's cookie. The plaintext is in b.
func (f *floorSite) load(r *http.Request, b *floorBuffers) ([]byte, bool) {
	b.text = append(b.text[:0], cookieValue(r, floorName)...)
	sealed, err := base64.RawURLEncoding.AppendDecode(b.sealed[:0], b.text)
	b.sealed = sealed
	if err != nil {
		return nil, false
	}
	plain, ok := f.open(b.plain[:0], sealed)
	if ok {
		b.plain = plain
	}
	return plain, ok
}

// save seals plain and sets the cookie.
func (f *floorSite) save(w http.ResponseWriter, b *floorBuffers, plain []byte) {
	b.sealed = f.seal(b.sealed[:0], plain)
	b.text = append(b.text[:0], floorName...)
	b.text = base64.RawURLEncoding.AppendEncode(b.text, b.sealed)
	b.text = append(b.text, floorAttrs...)
	w.Header()["Set-Cookie"] = []string{string(b.text)}
}

// cookieValue returns the text after nameIs ("s=") in the request's cookies.
func cookieValue(r *http.Request, nameIs string) string {
	for _, line := range r.Header["Cookie"] {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			if value, ok := strings.CutPrefix(strings.TrimLeft(pair, " "), nameIs); ok {
				return value
			}
		}
	}
	return ""
}
