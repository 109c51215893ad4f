// Command serve runs the test server until its input ends, and prints its
// address. It is for tests of other modules and is not a MongoDB.
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
