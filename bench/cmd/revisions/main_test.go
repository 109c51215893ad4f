package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOutputSaysWhatFailed(t *testing.T) {
	_, err := output("", "git", "rev-parse", "--verify", "no-such-revision")
	require.ErrorContains(t, err, "git rev-parse --verify no-such-revision")
}

func TestCompareLeavesNoWorktree(t *testing.T) {
	list := func() string {
		out, err := exec.Command("git", "worktree", "list").Output()
		if err != nil {
			t.Skip("not in a git repository")
		}
		return string(out)
	}
	before := list()
	require.ErrorContains(t, compare(new(strings.Builder), "no-such-revision", "x", "1x", 1), "no-such-revision")
	require.Equal(t, before, list())
}
