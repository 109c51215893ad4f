package bench

import (
	"net/http"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
)

// buildSCS keeps the session as scs' README does: LoadAndSave around the
// handlers, a Put per key. The data stay in the server's memory; its cookie is
// a token. The store's cleaner, a goroutine that wakes once a minute, is off.
func buildSCS(d Data) (*Site, error) {
	registerGob()
	sm := scs.New()
	sm.Store = memstore.NewWithCleanupInterval(0)
	with := func(serve func(http.ResponseWriter, *http.Request)) http.Handler {
		return sm.LoadAndSave(http.HandlerFunc(serve))
	}
	return &Site{
		Login: with(func(_ http.ResponseWriter, r *http.Request) {
			sm.Put(r.Context(), "user", d.User)
			sm.Put(r.Context(), "csrf", d.CSRF)
			sm.Put(r.Context(), "prefs", d.Prefs)
			sm.Put(r.Context(), "cart", d.Cart)
		}),
		Untouched: sm.LoadAndSave(untouched),
		Read: with(func(w http.ResponseWriter, r *http.Request) {
			if user, ok := sm.Get(r.Context(), "user").(User); ok {
				page(w, user.Name)
			}
		}),
		Change: with(func(w http.ResponseWriter, r *http.Request) {
			next := nextToken()
			sm.Put(r.Context(), "csrf", next)
			page(w, next)
		}),
		Dump: with(func(w http.ResponseWriter, r *http.Request) {
			var d Data
			d.User, _ = sm.Get(r.Context(), "user").(User)
			d.CSRF = sm.GetString(r.Context(), "csrf")
			d.Prefs, _ = sm.Get(r.Context(), "prefs").(Prefs)
			d.Cart, _ = sm.Get(r.Context(), "cart").([]Item)
			dump(w, d)
		}),
	}, nil
}
