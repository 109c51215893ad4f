package fallback_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
)

func TestCheckErrorNamesEverySetting(t *testing.T) {
	require.NoError(t, fallback.NewCheckError("Redis 7", nil))
	err := fallback.NewCheckError("Redis 7", []fallback.Finding{
		{Setting: "maxmemory_policy", Value: "allkeys-lru", Effect: "logouts are dropped", Fix: "set noeviction"},
		{Setting: "aof_enabled", Value: "0", Effect: "a restart loses writes", Fix: "set appendonly yes"},
	})
	require.EqualError(t, err, "fallback: Redis 7: maxmemory_policy is allkeys-lru: logouts are dropped; set noeviction\n"+
		"fallback: Redis 7: aof_enabled is 0: a restart loses writes; set appendonly yes")
	var check *fallback.CheckError
	require.ErrorAs(t, err, &check)
	require.Len(t, check.Findings, 2)
}

func TestMemoryHasNothingToCheck(t *testing.T) {
	var store fallback.Checker = newMemory(t, fallback.MemoryConfig{})
	require.NoError(t, store.Check(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, store.Check(ctx), context.Canceled)
}

func TestAttemptsAreReported(t *testing.T) {
	fallback.ReportAttempt(t.Context(), errors.New("no listener"))
	var seen []error
	want := errors.New("a deadlock")
	ctx := fallback.WithAttempts(t.Context(), func(err error) { seen = append(seen, err) })
	fallback.ReportAttempt(ctx, want)
	require.Equal(t, []error{want}, seen)
}
