// Package docs checks that pages in docs show exactly the code that the tests
// compile and run.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pages maps the pages whose Go code is tested to the folders of that code.
var pages = map[string]string{
	"express-session.md":  "express",
	"gorilla-sessions.md": "gorilla",
	"oidc.md":             "oidc",
	"scs.md":              "scs",
}

var fence = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// blocks returns the Go code blocks of a page.
func blocks(t *testing.T, page string) (list []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	require.NoError(t, err)
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		list = append(list, m[1])
	}
	require.Equal(t, strings.Count(string(text), "```go"), len(list), "each block must be closed")
	return list
}

// code returns the code in the tests of a folder.
func code(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		all.WriteString("\n" + string(text))
	}
	return all.String()
}

// has reports whether code contains the lines of a block, at any indentation.
func has(code, block string) bool {
	for depth := range 4 {
		var indented strings.Builder
		for line := range strings.Lines(block) {
			if line != "\n" {
				indented.WriteString(strings.Repeat("\t", depth))
			}
			indented.WriteString(line)
		}
		if strings.Contains(code, "\n"+indented.String()) {
			return true
		}
	}
	return false
}

func TestPagesShowWhatRuns(t *testing.T) {
	for page, folder := range pages {
		t.Run(page, func(t *testing.T) {
			code, list := code(t, folder), blocks(t, page)
			require.NotEmpty(t, list)
			for _, block := range list {
				require.True(t, has(code, block), "test/docs/%s lacks this code of docs/%s; make them equal:\n%s", folder, page, block)
			}
		})
	}
}

var exampleOf = regexp.MustCompile(`(?ms)^func (Example\w+)\(\) \{\n(.*?)^\}$`)

// Examples that no page shows are removed.
func TestEveryExampleIsShown(t *testing.T) {
	for page, folder := range pages {
		code, list := code(t, folder), blocks(t, page)
		shown := strings.Join(list, "\n")
		for _, example := range exampleOf.FindAllStringSubmatch(code, -1) {
			found := false
			for _, block := range list {
				found = found || has("\n"+example[2], block)
			}
			for _, name := range regexp.MustCompile(`\b(\w+)\b`).FindAllString(example[2], -1) {
				found = found || strings.Contains(shown, "func "+name+"(") || strings.Contains(shown, "type "+name+" ")
			}
			require.True(t, found, "docs/%s does not show the example %s", page, example[1])
		}
	}
}

func TestACodeBlockThatDiffersIsFound(t *testing.T) {
	code := "\nfunc f() {\n\tif a {\n\t\tb()\n\n\t\tc()\n\t}\n}\n"
	require.True(t, has(code, "b()\n\nc()\n"))
	require.True(t, has(code, "if a {\n\tb()\n\n\tc()\n}\n"))
	for _, other := range []string{"b()\nc()\n", "b() \n\nc()\n", "d()\n", "\tb()\n\nc()\n", "if a {\nb()\n"} {
		require.False(t, has(code, other), other)
	}
}

// These lists are the complete options and methods of the libraries.
func TestTheExpressPageNamesEverything(t *testing.T) {
	names := map[string]string{
		"Options": `cookie cookie.domain cookie.expires cookie.httpOnly cookie.maxAge cookie.partitioned cookie.path
			cookie.priority cookie.sameSite cookie.secure genid name key proxy resave rolling saveUninitialized secret store unset`,
		"req.session and the store": `req.session req.session.regenerate req.session.destroy req.session.reload req.session.save
			req.session.touch .resetMaxAge req.session.id req.sessionID req.session.cookie.maxAge req.session.cookie.originalMaxAge
			req.session.cookie.expires req.session.cookie.data .serialize() req.sessionStore Store MemoryStore Session Cookie
			get set destroy touch all length clear generate createSession regenerate load connect disconnect`,
		"connect-mongo": `mongoUrl clientPromise client mongoOptions dbName collectionName ttl autoRemove autoRemoveInterval touchAfter
			timestamps stringify serialize unserialize writeOperationOptions transformId cryptoAdapter createWebCryptoAdapter
			createKrupteinAdapter crypto createAutoRemoveIdx get set touch destroy all length clear close create update`,
		"connect-redis": `client prefix ttl disableTouch disableTTL serializer scanCount get set touch destroy clear length ids all`,
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "express-session.md"))
	require.NoError(t, err)
	for title, list := range names {
		_, section, ok := strings.Cut(string(text), "\n## "+title+"\n")
		require.True(t, ok, title)
		section, _, _ = strings.Cut(section, "\n## ")
		var left strings.Builder // the first column of the table
		for line := range strings.Lines(section) {
			if cells := strings.Split(line, "|"); len(cells) > 2 {
				left.WriteString(cells[1])
			}
		}
		for _, name := range strings.Fields(list) {
			require.Contains(t, left.String(), "`"+name+"`", title)
		}
	}
}
