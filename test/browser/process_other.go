//go:build !unix

package browser

import "os/exec"

func ownGroup(*exec.Cmd) {}

func endGroup(c *exec.Cmd) error {
	err := c.Process.Kill()
	c.Wait() // it was killed: how it ended says nothing
	return err
}
