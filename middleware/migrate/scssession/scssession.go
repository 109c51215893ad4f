// Package scssession takes over the sessions that alexedwards/scs kept in a
// store:
//
//	old, err := scssession.New(scssession.Config{Store: sessionManager.Store})
//	…
//	middleware.Config{
//		Import:      []middleware.Importer{old},
//		ImportUntil: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC),
//	}
//
// It links nothing of scs: any of its stores, and its codecs, fit the interfaces
// here. What the program registered with encoding/gob, it must register as
// before. The row stays until the visitor's browser has shown that it has
// Carryon's session, so that requests in flight find it, and is deleted then, or
// with a logout.
//
// docs/migrate.md has the steps, and the way back.
package scssession

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/gob"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/carryon-go/carryon/middleware"
)

// The defaults of a [Config], which are those of scs.New().
const (
	DefaultName     = "session"
	DefaultLifetime = 24 * time.Hour
)

// maxToken is far longer than the tokens of scs, which have 43 characters.
const maxToken = 256

// Store is what is used of an scs.Store. Where the store also has FindCtx and
// DeleteCtx, as an scs.CtxStore does, these are called.
type Store interface {
	Find(token string) (b []byte, found bool, err error)
	Delete(token string) error
}

// Codec is what is used of an scs.Codec.
type Codec interface {
	Decode(b []byte) (deadline time.Time, values map[string]any, err error)
}

// Config says how the other library kept its sessions.
type Config struct {
	// Store is the SessionManager's. Required.
	Store Store

	// Codec is the SessionManager's; nil means its default, gob.
	Codec Codec

	// Name, Path and Domain are those of SessionManager.Cookie; "" means
	// "session", "/" and this host.
	Name, Path, Domain string

	// Lifetime is the SessionManager's; 0 means 24 h, as there. It tells when a
	// session began, so that all who import it agree.
	Lifetime time.Duration

	// HashTokenInStore is the SessionManager's.
	HashTokenInStore bool

	// Convert makes Carryon's values of the session's; nil takes them as they are.
	Convert func(values map[string]any) (map[string]any, error)
}

type importer struct{ Config }

// New checks the configuration.
func New(c Config) (middleware.Importer, error) {
	if c.Store == nil {
		return nil, errors.New("scssession: Config.Store is nil; give it the SessionManager's")
	}
	if c.Lifetime < 0 {
		return nil, errors.New("scssession: Config.Lifetime is negative; give it the SessionManager's")
	}
	c.Name, c.Path = cmp.Or(c.Name, DefaultName), cmp.Or(c.Path, "/")
	c.Lifetime = cmp.Or(c.Lifetime, DefaultLifetime)
	if c.Codec == nil {
		c.Codec = gobCodec{}
	}
	if c.Convert == nil {
		c.Convert = func(values map[string]any) (map[string]any, error) { return values, nil }
	}
	return importer{c}, nil
}

func (i importer) Cookie() http.Cookie {
	return http.Cookie{Name: i.Name, Path: i.Path, Domain: i.Domain, HttpOnly: true}
}

// Import loads the session of a token. The store knows only tokens that scs drew.
func (i importer) Import(ctx context.Context, token string) (*middleware.Imported, error) {
	if len(token) > maxToken {
		return nil, nil
	}
	b, found, err := i.find(ctx, i.key(token))
	if err != nil {
		return nil, fmt.Errorf("scssession: the store does not answer: %w", err)
	}
	if !found {
		return nil, nil
	}
	deadline, values, err := i.Codec.Decode(b)
	if err != nil {
		return nil, fmt.Errorf("scssession: %w: its codec cannot decode it", middleware.ErrCannotImport)
	}
	values, err = i.Convert(values)
	if err != nil {
		return nil, fmt.Errorf("scssession: %w: %w", middleware.ErrCannotImport, err)
	}
	return &middleware.Imported{Values: values, Created: deadline.Add(-i.Lifetime), Expires: deadline}, nil
}

// Forget deletes the row.
func (i importer) Forget(ctx context.Context, token string) error {
	if len(token) > maxToken {
		return nil
	}
	if s, ok := i.Store.(interface {
		DeleteCtx(ctx context.Context, token string) error
	}); ok {
		return s.DeleteCtx(ctx, i.key(token))
	}
	return i.Store.Delete(i.key(token))
}

func (i importer) find(ctx context.Context, key string) ([]byte, bool, error) {
	if s, ok := i.Store.(interface {
		FindCtx(ctx context.Context, token string) (b []byte, found bool, err error)
	}); ok {
		return s.FindCtx(ctx, key)
	}
	return i.Store.Find(key)
}

// key is what the store keeps a token's session under.
func (i importer) key(token string) string {
	if !i.HashTokenInStore {
		return token
	}
	hash := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(hash[:])
}

// gobCodec reads what scs.GobCodec writes: a struct of these two fields.
type gobCodec struct{}

func (gobCodec) Decode(b []byte) (time.Time, map[string]any, error) {
	var row struct {
		Deadline time.Time
		Values   map[string]any
	}
	err := gob.NewDecoder(bytes.NewReader(b)).Decode(&row)
	return row.Deadline, row.Values, err
}
