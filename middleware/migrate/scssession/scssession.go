// Package scssession imports the sessions that alexedwards/scs keeps in a
// store:
//
//	old, err := scssession.New(scssession.Config{Store: sessionManager.Store})
//	…
//	middleware.Config{Migration: middleware.Migration{
//		From:  []middleware.Importer{old},
//		Until: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC),
//	}}
//
// The package does not link scs: the interfaces here accept any of its stores
// and codecs. Register the same types with encoding/gob as before. The row is
// kept for concurrent requests until the visitor's browser has sent Carryon's
// session. Then it is deleted, or earlier by a logout.
//
// See docs/migrate.md for the steps, and for a rollback.
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

// The defaults of a [Config], which equal those of scs.New().
const (
	DefaultName     = "session"
	DefaultLifetime = 24 * time.Hour
)

// maxToken is far longer than the tokens of scs, which have 43 characters.
const maxToken = 256

// Store is the part of scs.Store that this package uses. If the store also has
// FindCtx and DeleteCtx, like an scs.CtxStore, they are called instead.
type Store interface {
	Find(token string) (b []byte, found bool, err error)
	Delete(token string) error
}

// Codec is the part of scs.Codec that this package uses.
type Codec interface {
	Decode(b []byte) (deadline time.Time, values map[string]any, err error)
}

// Config describes the sessions of the other library.
type Config struct {
	// Store is that of the SessionManager. Required.
	Store Store

	// Codec is that of the SessionManager; nil means its default, gob.
	Codec Codec

	// Name, Path and Domain are those of SessionManager.Cookie; "" means
	// "session", "/" and the current host.
	Name, Path, Domain string

	// Lifetime is that of the SessionManager; 0 means the same default, 24 h.
	// It determines when a session began, so that all replicas import the same
	// time.
	Lifetime time.Duration

	// HashTokenInStore is that of the SessionManager.
	HashTokenInStore bool

	// Convert converts the session's values to Carryon's; nil leaves them
	// unchanged.
	Convert func(values map[string]any) (map[string]any, error)
}

type importer struct{ Config }

// New validates the configuration and returns an importer.
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

// Import loads the session of a token. The store contains only tokens that scs
// generated.
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

// key returns the store's key for the session of a token.
func (i importer) key(token string) string {
	if !i.HashTokenInStore {
		return token
	}
	hash := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(hash[:])
}

// gobCodec reads the output of scs.GobCodec: a struct with these two fields.
type gobCodec struct{}

func (gobCodec) Decode(b []byte) (time.Time, map[string]any, error) {
	var row struct {
		Deadline time.Time
		Values   map[string]any
	}
	err := gob.NewDecoder(bytes.NewReader(b)).Decode(&row)
	return row.Deadline, row.Values, err
}
