package stores

import (
	"io"
	"log"
	"os"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9/logging"
)

// Discard the log of the drivers: they print every broken connection, and some
// tests break connections.
func TestMain(m *testing.M) {
	logging.Disable()
	_ = mysql.SetLogger(log.New(io.Discard, "", 0))
	code := m.Run()
	_ = os.RemoveAll(built)
	os.Exit(code)
}
