// Command serve runs the tests' server until its input ends, and prints where
// it is. It is there for tests of other modules; it is no MongoDB.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/carryon-go/carryon/fallback/mongostore/internal/mongotest"
)

func main() {
	var o mongotest.Options
	flag.StringVar(&o.Address, "address", "127.0.0.1:0", "`host:port` to listen on")
	flag.Parse()
	server, err := mongotest.Start(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
	defer server.Close()
	fmt.Println(server.URI())
	_, _ = io.Copy(io.Discard, os.Stdin)
}
