package bench

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/sessions"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// parallelWriters is the number of concurrent requests of browsers over
// HTTP/1.1.
const (
	parallelWriters = 6
	parallelRounds  = 50
)

// TestParallelWrites sends six concurrent requests of one visitor that each set
// another key, and counts which writes with status 200 are stored afterwards.
// Both libraries store the session in cookies, with their defaults, behind the
// same server, with the jar of net/http/cookiejar.
//
//	go test -run ParallelWrites -v ./bench
func TestParallelWrites(t *testing.T) {
	for _, c := range []struct {
		name string
		site http.Handler
	}{{"carryon", parallelCarryon(t)}, {"gorilla", parallelGorilla()}} {
		acknowledged, lost := parallelScore(t, c.site)
		t.Logf("%s: %d rounds of %d writers: %d writes acknowledged, %d of them lost",
			c.name, parallelRounds, parallelWriters, acknowledged, lost)
		require.Equal(t, parallelRounds*parallelWriters, acknowledged, c.name)
		if c.name == "carryon" {
			require.Zero(t, lost)
		}
	}
}

// parallelScore counts over all rounds. Each round has a new visitor.
func parallelScore(t *testing.T, site http.Handler) (acknowledged, lost int) {
	server := httptest.NewTLSServer(site) // without TLS the jar sends no Secure cookies
	defer server.Close()
	for range parallelRounds {
		client := server.Client()
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		client.Jar = jar
		require.Equal(t, 200, status(t, client, server.URL+"/set?name=login"))
		there, done := parallelRound(t, client, server.URL)
		acknowledged += done
		lost += done - there
	}
	return acknowledged, lost
}

// parallelRound returns the number of acknowledged writes, and how many of them
// are stored.
func parallelRound(t *testing.T, client *http.Client, url string) (there, done int) {
	var all sync.WaitGroup
	statuses := make([]int, parallelWriters)
	for i := range statuses {
		all.Go(func() { statuses[i] = status(t, client, fmt.Sprintf("%s/set?name=key%d", url, i)) })
	}
	all.Wait()
	for i, s := range statuses {
		if s != http.StatusOK {
			continue
		}
		done++
		if status(t, client, fmt.Sprintf("%s/has?name=key%d", url, i)) == http.StatusOK {
			there++
		}
	}
	return there, done
}

func status(t *testing.T, client *http.Client, address string) int {
	answer, err := client.Get(address)
	if err != nil {
		t.Error(err)
		return 0
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return answer.StatusCode
}

// work simulates the work between reading and writing the session.
func work() { time.Sleep(time.Duration(rand.IntN(4000)) * time.Microsecond) }

func found(w http.ResponseWriter, ok bool) {
	if !ok {
		w.WriteHeader(http.StatusNotFound)
	}
}

func parallelCarryon(t *testing.T) http.Handler {
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	all, err := middleware.New(middleware.Config{Keys: ring})
	require.NoError(t, err)
	return all.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, key := session.From(r.Context()), session.Key[string](r.FormValue("name"))
		value, ok := key.Get(s)
		if strings.HasPrefix(r.URL.Path, "/has") {
			found(w, ok && value == "written")
			return
		}
		work()
		key.Set(s, "written")
	}))
}

func parallelGorilla() http.Handler {
	store := sessions.NewCookieStore(randomBytes(32), randomBytes(32))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, _ := store.Get(r, "session") // an invalid cookie yields a new session
		key := r.FormValue("name")
		if strings.HasPrefix(r.URL.Path, "/has") {
			found(w, s.Values[key] == "written")
			return
		}
		work()
		s.Values[key] = "written"
		refuse(w, s.Save(r, w))
	})
}
