package bench

import (
	"net/http"
	"time"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

const (
	userKey  session.Key[User]   = "user"
	csrfKey  session.Key[string] = "csrf"
	prefsKey session.Key[Prefs]  = "prefs"
	cartKey  session.Key[[]Item] = "cart"
)

// buildCarryon keeps the session through Carryon's public API and with its
// defaults, a typed key per part.
func buildCarryon(d Data) (*Site, error) {
	ring, err := keyring.Generate(time.Now())
	if err != nil {
		return nil, err
	}
	sessions, err := middleware.New(middleware.Config{Keys: ring})
	if err != nil {
		return nil, err
	}
	with := func(serve func(http.ResponseWriter, *session.Session)) http.Handler {
		return sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			serve(w, session.From(r.Context()))
		}))
	}
	return &Site{
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
	}, nil
}
