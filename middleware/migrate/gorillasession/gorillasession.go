// Package gorillasession takes over the sessions that a gorilla/sessions
// CookieStore left in visitors' browsers:
//
//	store := sessions.NewCookieStore(authKey, encryptKey) // as the program had it
//	old, err := gorillasession.New(gorillasession.Config{Name: "app", Codecs: store.Codecs})
//	…
//	middleware.Config{
//		Import:      []middleware.Importer{old},
//		ImportUntil: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC),
//	}
//
// The package links gorilla/securecookie, not gorilla/sessions; without that,
// securecookie.CodecsFromPairs(authKey, encryptKey) gives the codecs. What the
// program registered with encoding/gob, it must register as before.
//
// It reads what the seal of a codec vouches for and nothing else, be it of the
// default serializer, gob, or of securecookie.JSONEncoder. A session of a store
// that keeps only an id in the cookie (FilesystemStore, RedisStore) is not one.
//
// docs/migrate.md has the steps, and the way back.
package gorillasession

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gorilla/securecookie"

	"github.com/carryon-go/carryon/middleware"
)

// DefaultMaxAge is how long a CookieStore's sessions live unless it is told
// otherwise.
const DefaultMaxAge = 30 * 24 * time.Hour

// Config says how the other library kept its sessions.
type Config struct {
	// Name is the session's, as in store.Get(r, name); it is the cookie's as well.
	// Required.
	Name string

	// Codecs are the store's; the first that opens a cookie counts. Required.
	Codecs []securecookie.Codec

	// MaxAge is the store's Options.MaxAge; 0 means 30 days, as there. The
	// session ends this long after the other library last wrote it. The codecs
	// refuse what is older than their own MaxAge in any case.
	MaxAge time.Duration

	// Path and Domain are the store's Options; "" means "/" and this host.
	Path, Domain string

	// Convert makes Carryon's values of the session's. Nil takes those whose keys
	// are strings, as they are, and refuses a session that has others.
	Convert func(values map[any]any) (map[string]any, error)
}

type importer struct{ Config }

// New checks the configuration.
func New(c Config) (middleware.Importer, error) {
	switch {
	case c.Name == "":
		return nil, errors.New("gorillasession: Config.Name is empty; give it the session's name")
	case len(c.Codecs) == 0:
		return nil, errors.New("gorillasession: Config.Codecs is empty; give it the store's, or securecookie.CodecsFromPairs of its keys")
	case c.MaxAge < 0:
		return nil, errors.New("gorillasession: Config.MaxAge is negative; give it the store's Options.MaxAge as a time.Duration")
	}
	if c.MaxAge == 0 {
		c.MaxAge = DefaultMaxAge
	}
	if c.Path == "" {
		c.Path = "/"
	}
	if c.Convert == nil {
		c.Convert = strings
	}
	return importer{c}, nil
}

func (i importer) Cookie() http.Cookie {
	return http.Cookie{Name: i.Name, Path: i.Path, Domain: i.Domain, HttpOnly: true}
}

// Import opens the cookie. The codecs check its seal before they decode it.
func (i importer) Import(_ context.Context, value string) (*middleware.Imported, error) {
	values, ok := i.decode(value)
	if !ok {
		return nil, nil
	}
	written, ok := stamp(value)
	if !ok {
		return nil, nil
	}
	converted, err := i.Convert(values)
	if err != nil {
		return nil, fmt.Errorf("gorillasession: %w: %w", middleware.ErrCannotImport, err)
	}
	return &middleware.Imported{Values: converted, Created: written, Expires: written.Add(i.MaxAge)}, nil
}

// Forget does nothing: the session was in the cookie alone.
func (importer) Forget(context.Context, string) error { return nil }

func (i importer) decode(value string) (map[any]any, bool) {
	var values map[any]any // of gob
	if securecookie.DecodeMulti(i.Name, value, &values, i.Codecs...) == nil && values != nil {
		return values, true
	}
	var named map[string]any // of JSON
	if securecookie.DecodeMulti(i.Name, value, &named, i.Codecs...) != nil || named == nil {
		return nil, false
	}
	values = make(map[any]any, len(named))
	for name, v := range named {
		values[name] = v
	}
	return values, true
}

// stamp is when the cookie was sealed: base64url(seconds "|" …), which the seal
// covers.
func stamp(value string) (time.Time, bool) {
	sealed, err := base64.URLEncoding.DecodeString(value)
	if err != nil {
		return time.Time{}, false
	}
	seconds, _, ok := bytes.Cut(sealed, []byte("|"))
	if !ok {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(string(seconds), 10, 64)
	return time.Unix(n, 0), err == nil
}

func strings(values map[any]any) (map[string]any, error) {
	out := make(map[string]any, len(values))
	for key, v := range values {
		name, ok := key.(string)
		if !ok {
			return nil, fmt.Errorf("a key is a %T and not a string; give Config.Convert a function that names it", key)
		}
		out[name] = v
	}
	return out, nil
}
