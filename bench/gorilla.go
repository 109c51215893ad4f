package bench

import (
	"encoding/gob"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
)

// buildGorilla stores the session as the README of gorilla/sessions shows: a
// cookie store with a hash key and a block key, a value per key, gob.
func buildGorilla(d Data) (*Site, error) {
	registerGob()
	return gorillaSite(d, newGorillaStore(), gobValues{}), nil
}

// buildGorillaJSON is buildGorilla with JSON instead of gob: handlers get a map
// as encoding/json decodes it.
func buildGorillaJSON(d Data) (*Site, error) {
	store := newGorillaStore()
	for _, c := range store.Codecs {
		c.(*securecookie.SecureCookie).SetSerializer(jsonSerializer{})
	}
	return gorillaSite(d, store, jsonValues{}), nil
}

func newGorillaStore() *sessions.CookieStore {
	return sessions.NewCookieStore(randomBytes(32), randomBytes(32))
}

// values reads the parts of the session from a library's values.
type values interface {
	userName(user any) (string, bool)
	data(get func(key string) any) Data
}

func gorillaSite(d Data, store sessions.Store, kind values) *Site {
	with := func(serve func(http.ResponseWriter, *http.Request, *sessions.Session)) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s, _ := store.Get(r, "session") // an invalid cookie yields a new session
			serve(w, r, s)
		})
	}
	return &Site{
		Login: with(func(w http.ResponseWriter, r *http.Request, s *sessions.Session) {
			setAll(d, func(key string, value any) { s.Values[key] = value })
			refuse(w, s.Save(r, w))
		}),
		Untouched: untouched, // gorilla/sessions has no middleware
		Read: with(func(w http.ResponseWriter, _ *http.Request, s *sessions.Session) {
			if name, ok := kind.userName(s.Values["user"]); ok {
				page(w, name)
			}
		}),
		Change: with(func(w http.ResponseWriter, r *http.Request, s *sessions.Session) {
			next := nextToken()
			s.Values["csrf"] = next
			refuse(w, s.Save(r, w))
			page(w, next)
		}),
		Dump: with(func(w http.ResponseWriter, _ *http.Request, s *sessions.Session) {
			dump(w, kind.data(func(key string) any { return s.Values[key] }))
		}),
	}
}

// setAll sets each part of a session under its key.
func setAll(d Data, set func(key string, value any)) {
	set("user", d.User)
	set("csrf", d.CSRF)
	set("prefs", d.Prefs)
	set("cart", d.Cart)
}

// gobValues reads values of the types that were set.
type gobValues struct{}

func (gobValues) userName(user any) (string, bool) {
	u, ok := user.(User)
	return u.Name, ok
}

func (gobValues) data(get func(string) any) (d Data) {
	d.User, _ = get("user").(User)
	d.CSRF, _ = get("csrf").(string)
	d.Prefs, _ = get("prefs").(Prefs)
	d.Cart, _ = get("cart").([]Item)
	return d
}

// registerGob registers the types of interface values, as users of libraries
// with gob must. It may be called repeatedly.
func registerGob() {
	gob.Register(User{})
	gob.Register(Prefs{})
	gob.Register([]Item{})
}

// jsonValues reads maps, slices and strings.
type jsonValues struct{}

func (jsonValues) userName(user any) (string, bool) {
	u, _ := user.(map[string]any)
	name, ok := u["name"].(string)
	return name, ok
}

func (jsonValues) data(get func(string) any) (d Data) {
	all := map[string]any{}
	for _, key := range []string{"user", "csrf", "prefs", "cart"} {
		if v := get(key); v != nil {
			all[key] = v
		}
	}
	b, err := json.Marshal(all)
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	if err != nil {
		panic(err) // the values were decoded from JSON
	}
	return d
}

// jsonSerializer converts keys to strings, as users must: gorilla's values have
// keys of type any, which encoding/json rejects.
type jsonSerializer struct{}

func (jsonSerializer) Serialize(src any) ([]byte, error) {
	all := make(map[string]any)
	for key, value := range src.(map[any]any) {
		name, ok := key.(string)
		if !ok {
			return nil, fmt.Errorf("the key %v is not a string", key)
		}
		all[name] = value
	}
	return json.Marshal(all)
}

func (jsonSerializer) Deserialize(src []byte, dst any) error {
	all := make(map[string]any)
	if err := json.Unmarshal(src, &all); err != nil {
		return err
	}
	values := *dst.(*map[any]any)
	for name, value := range all {
		values[name] = value
	}
	return nil
}
