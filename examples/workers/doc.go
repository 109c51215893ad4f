//go:build !(js && wasm)

// Command workers is a Cloudflare Worker: see main.go, which is for GOOS=js only.
package main

import "log"

func main() { log.Fatal("build it with GOOS=js GOARCH=wasm") }
