package carryon_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	module       = "github.com/carryon-go/carryon"
	cbor         = "github.com/fxamacker/cbor/v2"
	securecookie = "github.com/gorilla/securecookie"
	xchacha      = "golang.org/x/crypto/chacha20poly1305"
)

// mayImport says what the code of each package may import beside the standard
// library; its tests may import more. Imports point one way: a line here may
// name only what stands above it. A new package must be added on purpose.
var mayImport = []struct {
	path    string
	imports []string
}{
	{"reason", nil},
	{"internal/state", []string{"reason"}},
	{"internal/core", []string{"internal/state", "reason"}},
	{"internal/span", nil},
	{"keyring", []string{"internal/span"}},
	{"fallback", nil},
	{"fallback/fallbacktest", []string{"fallback"}},
	{"fallback/sqlstore", []string{"fallback"}},
	{"session", []string{"internal/core", "internal/state", "reason", cbor}}, // values are CBOR
	{"codec/internal/etm", nil},
	{"codec", []string{"keyring", "reason", "codec/internal/etm"}},
	{"codec/internal/formattest", []string{"codec", "keyring", "reason"}}, // for tests
	{"codec/xchacha", []string{"codec", "codec/internal/etm", xchacha}},
	{"codec/securecookieformat", []string{"codec", securecookie}},
	{"internal/cookiejar", []string{"internal/state", "codec"}},
	{"internal/policy", []string{"internal/state", "reason", "session", "codec"}},
	{"internal/records", []string{"internal/core", "internal/state", "session", "codec", "fallback"}},
	{"middleware", []string{"internal/core", "internal/records", "internal/state", "internal/cookiejar", "internal/policy", "reason", "session", "codec", "keyring", "fallback"}},
	{"middleware/migrate/gorillasession", []string{"middleware", securecookie}},
	{"middleware/migrate/scssession", []string{"middleware"}},
	{"sessiontest", []string{"internal/core", "internal/state", "reason", "session", "keyring", "middleware"}},
	{"cmd/carryon", []string{"internal/core", "internal/span", "internal/state", "internal/cookiejar", "internal/policy", "reason", "session", "keyring", "codec", "codec/xchacha", "codec/securecookieformat", "middleware"}},
	{"", nil}, // the package documentation
}

// linked is all that a program which imports Carryon is made to link: no test
// library among it.
var linked = []string{cbor, "github.com/x448/float16"}

// chosen begins the paths of what only those programs link that import a
// package for it: codec/xchacha, codec/securecookieformat,
// middleware/migrate.
var chosen = []string{securecookie, "golang.org/x/crypto/", "golang.org/x/sys/cpu"}

func isChosen(path string) bool {
	return slices.ContainsFunc(chosen, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
}

// listed is what go list tells of a package.
type listed struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

func TestImportsPointOneWay(t *testing.T) {
	require.Empty(t, faults(goList(t, "./...")), "the layers are in CONTRIBUTING.md")
}

// What every program links follows from these.
func TestOptionalModulesAreLinkedOnlyWhereImported(t *testing.T) {
	for _, p := range goList(t, "./middleware", "./session", "./codec", "./keyring", "./sessiontest") {
		require.False(t, isChosen(p.ImportPath), p.ImportPath)
	}
}

func TestWrongImportsAreFaults(t *testing.T) {
	tests := map[string]listed{
		"codec may not import middleware":   {ImportPath: module + "/codec", Imports: []string{"fmt", module + "/middleware"}},
		"keyring may not import " + cbor:    {ImportPath: module + "/keyring", Imports: []string{cbor}},
		"fallback may not import session":   {ImportPath: module + "/fallback", Imports: []string{module + "/session"}},
		"cmd/carryon may not import fallb":  {ImportPath: module + "/cmd/carryon", Imports: []string{module + "/fallback"}},
		"surprise has no line in mayImport": {ImportPath: module + "/surprise"},
		"github.com/stretchr/testify/asse":  {ImportPath: "github.com/stretchr/testify/assert"},
		"pgregory.net/rapid is linked into": {ImportPath: "pgregory.net/rapid"},
	}
	for want, wrong := range tests {
		got := faults([]listed{{ImportPath: "net/http", Standard: true}, {ImportPath: module + "/keyring"}, wrong})
		require.Len(t, got, 1, want)
		require.Contains(t, got[0], want)
	}
}

func TestTheTableItselfPointsOneWay(t *testing.T) {
	seen := []string{cbor, securecookie, xchacha}
	for _, line := range mayImport {
		require.Subset(t, seen, line.imports, "%s is allowed what stands below it", line.path)
		seen = append(seen, line.path)
	}
}

// faults says what is wrong with the packages, one sentence each.
func faults(packages []listed) (found []string) {
	for _, p := range packages {
		path, ours := within(p.ImportPath)
		switch {
		case ours:
			found = append(found, wrongImports(path, p.Imports)...)
		case !p.Standard && !slices.Contains(linked, p.ImportPath) && !isChosen(p.ImportPath):
			found = append(found, p.ImportPath+" is linked into every program that imports Carryon")
		}
	}
	return found
}

func wrongImports(path string, imports []string) (found []string) {
	for _, line := range mayImport {
		if line.path != path {
			continue
		}
		for _, imported := range imports {
			short, ours := within(imported)
			if (ours || external(imported)) && !slices.Contains(line.imports, short) {
				found = append(found, fmt.Sprintf("%s may not import %s", path, short))
			}
		}
		return found
	}
	return []string{path + " has no line in mayImport: say what it may import"}
}

// within gives the path of a package of ours inside the module, "" for its root.
func within(path string) (short string, ours bool) {
	if path == module {
		return "", true
	}
	short, ours = strings.CutPrefix(path, module+"/")
	return short, ours
}

// external reports whether a path is of a module: its first part has a dot, as
// no package of the standard library has.
func external(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return strings.Contains(first, ".")
}

// goList lists packages of this module and all that they need, tests left out.
func goList(t *testing.T, patterns ...string) (packages []listed) {
	t.Helper()
	readFolders(t)
	command := exec.Command("go", append([]string{"list", "-deps", "-json=ImportPath,Imports,Standard"}, patterns...)...)
	command.Env = append(os.Environ(), "GOWORK=off")
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	require.NoError(t, err, stderr.String())

	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listed
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		require.NoError(t, err)
		packages = append(packages, p)
	}
}

// readFolders reads what go list will read. go test remembers a pass until a
// file changes that the test itself looked at; what a child looks at it cannot see.
func readFolders(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != "." && (path[0] == '.' || entry.Name() == "testdata") {
			return filepath.SkipDir
		}
		return err
	})
	require.NoError(t, err)
}
