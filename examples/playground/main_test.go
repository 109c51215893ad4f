package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/examples/internal/playground"
)

func TestUnknownPlatformIsNamed(t *testing.T) {
	err := run(t.Context(), options{Options: playground.Options{Limits: "moon"}})
	require.ErrorContains(t, err, `"moon"`)
	require.ErrorContains(t, err, "apigateway, ")
}
