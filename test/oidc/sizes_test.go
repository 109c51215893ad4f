package oidc_test

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/oidcsession"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/test/internal/providers"
)

// update makes TestSizes write the table: go test ./test/oidc -run TestSizes -update
var update = flag.Bool("update", false, "write docs/oidc-sizes.md instead of comparing it")

const (
	sizesFile  = "../../docs/oidc-sizes.md"
	beginTable = "<!-- The table is written by: go test ./test/oidc -run TestSizes -update -->\n"
	endTable   = "<!-- End of the table. -->\n"
)

// tokenSums are the sums of the three tokens, in bytes.
var tokenSums = []int{3500, 5000, 6500, 8000}

// The session with tokens of typical sizes is kept on each platform as docs/oidc-sizes.md
// says, before and after refreshes.
func TestSizes(t *testing.T) {
	w := newWorld(t, providers.OIDCProvider, func(s *providers.Settings) { s.JWT, s.IDFiller, s.AccessFiller = true, 100, 100 })
	rows := sizeRows()
	for _, sum := range tokenSums {
		w.setSum(t, sum)
		for i := range rows {
			rows[i].cells = append(rows[i].cells, w.measure(t, rows[i], sum))
		}
	}
	var table strings.Builder
	table.WriteString("| platform |")
	for _, sum := range tokenSums {
		fmt.Fprintf(&table, " %s bytes |", thousands(sum))
	}
	table.WriteString("\n|---|" + strings.Repeat("---|", len(tokenSums)) + "\n")
	for _, r := range rows {
		fmt.Fprintf(&table, "| %s | %s |\n", r.name, strings.Join(r.cells, " | "))
	}
	t.Log("\n" + table.String())
	compareTable(t, table.String())
}

// A sizeRow is a row of the table.
type sizeRow struct {
	name     string
	platform middleware.Platform
	limits   middleware.Limits
	cells    []string
}

// sizeRows returns a row for each platform, and one for nginx with the buffers that
// docs/limits.md advises.
func sizeRows() (rows []sizeRow) {
	for _, p := range middleware.Platforms() {
		name := "`" + string(p) + "`"
		if p == middleware.Default {
			name = "default"
		}
		rows = append(rows, sizeRow{name: name, platform: p})
		if p == middleware.Nginx {
			rows = append(rows, sizeRow{name: name + " with `Limits{ResponseBytes: 8000}`", platform: p, limits: middleware.Limits{ResponseBytes: 8000}})
		}
	}
	return rows
}

// setSum changes the tokens so that their sizes have a sum. Three fifths are the access
// token.
func (w *world) setSum(t *testing.T, sum int) {
	t.Helper()
	w.Configure(func(s *providers.Settings) { s.AccessFiller, s.IDFiller = 100, 100 })
	have := w.sizes(t)
	want := oidcsession.Sizes{Access: sum * 3 / 5, ID: sum - sum*3/5 - have.Refresh}
	w.Configure(func(s *providers.Settings) {
		s.AccessFiller += (want.Access - have.Access) * 3 / 4 // base64url
		s.IDFiller += (want.ID - have.ID) * 3 / 4
	})
	have = w.sizes(t)
	require.InDelta(t, sum, have.Access+have.Refresh+have.ID, 4)
}

// sizes returns the sizes of the tokens of a new sign-in.
func (w *world) sizes(t *testing.T) (all oidcsession.Sizes) {
	t.Helper()
	s := w.newSite(t, func(set *setup) { set.sessions.Platform = middleware.GoServer })
	s.visitor().signIn()
	for _, e := range s.events {
		if e.Kind == oidcsession.EventSignedIn {
			all = e.Sizes
		}
	}
	return all
}

// measure signs in on a platform, without and with a store, refreshes the tokens, and
// returns what the table says of it.
func (w *world) measure(t *testing.T, r sizeRow, sum int) (cell string) {
	t.Helper()
	what := fmt.Sprintf("%s, %d bytes", r.name, sum)
	alone, dropped := w.measureAlone(t, r, what)

	s := w.newSite(t, func(set *setup) { set.sessions.Platform, set.sessions.Limits, set.store = r.platform, r.limits, memory })
	v := s.visitor()
	v.signIn()
	v.refreshAlone(t, what)
	require.Zero(t, s.count(oidcsession.EventIDTokenDropped), what)
	if stored := len(v.jar.Header("")) < sum/3; stored {
		return "stored; without a store " + alone
	}
	require.False(t, dropped, what)
	return alone
}

// measureAlone does so without a store. dropped reports whether the ID token was dropped.
func (w *world) measureAlone(t *testing.T, r sizeRow, what string) (cell string, dropped bool) {
	t.Helper()
	s := w.newSite(t, func(set *setup) { set.sessions.Platform, set.sessions.Limits = r.platform, r.limits })
	v := s.visitor()
	a := v.get("/page")
	var failed *oidcsession.SignInError
	if err := s.lastError(oidcsession.EventSignInFailed); errors.As(err, &failed) {
		require.ErrorIs(t, err, session.ErrTooLarge, what)
		require.Equal(t, http.StatusInternalServerError, a.StatusCode, what)
		return "refused", true
	}
	v.refreshAlone(t, what)
	if s.count(oidcsession.EventIDTokenDropped) > 0 {
		return v.inCookies() + ", no ID token", true
	}
	return v.inCookies(), false
}

// inCookies says how many cookies the browser has, and of how many bytes.
func (v *visitor) inCookies() string {
	n := len(v.jar.Names())
	plural := "s"
	if n == 1 {
		plural = ""
	}
	return fmt.Sprintf("%d cookie%s, %s bytes", n, plural, thousands(len(v.jar.Header(""))))
}

// refreshAlone refreshes twice.
func (v *visitor) refreshAlone(t *testing.T, what string) {
	t.Helper()
	for range 2 {
		v.expire()
		a := v.step(http.MethodGet, "/token", nil)
		require.Equal(t, http.StatusOK, a.StatusCode, "%s: %s", what, a.body)
		require.Equal(t, a.body, v.step(http.MethodGet, "/token", nil).body, what)
	}
}

func thousands(n int) string { return fmt.Sprintf("%d,%03d", n/1000, n%1000) } // n is at least 1000

var bytesInTable = regexp.MustCompile(`(\d+),(\d{3}) bytes`)

// compareTable compares the table with the document. Lengths may differ by 20 bytes,
// because ids and times in the tokens do.
func compareTable(t *testing.T, table string) {
	t.Helper()
	text, err := os.ReadFile(sizesFile)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(text), beginTable)
	require.True(t, found, "%s lacks the line %q", sizesFile, beginTable)
	have, after, found := strings.Cut(rest, endTable)
	require.True(t, found, "%s lacks the line %q", sizesFile, endTable)
	if *update {
		require.NoError(t, os.WriteFile(sizesFile, []byte(before+beginTable+table+endTable+after), 0o644))
		return
	}
	const out = "docs/oidc-sizes.md is out of date; run this test with -update"
	require.Equal(t, bytesInTable.ReplaceAllString(table, "N bytes"), bytesInTable.ReplaceAllString(have, "N bytes"), out)
	wanted := bytesInTable.FindAllString(table, -1)
	for i, text := range bytesInTable.FindAllString(have, -1) {
		require.InDelta(t, numberOf(t, wanted[i]), numberOf(t, text), 20, out)
	}
}

func numberOf(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.ReplaceAll(strings.TrimSuffix(text, " bytes"), ",", ""))
	require.NoError(t, err)
	return n
}
