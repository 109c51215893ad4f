// Package vercel_test is outside of the folder api, because Vercel treats
// every Go file in it as a function.
package vercel_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	handler "github.com/carryon-go/carryon/examples/vercel/api"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/sessiontest"
)

func TestVisitsAreCounted(t *testing.T) {
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	text, err := ring.Marshal()
	require.NoError(t, err)
	t.Setenv("CARRYON_KEYS", string(text))
	server := httptest.NewServer(http.HandlerFunc(handler.Handler))
	defer server.Close()
	client := http.Client{Jar: &sessiontest.Jar{URL: server.URL}}
	for _, want := range []string{"visit 1\n", "visit 2\n"} {
		response, err := client.Get(server.URL + "/api")
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, want, string(body))
	}
}
