//go:build !(js && wasm)

// Command workers is a Cloudflare Worker. See main.go, which is only for
// GOOS=js.
package main

import "log"

func main() { log.Fatal("build it with GOOS=js GOARCH=wasm") }
