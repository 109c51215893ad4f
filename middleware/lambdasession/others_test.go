package lambdasession_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware/lambdasession"
	"github.com/carryon-go/carryon/middleware/lambdasession/lambdatest"
)

func TestOthers(t *testing.T) {
	seen := ""
	f := lambdasession.Handler(http.NotFoundHandler(), lambdasession.Others(func(_ context.Context, event json.RawMessage) (any, error) {
		seen = string(event)
		return "done", nil
	}))
	out, err := f(t.Context(), json.RawMessage(`{"warmer":true}`))
	require.NoError(t, err)
	require.Equal(t, "done", out)
	require.Equal(t, `{"warmer":true}`, seen)

	seen = ""
	out, err = f(t.Context(), lambdatest.ALB.Event())
	require.NoError(t, err)
	require.NotEqual(t, "done", out)
	require.Empty(t, seen, "HTTP requests do not reach Others")
}
