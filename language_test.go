package carryon_test

import (
	"bytes"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// unplain lists expressions that make a reader stop, and what to write instead.
var unplain = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`(?i)\btells? whether\b`), `write "reports whether"`},
	{regexp.MustCompile(`(?i)\b(for|nor by|of|to|from|with|than|where) who\b`), `name the people or programs: "for programs that"`},
	{regexp.MustCompile(`(?i)\bfor what `), "name the thing"},
	{regexp.MustCompile(`(?i)\bnobody (has|is|was|can|else)\b`), `write "no one" with a noun, or use the passive voice`},
	{regexp.MustCompile(`(?i)\banew\b`), `write "again"`},
	{regexp.MustCompile(`(?i)\bwhich parts `), `write "which separates"`},
	{regexp.MustCompile(`(?i)\bwhoever\b`), `name the people or programs: "a program that"`},
	{regexp.MustCompile(`(?i)\b(is|are|was|were) (told|had)\b`), `name the action: "receives", "logs", "gets"`},
	{regexp.MustCompile(`(?i)\bbut for\b`), `write "except for"`},
	{regexp.MustCompile(`(?i)\bbe it (that|by|in|a|an|the)\b`), `write "whether"`},
	{regexp.MustCompile(`(?i), what is more\b`), "begin a new sentence"},
	{regexp.MustCompile(`(?i)\b(of|in|about|takes) so many\b`), `name the parameter: "n bytes"`},
	{regexp.MustCompile(`(?i)\bthat (is|are) none\b`), `write "that is not a"`},
	{regexp.MustCompile(`(?i)\bmend(s|ed|ing)?\b`), `write "repair"`},
	{regexp.MustCompile(`(?i)\banyhow\b`), `write "anyway"`},
	{regexp.MustCompile(`(?i)\bfor want of\b`), `write "because it lacks"`},
	{regexp.MustCompile(`(?i)\b(holds?|held) (it|them|the \w+|every \w+|each \w+) against\b`), `write "compares with"`},
	{regexp.MustCompile(`(?i)\bas (it|they) comes?\b`), `write "with default settings"`},
	{regexp.MustCompile(`(?i)\btakes? no part\b`), `write "does not support" or "is not used"`},
	{regexp.MustCompile(`(?i)\b(begins?|comes?|came|brought|brings?) back from\b`), `write "returns from"`},
	{regexp.MustCompile(`(?i)\blets? \w+ (\w+ )?be\b`), "use an active verb"},
	{regexp.MustCompile(`(?i)\bat most \w+( \w+)? of which\b`), "begin a new sentence"},
	{regexp.MustCompile(`(?i)\b(dies|dying)\b`), `write "expires", "ends" or "fails"`},
	{regexp.MustCompile(`(?i)\bsecrets and all\b`), `write "with its secrets"`},
	{regexp.MustCompile(`(?i)\bdoes it all the same\b`), `write "does it anyway"`},
	{regexp.MustCompile(`(?i)\b(is|are) there (once|already|afterwards|as well)\b`), `write "exists"`},
}

// riddle matches a sentence that begins with a pronoun instead of a noun. Only
// a question may do so.
var riddle = regexp.MustCompile(`(?:^|[.!?] )((?:Who|What (?:is|has|was|does)) [^.!?]*(?:[.!?]|$))`)

// maxWords is the length limit of a sentence in docs and in the documents of the
// root folder.
const maxWords = 35

// A passage is a comment, a string or a paragraph, joined to one line.
type passage struct {
	text  string
	lines []int // line number of each byte of text
}

// add appends a line of the file to the passage.
func (p *passage) add(line string, number int) {
	line = strings.TrimSpace(line)
	if p.text != "" && line != "" {
		line = " " + line
	}
	for range len(line) {
		p.lines = append(p.lines, number)
	}
	p.text += line
}

// TestPlainLanguage checks the rules of CONTRIBUTING.md that a program can check, in
// all Go files and documents.
func TestPlainLanguage(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name == "testdata" || name == "vectors" || name == "node_modules" || path != "." && strings.HasPrefix(name, ".") {
				return filepath.SkipDir
			}
			return nil
		}
		path = filepath.ToSlash(path)
		if path == "language_test.go" || !strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, ".md") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, fault := range languageFaults(path, text) {
			t.Error(fault)
		}
		return nil
	})
	require.NoError(t, err)
}

// languageFaults returns the faults of a file, each with its place.
func languageFaults(path string, text []byte) (faults []string) {
	passages := goPassages
	if strings.HasSuffix(path, ".md") {
		passages = mdPassages
	}
	for _, p := range passages(text) {
		fault := func(at int, format string, args ...any) {
			faults = append(faults, fmt.Sprintf("%s:%d: ", path, p.lines[at])+fmt.Sprintf(format, args...))
		}
		for _, u := range unplain {
			for _, at := range u.pattern.FindAllStringIndex(p.text, -1) {
				fault(at[0], "%q: %s", p.text[at[0]:at[1]], u.instead)
			}
		}
		for _, at := range riddle.FindAllStringSubmatchIndex(p.text, -1) {
			if sentence := p.text[at[2]:at[3]]; !strings.HasSuffix(sentence, "?") {
				fault(at[2], "%q: begin the sentence with a noun", sentence)
			}
		}
		if strings.HasSuffix(path, ".md") && (strings.HasPrefix(path, "docs/") || !strings.Contains(path, "/")) {
			for _, at := range longSentences(p.text) {
				fault(at[0], "a sentence of more than %d words: %q", maxWords, p.text[at[0]:at[1]])
			}
		}
	}
	return faults
}

// goPassages returns the comments and strings of a Go file.
func goPassages(text []byte) (all []passage) {
	set := token.NewFileSet()
	file := set.AddFile("", set.Base(), len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, scanner.ScanComments)
	last := -1 // line of the previous line comment
	for {
		pos, kind, literal := s.Scan()
		line := file.Line(pos)
		switch kind {
		case token.EOF:
			return all
		case token.STRING, token.COMMENT:
			body, isLine := strings.CutPrefix(literal, "//")
			if isLine && last == line-1 && strings.TrimSpace(body) != "" {
				all[len(all)-1].add(body, line)
				last = line
				continue
			}
			var p passage
			for i, part := range strings.Split(strings.Trim(body, "\"`"), "\n") {
				p.add(part, line+i)
			}
			all = append(all, p)
			if last = -1; isLine {
				last = line
			}
		}
	}
}

var (
	codeSpan  = regexp.MustCompile("`[^`]*`")
	itemStart = regexp.MustCompile(`^\s*([-*+]|\d+\.) `)
)

// mdPassages returns the paragraphs, list items and table cells of a Markdown
// file, without its code blocks.
func mdPassages(text []byte) (all []passage) {
	code, open := false, false
	for i, raw := range bytes.Split(text, []byte("\n")) {
		line := strings.TrimSpace(string(raw))
		switch {
		case strings.HasPrefix(line, "```"):
			code, open = !code, false
		case code || strings.HasPrefix(string(raw), "    ") && !open:
		case line == "":
			open = false
		case strings.HasPrefix(line, "|"):
			for cell := range strings.SplitSeq(line, "|") {
				var p passage
				p.add(cell, i+1)
				all = append(all, p)
			}
			open = false
		case !open, strings.HasPrefix(line, "#"), itemStart.MatchString(line):
			all, open = append(all, passage{}), !strings.HasPrefix(line, "#")
			fallthrough
		default:
			all[len(all)-1].add(line, i+1)
		}
	}
	return all
}

// sentenceEnd matches the end of a sentence, outside of code spans.
var sentenceEnd = regexp.MustCompile(`[.!?:]["')*_]*(?: |$)`)

// longSentences returns the start and end of each sentence that is too long. A
// code span counts as one word.
func longSentences(text string) (all [][2]int) {
	masked := codeSpan.ReplaceAllStringFunc(text, func(code string) string { return strings.Repeat("x", len(code)) })
	start := 0
	for _, end := range append(sentenceEnd.FindAllStringIndex(masked, -1), []int{len(text), len(text)}) {
		if len(strings.Fields(masked[start:end[1]])) > maxWords {
			all = append(all, [2]int{start, end[1]})
		}
		start = end[1]
	}
	return all
}

func TestLanguageFaultsAreFound(t *testing.T) {
	long := strings.Repeat("word ", maxWords) + "word."
	for name, text := range map[string]string{
		"a predicate":       "// f tells\n// whether it is.\n",
		"a missing noun":    "// Seal is for\n// who has one.\n",
		"a string":          `var s = "it is made anew"`,
		"a raw string":      "var s = `a\nb nobody else c`",
		"a riddle":          "// First. What is\n// more is cut.\n",
		"a riddle at first": "// Who asks gets it.\n",
		"a metaphor":        "// The key dies.\n",
		"an old word":       "// whoever has the key\n",
	} {
		require.Len(t, languageFaults("a.go", []byte("package a\n\n"+text)), 1, name)
	}
	for name, text := range map[string]string{
		"a long sentence":        "# Title\n\nShort. " + long + "\n",
		"a long sentence, twice": "- " + strings.ReplaceAll(long, "word ", "word\n  ") + "\n",
		"a table":                "| a | " + long + " |\n",
	} {
		require.Len(t, languageFaults("docs/a.md", []byte(text)), 1, name)
		require.Len(t, languageFaults("SPEC.md", []byte(text)), 1, name)
		require.Empty(t, languageFaults("bench/a.md", []byte(text)), name)
	}
	for name, text := range map[string]string{
		"a question": "// What is it? Who knows?\n",
		"code":       "func anew() {}\n",
		"two groups": "// for\n\n// who\n",
	} {
		require.Empty(t, languageFaults("a.go", []byte("package a\n\n"+text)), name)
	}
	require.Equal(t, []string{`a.go:4: "for who": name the people or programs: "for programs that"`},
		languageFaults("a.go", []byte("package a\n\n// one\n// is for\n// who asks\n")))
	require.Empty(t, languageFaults("docs/a.md", []byte("```\n"+long+"\n```\n\n`"+long+"`\n")))
}
