package middleware_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
)

// gcm is a format of the test's own: AES-256-GCM, with the header and the context
// authenticated. The tests do not import the library's other formats, because the
// dependencies of tests become dependencies of the module.
type gcm byte

func (f gcm) Number() byte  { return byte(f) }
func (f gcm) Overhead() int { return codec.HeaderSize + 12 + 16 }

func (f gcm) Sealer(derive func(string, int) []byte) (codec.Sealer, error) {
	block, err := aes.NewCipher(derive("encrypt", 32))
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return gcmSealer{aead}, err
}

type gcmSealer struct{ cipher.AEAD }

func (s gcmSealer) Seal(value, ctx, plaintext []byte) []byte {
	return s.AEAD.Seal(value, nil, plaintext, slices.Concat(value, ctx))
}

func (s gcmSealer) Open(dst, ctx, value []byte) ([]byte, bool) {
	header, sealed := value[:codec.HeaderSize], value[codec.HeaderSize:]
	plaintext, err := s.AEAD.Open(dst, nil, sealed, slices.Concat(header, ctx))
	return plaintext, err == nil
}

// swapped is a provider whose ring a test replaces.
type swapped struct{ ring atomic.Pointer[keyring.Ring] }

func (s *swapped) Ring(context.Context) *keyring.Ring { return s.ring.Load() }

// formatOf returns the format of the cookies that a response sets.
func formatOf(t *testing.T, a answer) byte {
	t.Helper()
	var formats []byte
	for _, c := range a.Cookies() {
		if c.MaxAge >= 0 {
			h, err := codec.Peek(c.Value)
			require.NoError(t, err)
			formats = append(formats, h.Format)
		}
	}
	require.Len(t, slices.Compact(formats), 1)
	return formats[0]
}

// A rotation changes the format of a ring, and no visitor is logged out.
func TestRingChangesItsFormat(t *testing.T) {
	keys := &swapped{}
	ring, err := keyring.Generate(noon.Add(-48 * time.Hour))
	require.NoError(t, err)
	keys.ring.Store(ring)
	s := newSite(t, app, func(c *setup) {
		c.Keys, c.Formats = keys, []codec.Format{gcm(2), gcm(3)}
	})
	require.EqualValues(t, 1, formatOf(t, s.get("/set?user=ada")))
	for i, format := range []byte{2, 3, 1} {
		at := noon.Add(-time.Duration(40-10*i) * time.Hour)
		ring, _, err = ring.Rotate(at, keyring.Policy{Format: format})
		require.NoError(t, err)
		keys.ring.Store(ring)
		require.Equal(t, "ada", s.who(), "sealed by the previous key, in another format")
		require.Equal(t, format, formatOf(t, s.get("/set?user=grace")))
		require.Equal(t, "grace", s.who())
		s.get("/set?user=ada")
	}
}

// New returns an error if the program lacks the format of a key in the ring. If a
// reload brings such a key, the key opens and seals nothing: the program does not
// fall back to another format.
func TestFormatThatTheProgramLacks(t *testing.T) {
	ring, err := keyring.GenerateFormat(noon.Add(-time.Hour), 2)
	require.NoError(t, err)
	_, err = middleware.New(middleware.Config{Keys: ring})
	require.ErrorContains(t, err, "format 2")

	keys := &swapped{}
	usual, err := keyring.Generate(noon.Add(-time.Hour))
	require.NoError(t, err)
	keys.ring.Store(usual)
	s := newSite(t, app, func(c *setup) { c.Keys = keys })
	s.get("/set?user=ada")
	before := s.cookie().Value
	keys.ring.Store(ring)
	require.GreaterOrEqual(t, s.get("/set?user=grace").StatusCode, http.StatusInternalServerError)
	require.Equal(t, before, s.cookie().Value)
	keys.ring.Store(usual)
	require.Equal(t, "ada", s.who())
}
