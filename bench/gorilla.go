package bench

import (
	"encoding/gob"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
)

// buildGorilla keeps the session as gorilla/sessions' README does: a cookie
// store with a hash and a block key, a value per key, gob.
func buildGorilla(d Data) (*Site, error) {
	registerGob()
	return gorillaSite(d, newGorillaStore(), gobValues{}), nil
}

// buildGorillaJSON is the same with JSON in place of gob: what a handler gets is
// what encoding/json makes of a map.
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

// values reads the parts of the session out of what a library gives for a key.
type values interface {
	userName(user any) (string, bool)
	data(get func(key string) any) Data
}

func gorillaSite(d Data, store sessions.Store, kind values) *Site {
	with := func(serve func(http.ResponseWriter, *http.Request, *sessions.Session)) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s, _ := store.Get(r, "session") // a cookie that does not open: a new session
			serve(w, r, s)
		})
	}
	return &Site{
		Login: with(func(w http.ResponseWriter, r *http.Request, s *sessions.Session) {
			setAll(d, func(key string, value any) { s.Values[key] = value })
			refuse(w, s.Save(r, w))
		}),
		Untouched: untouched, // it has no middleware
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

// setAll sets the parts of a session, each under its key.
func setAll(d Data, set func(key string, value any)) {
	set("user", d.User)
	set("csrf", d.CSRF)
	set("prefs", d.Prefs)
	set("cart", d.Cart)
}

// gobValues have the types that were set.
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

// registerGob names the types that travel as interface values, as users of the
// libraries with gob must. Doing so again is allowed.
func registerGob() {
	gob.Register(User{})
	gob.Register(Prefs{})
	gob.Register([]Item{})
}

// jsonValues are maps, slices and strings.
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
		panic(err) // it was JSON before
	}
	return d
}

// jsonSerializer is what users write, for gorilla's values are keyed by any,
// which encoding/json refuses.
type jsonSerializer struct{}

func (jsonSerializer) Serialize(src any) ([]byte, error) {
	all := make(map[string]any)
	for key, value := range src.(map[any]any) {
		name, ok := key.(string)
		if !ok {
			return nil, fmt.Errorf("the key %v is no string", key)
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
