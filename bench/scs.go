package bench

import (
	"net/http"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
)

// buildSCS stores the session as the README of scs shows: LoadAndSave around
// the handlers, and a Put per key. The data stay in the server's memory; the
// cookie is a token. The store's cleanup goroutine is off.
func buildSCS(d Data) (*Site, error) {
	registerGob()
	sm := scs.New()
	sm.Store = memstore.NewWithCleanupInterval(0)
	with := func(serve func(http.ResponseWriter, *http.Request)) http.Handler {
		return sm.LoadAndSave(http.HandlerFunc(serve))
	}
	return &Site{
		Stored: true,
		Login: with(func(_ http.ResponseWriter, r *http.Request) {
			setAll(d, func(key string, value any) { sm.Put(r.Context(), key, value) })
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
			dump(w, gobValues{}.data(func(key string) any { return sm.Get(r.Context(), key) }))
		}),
	}, nil
}
