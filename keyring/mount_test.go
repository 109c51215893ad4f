package keyring

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestListsMountPoint(t *testing.T) {
	const mountinfo = `22 27 0:21 / /proc rw,nosuid shared:5 - proc proc rw
36 35 98:0 /keys/ring.json /run/my\040keys/ring.json rw,noatime master:1 - ext3 /dev/root rw,errors=continue
37 35 98:0 / /run/a\134b\012c rw - tmpfs tmpfs rw
short line
`
	for path, want := range map[string]bool{
		"/proc": true, "/run/my keys/ring.json": true, "/run/a\\b\nc": true,
		"/run/my keys": false, "/keys/ring.json": false, "/": false, "line": false, "": false,
	} {
		require.Equal(t, want, listsMountPoint(strings.NewReader(mountinfo), path), path)
	}
}
