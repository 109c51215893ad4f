package records

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Different audiences, names and subjects have different rows, even if the three
// texts are the same when joined.
func TestSubjectRowsFollowFromEveryPart(t *testing.T) {
	row := func(audience, name, subject string) string {
		return (&Client{Audience: audience, Name: name}).subjectRow([]byte(subject))
	}
	rows := map[string]bool{}
	for _, parts := range [][3]string{
		{"ab", "cd", "ef"}, {"a", "bcd", "ef"}, {"ab", "cde", "f"}, {"abc", "d", "ef"}, {"", "abcd", "ef"},
		{"xb", "cd", "ef"}, {"ab", "xd", "ef"}, {"ab", "cd", "xf"},
	} {
		rows[row(parts[0], parts[1], parts[2])] = true
	}
	require.Len(t, rows, 8)
	require.Equal(t, knownRow, row("shop", "__Host-session", "ada"), "replicas of all versions must use the same row")
	list := (&Client{Audience: "shop", Name: "__Host-session"}).listRow([]byte("ada"))
	require.Equal(t, knownListRow, list, "replicas of all versions must use the same row")
}

// knownRow was computed with another program:
//
//	import base64, hashlib
//	part = lambda b: len(b).to_bytes(4, "big") + b
//	h = hashlib.sha256(b"carryon subject" + part(b"shop") + part(b"__Host-session") + part(b"ada"))
//	"s" + base64.urlsafe_b64encode(h.digest()[:24]).decode()
const knownRow = "sQiK-5L_tayfiGwKt2J9NxX-AUvyVMswe"

// knownListRow was computed in the same way, with b"carryon list" and "l".
const knownListRow = "lInQa_wUHfVGKLIrHgg2NIjINS_xOBKWm"
