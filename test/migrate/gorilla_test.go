package migrate_test

import (
	"context"
	"encoding/gob"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/migrate/gorillasession"
	"github.com/carryon-go/carryon/session"
)

// before is the program with gorilla/sessions.
type before struct{ store *sessions.CookieStore }

func (b before) at(r *http.Request) *sessions.Session {
	s, _ := b.store.Get(r, "app")
	return s
}

func (b before) login(r *http.Request, user string)      { b.at(r).Values["user"] = user }
func (b before) set(r *http.Request, name, value string) { b.at(r).Values[name] = value }
func (b before) logout(r *http.Request)                  { b.at(r).Options.MaxAge = -1 }
func (b before) get(r *http.Request, name string) string {
	s, _ := b.at(r).Values[name].(string)
	return s
}

// saved calls Save before the body is written, as gorilla/sessions requires.
func (b before) saved(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		recorder := httptest.NewRecorder()
		h(recorder, r)
		_ = sessions.Save(r, w)
		_, _ = w.Write(recorder.Body.Bytes())
	}
}

func gorilla(t *testing.T, keys ...[]byte) (*httptest.Server, *sessions.CookieStore) {
	store := sessions.NewCookieStore(keys...)
	b := before{store}
	return serve(t, b.saved(routes(b))), store
}

func imports(t *testing.T, c gorillasession.Config) middleware.Importer {
	t.Helper()
	i, err := gorillasession.New(c)
	require.NoError(t, err)
	return i
}

var ignore = func(middleware.Event) {}

func TestGorillaSessionsAreCarriedOver(t *testing.T) {
	for name, keys := range map[string][][]byte{
		"signed":               {securecookie.GenerateRandomKey(32)},
		"signed and encrypted": {securecookie.GenerateRandomKey(64), securecookie.GenerateRandomKey(32)},
	} {
		t.Run(name, func(t *testing.T) {
			older, store := gorilla(t, keys...)
			carriedOver(t, older, newer(t, ignore, imports(t, gorillasession.Config{Name: "app", Codecs: store.Codecs})), "app")
		})
	}
}

// Cookies sealed with an old key pair still open, as they do with
// gorilla/sessions.
func TestGorillaKeysThatWereRotated(t *testing.T) {
	first, second := securecookie.GenerateRandomKey(32), securecookie.GenerateRandomKey(32)
	older, _ := gorilla(t, first)
	v := newVisitor(t, older)
	v.get(older, "/login?user=ada")
	codecs := securecookie.CodecsFromPairs(second, nil, first)
	site := newer(t, ignore, imports(t, gorillasession.Config{Name: "app", Codecs: codecs}))
	require.Equal(t, "ada", v.get(site, "/get?name=user"))
}

// Cookies do not open if the keys belong to another program, if the value was
// changed, or if the name is that of another session.
func TestGorillaCookiesAreAuthenticated(t *testing.T) {
	older, store := gorilla(t, securecookie.GenerateRandomKey(32))
	v := newVisitor(t, older)
	v.get(older, "/login?user=ada")
	response, err := v.client.Get(older.URL + "/set?name=a&value=b")
	require.NoError(t, err)
	response.Body.Close()
	value := response.Cookies()[0].Value

	good := imports(t, gorillasession.Config{Name: "app", Codecs: store.Codecs})
	got, err := good.Import(context.Background(), value)
	require.NoError(t, err)
	require.Equal(t, "ada", got.Values["user"])
	require.WithinDuration(t, time.Now(), got.Created, time.Minute)
	require.Equal(t, 30*24*time.Hour, got.Expires.Sub(got.Created))

	other := imports(t, gorillasession.Config{Name: "app", Codecs: securecookie.CodecsFromPairs(securecookie.GenerateRandomKey(32))})
	renamed := imports(t, gorillasession.Config{Name: "admin", Codecs: store.Codecs})
	for name, refused := range map[string]func() (*middleware.Imported, error){
		"other keys": func() (*middleware.Imported, error) { return other.Import(context.Background(), value) },
		"other name": func() (*middleware.Imported, error) { return renamed.Import(context.Background(), value) },
		"cut":        func() (*middleware.Imported, error) { return good.Import(context.Background(), value[:len(value)-4]) },
		"empty":      func() (*middleware.Imported, error) { return good.Import(context.Background(), "") },
		"huge": func() (*middleware.Imported, error) {
			return good.Import(context.Background(), strings.Repeat("A", 1<<20))
		},
	} {
		got, err := refused()
		require.NoError(t, err, name)
		require.Nil(t, got, name)
	}
	for at := 0; at < len(value); at += 7 {
		flipped := []byte(value)
		flipped[at] ^= 1
		if got, _ := good.Import(context.Background(), string(flipped)); got != nil {
			require.Equal(t, "ada", got.Values["user"], "unused bits at the end of the base64 text")
		}
	}
}

// Profile is a type that the old program registered with gob.
type Profile struct {
	Name  string
	Since time.Time
	Tags  []string
}

func init() { gob.Register(Profile{}) }

// A struct that gob encoded decodes to the same struct.
func TestGorillaValuesOfTheProgramsOwnTypes(t *testing.T) {
	want := Profile{Name: "Ada", Since: time.Date(1843, 7, 10, 0, 0, 0, 0, time.UTC), Tags: []string{"a", "b"}}
	store := sessions.NewCookieStore(securecookie.GenerateRandomKey(32))
	older := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, _ := store.Get(r, "app")
		s.Values["profile"], s.Values["visits"] = want, 7
		s.AddFlash("saved")
		_ = s.Save(r, w)
	}))
	v := newVisitor(t, older)
	v.get(older, "/")
	importer := imports(t, gorillasession.Config{Name: "app", Codecs: store.Codecs})
	sessions, err := middleware.New(config(importer))
	require.NoError(t, err)
	site := serve(t, sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		profile, _ := session.Key[Profile]("profile").Get(s)
		visits, _ := session.Key[int]("visits").Get(s)
		flashes, _ := session.Key[[]string]("_flash").Pop(s)
		require.Equal(t, want, profile)
		require.Equal(t, 7, visits)
		require.Equal(t, []string{"saved"}, flashes)
	})))
	v.get(site, "/")
}

type key int

// Keys that are not strings need a name.
func TestGorillaKeysThatAreNoStrings(t *testing.T) {
	gob.Register(key(0))
	store := sessions.NewCookieStore(securecookie.GenerateRandomKey(32))
	older := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, _ := store.Get(r, "app")
		s.Values[key(1)] = "ada"
		_ = s.Save(r, w)
	}))
	v := newVisitor(t, older)
	v.get(older, "/")
	var refused []middleware.Event
	plain := gorillasession.Config{Name: "app", Codecs: store.Codecs}
	site := newer(t, func(e middleware.Event) {
		if e.Kind == middleware.EventRefused {
			refused = append(refused, e)
		}
	}, imports(t, plain))
	require.Empty(t, v.get(site, "/get?name=user"))
	require.Len(t, refused, 1)
	require.ErrorIs(t, refused[0].Err, middleware.ErrCannotImport)
	require.ErrorContains(t, refused[0].Err, "Config.Convert")

	plain.Convert = func(values map[any]any) (map[string]any, error) {
		return map[string]any{"user": values[key(1)]}, nil
	}
	require.Equal(t, "ada", v.get(newer(t, ignore, imports(t, plain)), "/get?name=user"))
}

// Programs can use securecookie with its JSON serializer.
func TestGorillaJSON(t *testing.T) {
	codec := securecookie.New(securecookie.GenerateRandomKey(32), nil).SetSerializer(securecookie.JSONEncoder{})
	older := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		value, err := codec.Encode("app", map[string]any{"user": "ada", "visits": 7})
		require.NoError(t, err)
		http.SetCookie(w, &http.Cookie{Name: "app", Value: value, Path: "/"})
	}))
	v := newVisitor(t, older)
	v.get(older, "/")
	site := newer(t, ignore, imports(t, gorillasession.Config{Name: "app", Codecs: []securecookie.Codec{codec}}))
	require.Equal(t, "ada", v.get(site, "/get?name=user"))
	require.Equal(t, "7", v.get(site, "/get?name=visits"))
}

func TestGorillaConfigIsChecked(t *testing.T) {
	for _, c := range []gorillasession.Config{{}, {Name: "app"}, {Name: "app", Codecs: securecookie.CodecsFromPairs(make([]byte, 32)), MaxAge: -1}} {
		_, err := gorillasession.New(c)
		require.Error(t, err)
	}
}
