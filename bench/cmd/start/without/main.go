// Command without is a hello server: what cmd/start compares "with" to.
package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	if len(os.Args) == 1 { // as cmd/start runs it: only the start is measured
		return
	}
	panic(http.ListenAndServe(os.Args[1], hello))
}
