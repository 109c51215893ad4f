package records

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Programs that share a store, and users' ids, share no row, and nothing that one
// part lacks can be made up for by the next.
func TestSubjectRowsFollowFromEveryPart(t *testing.T) {
	row := func(audience, name, subject string) string {
		return (&Keeper{Audience: audience, Name: name}).subjectRow([]byte(subject))
	}
	rows := map[string]bool{}
	for _, parts := range [][3]string{
		{"ab", "cd", "ef"}, {"a", "bcd", "ef"}, {"ab", "cde", "f"}, {"abc", "d", "ef"}, {"", "abcd", "ef"},
		{"xb", "cd", "ef"}, {"ab", "xd", "ef"}, {"ab", "cd", "xf"},
	} {
		rows[row(parts[0], parts[1], parts[2])] = true
	}
	require.Len(t, rows, 8)
	require.Equal(t, knownRow, row("shop", "__Host-session", "ada"), "replicas of all versions agree on it")
}

// knownRow was computed with another program:
//
//	import base64, hashlib
//	part = lambda b: len(b).to_bytes(4, "big") + b
//	h = hashlib.sha256(b"carryon subject" + part(b"shop") + part(b"__Host-session") + part(b"ada"))
//	"s" + base64.urlsafe_b64encode(h.digest()[:24]).decode()
const knownRow = "sQiK-5L_tayfiGwKt2J9NxX-AUvyVMswe"
