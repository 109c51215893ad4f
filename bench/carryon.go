package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/codec/securecookieformat"
	"github.com/carryon-go/carryon/codec/xchacha"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

const (
	userKey  session.Key[User]   = "user"
	csrfKey  session.Key[string] = "csrf"
	prefsKey session.Key[Prefs]  = "prefs"
	cartKey  session.Key[[]Item] = "cart"
	blobKey  session.Key[[]byte] = "all"
)

// carryons returns the contestants that use this library, one per format and
// mode.
func carryons() []Contestant {
	in := func(change func(*middleware.Config)) func(Data) (*Site, error) {
		return func(d Data) (*Site, error) { return buildCarryon(d, change) }
	}
	return []Contestant{
		{Name: "carryon", About: "Carryon's defaults, format 1; in as many cookies as needed", Build: in(nil)},
		{Name: "carryon-blob", About: "the same with the whole JSON as one value: every change writes all of it", Build: buildBlob},
		{Name: "carryon-cell", About: "the same after one change: a cell beside the head", Build: in(nil), Changes: 1},
		{Name: "carryon-xchacha", About: "format 2, XChaCha20-Poly1305", Build: buildFormat(xchacha.New())},
		{Name: "carryon-securecookie", About: "format 3, gorilla/securecookie", Build: buildFormat(securecookieformat.New())},
		{Name: "carryon-memory", About: "stored in fallback.Memory", Build: buildInMemory},
		{Name: "carryon-redis", About: "stored in Redis", Build: buildInRedis},
	}
}

// buildFormat builds a site whose active key has another format.
func buildFormat(f codec.Format) func(Data) (*Site, error) {
	return func(d Data) (*Site, error) {
		ring, err := keyring.GenerateFormat(time.Now(), f.Number())
		if err != nil {
			return nil, err
		}
		return buildCarryon(d, func(c *middleware.Config) { c.Keys, c.Formats = ring, []codec.Format{f} })
	}
}

// newSessions returns sessions with the library's defaults, modified by change.
// For sessions of 8 KB and more it raises the limits, which are too low for
// them on most platforms.
func newSessions(d Data, change func(*middleware.Config)) (*middleware.Sessions, middleware.Config, error) {
	ring, err := keyring.Generate(time.Now())
	if err != nil {
		return nil, middleware.Config{}, err
	}
	c := middleware.Config{Keys: ring, ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) { refuse(w, err) }}
	if jsonLen(d) >= 8000 {
		c.Limits = middleware.Limits{Cookies: 150, RequestBytes: 250_000, ResponseBytes: 250_000, SetCookieLines: 60}
	}
	if change != nil {
		change(&c)
	}
	m, err := middleware.New(c)
	return m, c, err
}

// buildCarryon stores the session with Carryon's public API, with a typed key
// for each part.
func buildCarryon(d Data, change func(*middleware.Config)) (*Site, error) {
	sessions, config, err := newSessions(d, change)
	if err != nil {
		return nil, err
	}
	with := sessionHandler(sessions)
	site := &Site{
		Login: with(func(_ http.ResponseWriter, s *session.Session) {
			userKey.Set(s, d.User)
			csrfKey.Set(s, d.CSRF)
			prefsKey.Set(s, d.Prefs)
			cartKey.Set(s, d.Cart)
		}),
		Untouched: sessions.Handler(untouched),
		Read: with(func(w http.ResponseWriter, s *session.Session) {
			if user, ok := userKey.Get(s); ok {
				page(w, user.Name)
			}
		}),
		Change: with(func(w http.ResponseWriter, s *session.Session) {
			next := nextToken()
			csrfKey.Set(s, next)
			page(w, next)
		}),
		Dump: with(func(w http.ResponseWriter, s *session.Session) {
			var d Data
			d.User, _ = userKey.Get(s)
			d.CSRF, _ = csrfKey.Get(s)
			d.Prefs, _ = prefsKey.Get(s)
			d.Cart, _ = cartKey.Get(s)
			dump(w, d)
		}),
		Stored: config.Fallback.Mode == middleware.AlwaysStored,
	}
	if !site.Stored {
		site.Seal, site.Open, err = sealAlone(d, config)
	}
	return site, err
}

func sessionHandler(all *middleware.Sessions) func(func(http.ResponseWriter, *session.Session)) http.Handler {
	return func(serve func(http.ResponseWriter, *session.Session)) http.Handler {
		return all.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			serve(w, session.From(r.Context()))
		}))
	}
}

// sealAlone returns functions that seal and open the session's JSON with
// package codec, including base64.
func sealAlone(d Data, config middleware.Config) (seal, open func(), err error) {
	formats, err := codec.NewFormats(config.Formats...)
	if err != nil {
		return nil, nil, err
	}
	plain, err := json.Marshal(d)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	ring, where := config.Keys.Ring(context.Background()), codec.Binding{Base: "__Host-session", Suffix: "k7m2qv5xyd"}
	text, err := formats.Seal(nil, ring.Active(now), where, plain)
	value, sealed, opened := string(text), []byte(nil), []byte(nil)
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	return func() {
			var err error
			sealed, err = formats.Seal(sealed[:0], ring.Active(now), where, plain)
			must(err)
		}, func() {
			var err error
			opened, _, err = formats.Open(opened[:0], ring, now, where, value)
			must(err)
		}, err
}

// buildBlob stores the session's JSON as one value, like the floors: a change
// writes nearly all of the session.
func buildBlob(d Data) (*Site, error) {
	sessions, _, err := newSessions(d, nil)
	if err != nil {
		return nil, err
	}
	first, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	csrfAt := bytes.Index(first, []byte(csrfStart)) + len(csrfStart)
	with := sessionHandler(sessions)
	return &Site{
		Login:     with(func(_ http.ResponseWriter, s *session.Session) { blobKey.Set(s, first) }),
		Untouched: sessions.Handler(untouched),
		Read: with(func(w http.ResponseWriter, s *session.Session) {
			if all, ok := blobKey.Get(s); ok {
				rest := all[len(jsonStart):]
				page(w, string(rest[:bytes.IndexByte(rest, '"')]))
			}
		}),
		Change: with(func(w http.ResponseWriter, s *session.Session) {
			if all, ok := blobKey.Get(s); ok {
				next := nextToken()
				copy(all[csrfAt:], next)
				blobKey.Set(s, all)
				page(w, next)
			}
		}),
		Dump: with(func(w http.ResponseWriter, s *session.Session) {
			all, _ := blobKey.Get(s)
			page(w, string(all))
		}),
	}, nil
}
