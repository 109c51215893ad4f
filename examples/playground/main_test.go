package main

import (
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/examples/internal/playground"
	"github.com/carryon-go/carryon/middleware"
)

func TestUnknownPlatformIsNamed(t *testing.T) {
	err := run(t.Context(), options{Options: playground.Options{Limits: "moon"}})
	require.ErrorContains(t, err, `"moon"`)
	require.ErrorContains(t, err, "apigateway, ")
}

func TestModesAreTakenByTheirNames(t *testing.T) {
	require.Equal(t, map[string]middleware.Mode{"auto": middleware.Auto,
		"cookies": middleware.AlwaysCookies, "stored": middleware.AlwaysStored}, modes)
	require.ErrorContains(t, run(t.Context(), options{mode: "somewhere"}), `must be one of auto, cookies and stored, not "somewhere"`)
}

// Browsers open connections in advance and may never use them.
func TestServerEndsBesideAnUnusedConnection(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, listener, http.NotFoundHandler()) }()
	unused, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	defer func() { _ = unused.Close() }()
	answer, err := http.Get("http://" + listener.Addr().String()) // the other connection has been accepted by then
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	end()
	require.NoError(t, <-ended)
}
