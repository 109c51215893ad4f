// Command without is a hello server without sessions, for cmd/start.
package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	if len(os.Args) == 1 { // for cmd/start, which measures only the start
		return
	}
	panic(http.ListenAndServe(os.Args[1], hello))
}
