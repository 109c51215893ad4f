//go:build unix

package stores

import (
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// as runs a command under another account, if the tests run as root.
func as(account string, c *exec.Cmd) *exec.Cmd {
	c.Dir = "/"
	if os.Getuid() != 0 || account == "" {
		return c
	}
	if u, err := user.Lookup(account); err == nil {
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	return c
}
