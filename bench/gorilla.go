package bench

import (
	"encoding/gob"
	"net/http"

	"github.com/gorilla/sessions"
)

// buildGorilla keeps the session as gorilla/sessions' README does: a cookie
// store with a hash and a block key, a value per key, gob.
func buildGorilla(d Data) (*Site, error) {
	registerGob()
	store := sessions.NewCookieStore(randomBytes(32), randomBytes(32))
	with := func(serve func(http.ResponseWriter, *http.Request, *sessions.Session)) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s, _ := store.Get(r, "session") // a cookie that does not open: a new session
			serve(w, r, s)
		})
	}
	return &Site{
		Login: with(func(w http.ResponseWriter, r *http.Request, s *sessions.Session) {
			s.Values["user"], s.Values["csrf"] = d.User, d.CSRF
			s.Values["prefs"], s.Values["cart"] = d.Prefs, d.Cart
			refuse(w, s.Save(r, w))
		}),
		Untouched: untouched, // it has no middleware
		Read: with(func(w http.ResponseWriter, _ *http.Request, s *sessions.Session) {
			if user, ok := s.Values["user"].(User); ok {
				page(w, user.Name)
			}
		}),
		Change: with(func(w http.ResponseWriter, r *http.Request, s *sessions.Session) {
			next := nextToken()
			s.Values["csrf"] = next
			refuse(w, s.Save(r, w))
			page(w, next)
		}),
		Dump: with(func(w http.ResponseWriter, _ *http.Request, s *sessions.Session) {
			var d Data
			d.User, _ = s.Values["user"].(User)
			d.CSRF, _ = s.Values["csrf"].(string)
			d.Prefs, _ = s.Values["prefs"].(Prefs)
			d.Cart, _ = s.Values["cart"].([]Item)
			dump(w, d)
		}),
	}, nil
}

// registerGob names the types that travel as interface values, as users of both
// gob libraries must. Doing so again is allowed.
func registerGob() {
	gob.Register(User{})
	gob.Register(Prefs{})
	gob.Register([]Item{})
}
