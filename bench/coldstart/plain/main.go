// Command plain is an http.Handler behind lambdasession, without sessions, for
// cmd/coldstart.
package main

import (
	"io"
	"net/http"

	"github.com/carryon-go/carryon/middleware/lambdasession"
)

func main() {
	lambdasession.Start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "hello\n")
	}))
}
