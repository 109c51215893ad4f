// Package gorillasession imports the sessions that a gorilla/sessions
// CookieStore has stored in visitors' browsers:
//
//	store := sessions.NewCookieStore(authKey, encryptKey) // as the program had it
//	old, err := gorillasession.New(gorillasession.Config{Name: "app", Codecs: store.Codecs})
//	…
//	middleware.Config{Migration: middleware.Migration{
//		From:  []middleware.Importer{old},
//		Until: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC),
//	}}
//
// The package links gorilla/securecookie, but not gorilla/sessions. Without
// the latter, use securecookie.CodecsFromPairs(authKey, encryptKey). Register
// the same types with encoding/gob as before.
//
// The package reads only cookies that a codec authenticates, with the default
// serializer, gob, or with securecookie.JSONEncoder. It cannot read sessions
// of a store that keeps only an id in the cookie (FilesystemStore,
// RedisStore).
//
// See docs/migrate.md for the steps, and for a rollback.
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

// DefaultMaxAge is the default lifetime of a CookieStore's sessions.
const DefaultMaxAge = 30 * 24 * time.Hour

// Config describes the sessions of the other library.
type Config struct {
	// Name is the name of the session, as in store.Get(r, name), and of its
	// cookie. Required.
	Name string

	// Codecs are the codecs of the store. The first one that opens a cookie is
	// used. Required.
	Codecs []securecookie.Codec

	// MaxAge is the store's Options.MaxAge; 0 means the same default, 30 days.
	// A session ends this long after the other library last wrote it. The
	// codecs also enforce their own MaxAge.
	MaxAge time.Duration

	// Path and Domain are those of the store's Options; "" means "/" and the
	// current host.
	Path, Domain string

	// Convert converts the session's values to Carryon's. Nil accepts values
	// with string keys unchanged, and refuses a session with other keys.
	Convert func(values map[any]any) (map[string]any, error)
}

type importer struct{ Config }

// New validates the configuration and returns an importer.
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

// Import opens the cookie. The codecs authenticate it before they decode it.
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

// Forget does nothing, because the session was only in the cookie.
func (importer) Forget(context.Context, string) error { return nil }

func (i importer) decode(value string) (map[any]any, bool) {
	var values map[any]any // gob
	if securecookie.DecodeMulti(i.Name, value, &values, i.Codecs...) == nil && values != nil {
		return values, true
	}
	var named map[string]any // JSON
	if securecookie.DecodeMulti(i.Name, value, &named, i.Codecs...) != nil || named == nil {
		return nil, false
	}
	values = make(map[any]any, len(named))
	for name, v := range named {
		values[name] = v
	}
	return values, true
}

// stamp returns when the cookie was sealed: base64url(seconds "|" …). The
// signature covers it.
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
			return nil, fmt.Errorf("a key is a %T and not a string; set Config.Convert to a function that converts it", key)
		}
		out[name] = v
	}
	return out, nil
}
