//go:build unix

package browser

import (
	"os/exec"
	"syscall"
)

// ownGroup puts the browser into a process group, so that its children can be
// killed with it.
func ownGroup(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func endGroup(c *exec.Cmd) error {
	err := syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
	c.Wait() // the process was killed: its status is irrelevant
	return err
}
