package stores

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
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

// listed is two replicas that list sessions, and the browsers that log in there.
type listed struct {
	t        *testing.T
	replicas [2]*middleware.Sessions
	servers  [2]*httptest.Server
	browsers []*http.Client
}

func newListed(t *testing.T, store fallback.Store, browsers int) *listed {
	keys, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	l := &listed{t: t}
	for i := range l.replicas {
		l.replicas[i], err = middleware.New(middleware.Config{Keys: keys, Fallback: middleware.Fallback{Store: store, List: true,
			RevocationMaxAge: -1, Timeout: patience}})
		require.NoError(t, err)
		l.servers[i] = httptest.NewServer(l.replicas[i].Handler(http.HandlerFunc(signIn)))
		t.Cleanup(l.servers[i].Close)
	}
	for i := range browsers {
		l.browsers = append(l.browsers, &http.Client{Jar: &sessiontest.Jar{URL: l.servers[i%2].URL}})
	}
	return l
}

// visit sends a request of the i-th browser to its replica.
func (l *listed) visit(i int, query string) error {
	r, err := l.browsers[i].Get(l.servers[i%2].URL + "/?" + query)
	if err != nil {
		return err
	}
	if r.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", r.StatusCode)
	}
	return errors.Join(err, r.Body.Close())
}

// ids returns the ids of ada's sessions at the i-th replica, by their labels.
func (l *listed) ids(i int) map[string]string {
	list, err := l.replicas[i].List(l.t.Context(), "ada")
	require.NoError(l.t, err)
	ids := map[string]string{}
	for _, one := range list {
		ids[one.Label] = one.ID
	}
	return ids
}

func listsSessions(t *testing.T, store fallback.Store) {
	const logins = 10
	l := newListed(t, store, logins)
	failed := make([]error, logins)
	var want []string
	var wg sync.WaitGroup
	for i := range logins {
		want = append(want, fmt.Sprintf("device %d", i))
		wg.Go(func() { failed[i] = l.visit(i, fmt.Sprintf("label=device+%d", i)) })
	}
	wg.Wait()
	require.NoError(t, errors.Join(failed...))
	ids := l.ids(1)
	require.Equal(t, want, slices.Sorted(maps.Keys(ids)))

	require.NoError(t, l.replicas[1].Revoke(t.Context(), ids["device 0"]))
	require.NoError(t, l.visit(1, "out=1"))
	for i := range l.replicas {
		require.Equal(t, want[2:], slices.Sorted(maps.Keys(l.ids(i))))
	}
}
