package main

import (
	"os/exec"
	"syscall"
)

// shell returns a command that cmd.exe runs. Its parser differs from that of
// other programs, so the command line is passed on as it is.
func shell(command string) *exec.Cmd {
	cmd := exec.Command("cmd.exe")
	cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: `cmd.exe /S /C "` + command + `"`}
	return cmd
}
