package session_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/session"
)

// The page for operators has every word.
func TestReasonsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/refusals.md")
	require.NoError(t, err)
	for _, reason := range session.Reasons() {
		require.Contains(t, string(page), "`"+string(reason)+"`")
	}
}
