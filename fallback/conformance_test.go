package fallback_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/fallbacktest"
)

func newMemory(t testing.TB, config fallback.MemoryConfig) *fallback.Memory {
	t.Helper()
	m, err := fallback.NewMemory(config)
	require.NoError(t, err)
	return m
}

func TestMemoryConforms(t *testing.T) {
	fallbacktest.Run(t, func(t *testing.T) fallbacktest.Setup {
		clock := fallbacktest.NewClock()
		return fallbacktest.Setup{
			Store: newMemory(t, fallback.MemoryConfig{Clock: clock.Now}), Now: clock.Now, Advance: clock.Advance,
		}
	})
}

// A store this small must drop all other records to hold the largest one.
func TestSmallMemoryConforms(t *testing.T) {
	fallbacktest.Run(t, func(t *testing.T) fallbacktest.Setup {
		clock := fallbacktest.NewClock()
		m := newMemory(t, fallback.MemoryConfig{Clock: clock.Now, MaxBytes: fallback.MaxRecord + 1024})
		return fallbacktest.Setup{Store: m, Now: clock.Now, Advance: func(d time.Duration) {
			clock.Advance(d)
			require.LessOrEqual(t, m.Bytes(), int64(fallback.MaxRecord+1024))
		}}
	})
}
