// Package express runs express-session to check what docs/express-session.md
// says about it. middleware/express_test.go checks the page's other column.
package express

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// install installs express-session in a folder, in the versions of the lock
// file and without running install scripts.
func install(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, tool+" is not installed")
		}
	}
	folder := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "behaviour.js"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), text, 0o600))
	}
	command := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1")
	command.Dir = folder
	if err := command.Run(); err != nil {
		missing(t, "npm cannot install express-session here: "+err.Error())
	}
	return folder
}

func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// behaviour returns what the page's table says about express-session.
func behaviour(resave, saveUninitialized, rolling bool, unset string, maxAge bool) []string {
	cookie := "cookie"
	if maxAge {
		cookie = "cookie with an end"
	}
	when := func(sets bool) string {
		if sets {
			return cookie
		}
		return "-"
	}
	read := "get touch"
	if resave {
		read = "get set"
	}
	lines := []string{"/look: -; -; ", "/write?user=ada: set; " + cookie + "; "}
	if saveUninitialized {
		lines = []string{"/look: set; " + cookie + "; ", "/write?user=ada: get set; " + when(rolling || maxAge) + "; "}
	}
	lines = append(lines, fmt.Sprintf("/look: %s; %s; ada", read, when(rolling)),
		fmt.Sprintf("/write?user=eve: get set; %s; ada", when(rolling || maxAge)))
	switch {
	case unset == "keep":
		return append(lines, "/unset: get; -; eve", fmt.Sprintf("/look: %s; %s; eve", read, when(rolling)))
	case saveUninitialized:
		return append(lines, "/unset: get destroy; -; eve", "/look: get set; "+cookie+"; ")
	}
	return append(lines, "/unset: get destroy; -; eve", "/look: get; -; ")
}

func TestExpressSessionIsAsThePageSays(t *testing.T) {
	command := exec.CommandContext(t.Context(), "node", "behaviour.js")
	command.Dir = install(t)
	text, err := command.Output()
	require.NoError(t, err)
	var got map[string][]string
	require.NoError(t, json.Unmarshal(text, &got))
	require.Len(t, got, 32)
	for i := range 32 {
		resave, saveUninitialized, rolling, maxAge := i&1 != 0, i&2 != 0, i&4 != 0, i&8 != 0
		unset := []string{"keep", "destroy"}[i>>4]
		name := fmt.Sprint(resave, saveUninitialized, rolling, " ", unset, " ", maxAge)
		require.Equal(t, behaviour(resave, saveUninitialized, rolling, unset, maxAge), got[name], name)
	}
}
