//go:build !unix

package browser

import "os/exec"

func ownGroup(*exec.Cmd) {}

func endGroup(c *exec.Cmd) error {
	err := c.Process.Kill()
	c.Wait() // the process was killed: its status is irrelevant
	return err
}
