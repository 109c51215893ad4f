package bench

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	drop := Ballast()
	code := m.Run()
	drop()
	os.Exit(code)
}
