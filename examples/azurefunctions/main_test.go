package main

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/examples/awssecretsmanager/managertest"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/sessiontest"
)

func TestMain(m *testing.M) { managertest.Main(m, main) }

func TestVisitsAreCounted(t *testing.T) {
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	text, err := ring.Marshal()
	require.NoError(t, err)
	env := []string{"CARRYON_KEYS=" + string(text), "FUNCTIONS_CUSTOMHANDLER_PORT=0"}
	p := managertest.Start(t, env)
	jar := &sessiontest.Jar{URL: p.URL}
	client := http.Client{Jar: jar}
	for i, want := range []string{"visit 1\n", "visit 2\n", "visit 3\n"} {
		if i == 2 { // another instance
			p = managertest.Start(t, env)
		}
		response, err := client.Get(p.URL + "api/visits")
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, want, string(body))
	}
}

func TestHandlerWithoutKeysDoesNotStart(t *testing.T) {
	p := managertest.Start(t, nil)
	require.Empty(t, p.URL)
	require.Equal(t, 1, p.Stop())
	require.Contains(t, p.Log(), "CARRYON_KEYS is not set")
}
