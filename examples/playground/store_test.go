package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
)

// checked is a store whose Check returns an error.
type checked struct {
	fallback.Store
	err error
}

func (c checked) Check(context.Context) error { return c.err }

func TestFindingsAreLogged(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	checkStore(t.Context(), log, "redis", checked{})
	checkStore(t.Context(), log, "redis", nil)
	require.Empty(t, out.String())
	checkStore(t.Context(), log, "redis", checked{err: fallback.NewCheckError("Redis 7", []fallback.Finding{
		{Setting: "maxmemory_policy", Value: "volatile-lru", Effect: "logouts are dropped", Fix: "set it to noeviction"},
		{Setting: "aof_enabled", Value: "0", Effect: "a restart loses logouts", Fix: "set appendonly to yes"}})})
	require.Contains(t, out.String(), `msg="-store redis: maxmemory_policy is volatile-lru: logouts are dropped; set it to noeviction" engine="Redis 7"`)
	require.Contains(t, out.String(), "aof_enabled is 0")
	out.Reset()
	checkStore(t.Context(), log, "redis", checked{err: errors.New("NOPERM")})
	require.Contains(t, out.String(), `msg="-store redis: its settings cannot be checked" error=NOPERM`)
}

func TestStoresAreChecked(t *testing.T) {
	for _, address := range []string{"memory:", "sqlite:" + t.TempDir() + "/sessions.db"} {
		store, done, err := openStore(t.Context(), address)
		require.NoError(t, err)
		require.Implements(t, (*fallback.Checker)(nil), store)
		require.NoError(t, store.(fallback.Checker).Check(t.Context()))
		require.NoError(t, done())
	}
}
