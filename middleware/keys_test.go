package middleware_test

import (
	"context"

	"github.com/carryon-go/carryon/keyring"
)

// emptyRing is a provider that never had a ring.
type emptyRing struct{}

func (emptyRing) Ring(context.Context) *keyring.Ring { return nil }
