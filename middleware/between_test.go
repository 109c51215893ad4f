package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// Between two requests the library has no goroutine, timer or open file, so that a
// platform may freeze the process for any time.
func TestNothingRunsBetweenRequests(t *testing.T) {
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	text, err := ring.Marshal()
	require.NoError(t, err)
	t.Setenv("CARRYON_KEYS", string(text))

	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	keys, err := keyring.Open(t.Context(), keyring.Env("CARRYON_KEYS"))
	require.NoError(t, err)
	store, err := fallback.NewMemory(fallback.MemoryConfig{})
	require.NoError(t, err)
	for _, config := range []middleware.Config{{Keys: keys}, {Keys: keys, Fallback: middleware.Fallback{Store: store, Mode: middleware.AlwaysStored}}} {
		sessions, err := middleware.New(config)
		require.NoError(t, err)
		h := sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			session.Key[string]("user").Set(session.From(r.Context()), "ada")
		}))
		for range 50 {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
			require.NotEmpty(t, w.Header()["Set-Cookie"])
		}
	}
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+1 && openFiles(t) <= files },
		time.Minute, 10*time.Millisecond, "Eventually runs the condition in one more goroutine")
}

// openFiles returns the number of the process's open files, or 0 if the system
// does not list them.
func openFiles(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if os.IsNotExist(err) {
		return 0
	}
	require.NoError(t, err)
	return len(entries)
}
