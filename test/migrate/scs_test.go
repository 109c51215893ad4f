package migrate_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/migrate/scssession"
)

func config(from middleware.Importer) middleware.Config {
	return middleware.Config{Keys: keyring.Ephemeral(), Migration: middleware.Migration{From: []middleware.Importer{from}, Until: time.Now().Add(time.Hour)}}
}

// scsBefore is the program with scs.
type scsBefore struct{ m *scs.SessionManager }

func (b scsBefore) login(r *http.Request, user string) {
	_ = b.m.RenewToken(r.Context())
	b.m.Put(r.Context(), "user", user)
}
func (b scsBefore) set(r *http.Request, name, value string) { b.m.Put(r.Context(), name, value) }
func (b scsBefore) get(r *http.Request, name string) string { return b.m.GetString(r.Context(), name) }
func (b scsBefore) logout(r *http.Request)                  { _ = b.m.Destroy(r.Context()) }

func scsSite(t *testing.T, change func(*scs.SessionManager)) (*httptest.Server, *scs.SessionManager) {
	m := scs.New()
	m.Store = memstore.NewWithCleanupInterval(0) // without the cleanup goroutine
	change(m)
	return serve(t, m.LoadAndSave(routes(scsBefore{m}))), m
}

func scsImports(t *testing.T, c scssession.Config) middleware.Importer {
	t.Helper()
	i, err := scssession.New(c)
	require.NoError(t, err)
	return i
}

// jsonCodec is the codec in the documentation of scs.
type jsonCodec struct{}

type jsonRow struct {
	Deadline time.Time
	Values   map[string]any
}

func (jsonCodec) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	return json.Marshal(jsonRow{deadline, values})
}

func (jsonCodec) Decode(b []byte) (time.Time, map[string]any, error) {
	var row jsonRow
	err := json.Unmarshal(b, &row)
	return row.Deadline, row.Values, err
}

func TestSCSSessionsAreCarriedOver(t *testing.T) {
	for name, change := range map[string]func(*scs.SessionManager){
		"default":       func(*scs.SessionManager) {},
		"hashed tokens": func(m *scs.SessionManager) { m.HashTokenInStore = true },
		"JSON":          func(m *scs.SessionManager) { m.Codec = jsonCodec{} },
		"idle timeout":  func(m *scs.SessionManager) { m.IdleTimeout = time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			older, m := scsSite(t, change)
			c := scssession.Config{Store: m.Store, Codec: m.Codec, HashTokenInStore: m.HashTokenInStore}
			carriedOver(t, older, newer(t, ignore, scsImports(t, c)), "session")
			rows, err := m.Store.(scs.IterableStore).All()
			require.NoError(t, err)
			require.Empty(t, rows, "all rows must be deleted")
		})
	}
}

// An imported session keeps its deadline.
func TestSCSDeadline(t *testing.T) {
	older, m := scsSite(t, func(m *scs.SessionManager) { m.Lifetime = 3 * time.Hour })
	v := newVisitor(t, older)
	v.get(older, "/login?user=ada")
	rows, err := m.Store.(scs.IterableStore).All()
	require.NoError(t, err)
	for token, row := range rows {
		deadline, _, err := m.Codec.Decode(row)
		require.NoError(t, err)
		importer := scsImports(t, scssession.Config{Store: m.Store, Lifetime: 3 * time.Hour})
		got, err := importer.Import(context.Background(), token)
		require.NoError(t, err)
		require.Equal(t, deadline.UTC(), got.Expires.UTC())
		require.WithinDuration(t, time.Now(), got.Created, time.Minute)
	}
	require.Len(t, rows, 1)
}

// A brokenStore always fails.
type brokenStore struct{}

func (brokenStore) Find(string) ([]byte, bool, error) { return nil, false, errors.New("down") }
func (brokenStore) Delete(string) error               { return errors.New("down") }

func TestSCSStoreDownIsNotLoggedOut(t *testing.T) {
	older, m := scsSite(t, func(*scs.SessionManager) {})
	v := newVisitor(t, older)
	v.get(older, "/login?user=ada")
	status, _ := v.try(newer(t, ignore, scsImports(t, scssession.Config{Store: brokenStore{}})), "/get?name=user")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "ada", v.get(newer(t, ignore, scsImports(t, scssession.Config{Store: m.Store})), "/get?name=user"))
}

// A token that scs cannot have made is not sent to the store, which answers only
// errors in this test.
func TestSCSTokenThatIsTooLongIsNotAskedFor(t *testing.T) {
	from := scsImports(t, scssession.Config{Store: brokenStore{}})
	long := strings.Repeat("x", 257)
	got, err := from.Import(t.Context(), long)
	require.NoError(t, err)
	require.Nil(t, got)
	require.NoError(t, from.Forget(t.Context(), long))
	_, err = from.Import(t.Context(), long[:256])
	require.Error(t, err)
	require.Error(t, from.Forget(t.Context(), long[:256]))
}

// A row that the codec cannot decode yields no session, and is kept.
func TestSCSRowOfAnotherCodec(t *testing.T) {
	older, m := scsSite(t, func(m *scs.SessionManager) { m.Codec = jsonCodec{} })
	v := newVisitor(t, older)
	v.get(older, "/login?user=ada")
	require.Empty(t, v.get(newer(t, ignore, scsImports(t, scssession.Config{Store: m.Store})), "/get?name=user"))
	require.Equal(t, "ada", v.get(older, "/get?name=user"))
}

func TestSCSConfigIsChecked(t *testing.T) {
	for _, c := range []scssession.Config{{}, {Store: brokenStore{}, Lifetime: -1}} {
		_, err := scssession.New(c)
		require.Error(t, err)
	}
}
