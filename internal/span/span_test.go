package span_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/span"
)

func TestStringIsWhatPeopleType(t *testing.T) {
	tests := map[time.Duration]string{
		0:                                   "0s",
		90 * time.Second:                    "1m30s",
		2 * time.Minute:                     "2m",
		time.Hour:                           "1h",
		90 * time.Minute:                    "1h30m",
		36 * time.Hour:                      "36h",
		2 * span.Day:                        "2d",
		32*span.Day + 2*time.Minute:         "32d2m",
		90*span.Day + 1500*time.Millisecond: "90d1.5s",
		-time.Hour:                          "-1h",
	}
	for d, want := range tests {
		require.Equal(t, want, span.String(d))
	}
}
