package main

import (
	"crypto/rand"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
)

func TestOpensDynamoDB(t *testing.T) {
	engine := os.Getenv("CARRYON_TEST_DYNAMODB")
	if engine == "" {
		const what = "CARRYON_TEST_DYNAMODB is not set"
		if os.Getenv("CI") == "true" {
			t.Fatal(what + "; it is required in CI")
		}
		t.Skip(what)
	}
	address := "dynamodb://carryon_test." + rand.Text()[:12] + "?region=eu-central-1&endpoint=" + url.QueryEscape(engine)
	rec := fallback.Record{Revision: fallback.Revision{}.Next(), Data: []byte("sealed"), Expires: time.Now().Add(time.Hour)}
	for i := range 2 { // the second one finds the table of the first
		store, done, err := openStore(t.Context(), address)
		require.NoError(t, err)
		if i == 0 {
			require.NoError(t, store.Save(t.Context(), "id", fallback.Revision{}, rec))
		}
		got, err := store.Load(t.Context(), "id")
		require.NoError(t, err)
		require.Equal(t, rec.Revision, got.Revision)
		require.NoError(t, done())
	}
	require.Equal(t, "dynamodb", storeName(address))
}

func TestRefusesWrongDynamoDB(t *testing.T) {
	for _, address := range []string{"dynamodb://key:secret@table", "dynamodb://table/more", "dynamodb://table?%zz", "dynamodb://a b",
		"dynamodb://x?endpoint=http://127.0.0.1:1"} {
		_, _, err := openStore(t.Context(), address)
		require.Error(t, err, address)
		require.NotContains(t, err.Error(), "secret")
	}
}
