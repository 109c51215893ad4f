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

func TestChoicesStandInTheOrderOfTheLibrarysValues(t *testing.T) {
	require.Equal(t, []string{"auto", "cookies", "stored"}, modes)
	require.Equal(t, "auto", modes[middleware.Auto])
	require.Equal(t, "cookies", modes[middleware.AlwaysCookies])
	require.Equal(t, "stored", modes[middleware.AlwaysStored])
	require.Equal(t, "refuse", outages[middleware.OutageRefuse])
	require.Equal(t, "absent", outages[middleware.OutageAbsent])
	require.Equal(t, "strict", outages[middleware.OutageStrict])
	require.Equal(t, "on", revocations[middleware.RevocationOn])
	require.Equal(t, "strict", revocations[middleware.RevocationStrict])
	require.Equal(t, "off", revocations[middleware.RevocationOff])
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
