// Package express_test has the code of docs/express-session.md: a test in the
// folder above compares the page with this code.
package express_test

import (
	"fmt"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/test/docs/demo"
)

type (
	// User is the logged-in user.
	User    = demo.User
	example = demo.T
)

const (
	user  session.Key[User]   = "user"
	views session.Key[int]    = "views"
	flash session.Key[string] = "flash"
)

var (
	keys  = demo.Keys()
	must  = demo.Must
	visit = demo.Visit
	serve = demo.Serve
	show  = fmt.Println
)

// newSessions is middleware.New for configurations without faults.
func newSessions(c middleware.Config) *middleware.Sessions {
	c.Keys = keys
	sessions, err := middleware.New(c)
	must(err)
	return sessions
}
