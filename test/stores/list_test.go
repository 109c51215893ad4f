package stores

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/redisstore"
	"github.com/carryon-go/carryon/fallback/sqlstore"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// On every engine, logins at once on two replicas are all listed, and one of them can
// be ended by another replica's list.
func TestListOfSessions(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		_, _, store, _ := e.migrated(t, sqlstore.Options{})
		listsSessions(t, store)
	})
	t.Run("Redis", func(t *testing.T) {
		client := connectRedis(t)
		prefix := "carryon-test:" + rand.Text()[:12] + ":"
		t.Cleanup(func() { clearRedis(t, prefix) })
		store, err := redisstore.New(client, redisstore.Options{Prefix: prefix})
		require.NoError(t, err)
		listsSessions(t, store)
	})
}

// signIn logs "ada" in with the label ?label=, or logs out with ?out=.
func signIn(_ http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	if r.FormValue("out") != "" {
		s.Destroy()
		return
	}
	s.Login("ada")
	session.Label.Set(s, r.FormValue("label"))
}

func listsSessions(t *testing.T, store fallback.Store) {
	keys, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	var replicas [2]*middleware.Sessions
	var servers [2]*httptest.Server
	for i := range replicas {
		replicas[i], err = middleware.New(middleware.Config{Keys: keys, Fallback: middleware.Fallback{Store: store, List: true,
			RevocationMaxAge: -1, Timeout: patience}})
		require.NoError(t, err)
		servers[i] = httptest.NewServer(replicas[i].Handler(http.HandlerFunc(signIn)))
		t.Cleanup(servers[i].Close)
	}
	const logins = 10
	browsers := make([]*http.Client, logins)
	visit := func(i int, query string) error {
		r, err := browsers[i].Get(servers[i%2].URL + "/?" + query)
		if err == nil {
			err = r.Body.Close()
		}
		if err == nil && r.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %d", r.StatusCode)
		}
		return err
	}
	failed := make([]error, logins)
	var wg sync.WaitGroup
	for i := range logins {
		browsers[i] = &http.Client{Jar: &sessiontest.Jar{URL: servers[i%2].URL}}
		wg.Go(func() { failed[i] = visit(i, fmt.Sprintf("label=device+%d", i)) })
	}
	wg.Wait()
	for _, err := range failed {
		require.NoError(t, err)
	}
	labels := func(m *middleware.Sessions) (all []string) {
		list, err := m.List(t.Context(), "ada")
		require.NoError(t, err)
		for _, l := range list {
			all = append(all, l.Label)
		}
		slices.Sort(all)
		return all
	}
	var want []string
	for i := range logins {
		want = append(want, fmt.Sprintf("device %d", i))
	}
	require.Equal(t, want, labels(replicas[0]))

	list, err := replicas[1].List(t.Context(), "ada")
	require.NoError(t, err)
	ended := slices.IndexFunc(list, func(l middleware.Listed) bool { return l.Label == "device 0" })
	require.NoError(t, replicas[1].Revoke(t.Context(), list[ended].ID))
	require.NoError(t, visit(1, "out=1"))
	for _, m := range replicas {
		require.Equal(t, want[2:], labels(m))
	}
}
