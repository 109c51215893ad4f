//go:build !windows

package main

import "os/exec"

// shell returns a command that the shell runs.
func shell(command string) *exec.Cmd { return exec.Command("sh", "-c", command) }
