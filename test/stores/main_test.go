package stores

import (
	"io"
	"log"
	"os"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9/logging"
)

// Drivers print of each connection that it has broken, which is what some of
// these tests are about.
func TestMain(m *testing.M) {
	logging.Disable()
	_ = mysql.SetLogger(log.New(io.Discard, "", 0))
	code := m.Run()
	_ = os.RemoveAll(built)
	os.Exit(code)
}
