//go:build unix

package browser

import (
	"os/exec"
	"syscall"
)

// ownGroup lets the browser's children be ended with it.
func ownGroup(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func endGroup(c *exec.Cmd) error {
	err := syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
	c.Wait() // it was killed: how it ended says nothing
	return err
}
