package bench

import (
	"log/slog"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // gin's middleware logs cookies that it refuses
	drop := Ballast()
	code := m.Run()
	drop()
	os.Exit(code)
}
