package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(&out, 0.0005, 50*time.Millisecond))
	require.Contains(t, out.String(), "500 revoked users and 50 later sessions")
	require.Equal(t, 2+1+12, strings.Count(out.String(), "\n"))
}
