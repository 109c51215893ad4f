package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	headings = regexp.MustCompile(`(?m)^#+ `)
	fenced   = regexp.MustCompile("(?ms)^```.*?^```$")
	indented = regexp.MustCompile(`(?m)(?:^    .*\n)+`)
	links    = regexp.MustCompile(`\]\(([^)]+)\)`)
	tables   = regexp.MustCompile(`(?m)^\|.*\|$`)
	bullets  = regexp.MustCompile(`(?m)^- `)
	numbers  = regexp.MustCompile(`\b\d[\d,.]*\b`)
)

// shape is what a page and its translation have in common.
type shape struct {
	Headings, Code, Commands, Links []string
	Cells, Numbers                  []string
	Bullets                         int
}

func shapeOf(t *testing.T, page string) (s shape) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", page))
	require.NoError(t, err)
	text := string(raw)
	s.Code = fenced.FindAllString(text, -1)
	text = fenced.ReplaceAllString(text, "")
	s.Commands = indented.FindAllString(text, -1)
	text = indented.ReplaceAllString(text, "")
	s.Headings = headings.FindAllString(text, -1)
	for _, link := range links.FindAllStringSubmatch(text, -1) {
		if !strings.HasPrefix(link[1], "README") {
			s.Links = append(s.Links, link[1])
		}
	}
	for _, row := range tables.FindAllString(text, -1) {
		s.Cells = append(s.Cells, strings.Repeat("|", strings.Count(row, "|")))
		s.Numbers = append(s.Numbers, strings.Join(numbers.FindAllString(row, -1), " "))
	}
	s.Bullets = len(bullets.FindAllString(text, -1))
	return s
}

// The Chinese README has the headings, code, commands, links, tables and numbers of the
// English one, in the same order.
func TestChineseReadmeIsInStep(t *testing.T) {
	english := shapeOf(t, "README.md")
	require.NotEmpty(t, english.Code)
	require.NotEmpty(t, english.Commands)
	require.Greater(t, len(english.Links), 20)
	require.Equal(t, english, shapeOf(t, "README.zh-CN.md"))
}
