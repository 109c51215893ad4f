package reason_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/reason"
)

// words are part of the interface: logs, metrics and alerts rely on them.
var words = map[reason.Reason]string{
	reason.Absent: "absent", reason.Malformed: "malformed", reason.WrongLength: "wrong length", reason.UnknownFormat: "unknown format",
	reason.UnknownKey: "unknown key", reason.DeadKey: "dead key", reason.NoKey: "no key", reason.BadSeal: "bad seal", reason.Torn: "torn",
	reason.Expired: "expired", reason.ExpiredIdle: "expired (idle)", reason.LoggedOut: "logged out", reason.Revoked: "revoked",
	reason.Superseded: "superseded", reason.WrongFormat: "wrong format", reason.TooMany: "too many", reason.TooLarge: "too large",
	reason.RecordMissing: "record missing", reason.StoreDown: "store down", reason.StoreRolledBack: "store rolled back",
	reason.ImportFailed: "import failed", reason.LateChange: "late change",
}

func TestWordsAreStable(t *testing.T) {
	require.Len(t, reason.All(), len(words))
	for _, r := range reason.All() {
		require.Equal(t, words[r], r.String())
		require.Equal(t, words[r], r.Error())
	}
	require.Empty(t, reason.None.String())
}

func TestEveryReasonHasACompleteRow(t *testing.T) {
	require.NotContains(t, reason.All(), reason.None)
	require.Len(t, reason.All(), constants(t)-1, "a row for each constant but None")
	seen := map[string]reason.Reason{}
	for _, r := range reason.All() {
		for _, text := range []string{r.String(), r.Meaning(), r.Hint()} {
			require.NotEmpty(t, text, "%d %s", r, r)
			require.Equal(t, strings.TrimSpace(text), text)
			require.NotContains(t, text, "|", "it would end a cell of docs/refusals.md")
			require.False(t, strings.HasSuffix(text, "."), "%s: %s is a clause", r, text)
		}
		require.NotContains(t, seen, r.String())
		seen[r.String()] = r
		require.Contains(t, []slog.Level{slog.LevelDebug, slog.LevelWarn}, r.Level(), r)
		require.Contains(t, []int{0, 409, 500, 503}, r.Status(), r)
	}
}

// constants counts the constants of the type.
func constants(t *testing.T) (n int) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "table.go", nil, 0)
	require.NoError(t, err)
	for _, d := range file.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST && g.Specs[0].(*ast.ValueSpec).Names[0].Name == "None" {
			return len(g.Specs)
		}
	}
	t.Fatal("table.go has no constants")
	return 0
}

// The page for operators has a row for each word, with the texts of the table. It
// may add a link.
func TestReasonsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/refusals.md")
	require.NoError(t, err)
	link := regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	text := strings.NewReplacer("`", "", "'", "").Replace(link.ReplaceAllString(string(page), "$1"))
	for _, r := range reason.All() {
		row := fmt.Sprintf("\n| %s | %s | %s", r, r.Meaning(), r.Hint())
		require.True(t, strings.Contains(text, strings.ReplaceAll(row, "'", "")), "docs/refusals.md lacks the row%s", row)
	}
}

func TestReasonsAreErrors(t *testing.T) {
	err := fmt.Errorf("outside: %w", fmt.Errorf("inside: %w", reason.UnknownKey))
	require.ErrorIs(t, err, reason.UnknownKey)
	require.NotErrorIs(t, err, reason.DeadKey)
	require.Equal(t, reason.UnknownKey, reason.Of(err))
	require.Equal(t, reason.None, reason.Of(errors.New("other")))
	require.Equal(t, reason.None, reason.Of(nil))
}

func TestReasonsAreTextInJSONAndLogs(t *testing.T) {
	type event struct {
		Reason reason.Reason         `json:"reason,omitempty"`
		Counts map[reason.Reason]int `json:"counts,omitempty"`
	}
	for in, want := range map[string]event{
		`{}`:                      {},
		`{"reason":"bad seal"}`:   {Reason: reason.BadSeal},
		`{"counts":{"no key":2}}`: {Counts: map[reason.Reason]int{reason.NoKey: 2}},
	} {
		out, err := json.Marshal(want)
		require.NoError(t, err)
		require.Equal(t, in, string(out))
		var got event
		require.NoError(t, json.Unmarshal([]byte(in), &got))
		require.Equal(t, want, got)
	}
	var r reason.Reason
	require.NoError(t, r.UnmarshalText(nil))
	require.Equal(t, reason.None, r)
	require.ErrorContains(t, r.UnmarshalText([]byte("bad\nseal")), `"bad\nseal"`)

	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "reason", reason.BadSeal)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "reason", reason.BadSeal)
	require.Contains(t, out.String(), ` reason="bad seal"`)
	require.Contains(t, out.String(), `"reason":"bad seal"`)
}

// A number without a row, as of a newer version, is no panic.
func TestUnknownNumbers(t *testing.T) {
	r := reason.Reason(60_000)
	require.Equal(t, "reason 60000", r.String())
	require.Empty(t, r.Meaning()+r.Hint())
	require.Zero(t, r.Status())
}
