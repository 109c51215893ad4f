package main

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A browser's "copy as cURL" gives a command for a POSIX shell. The functions in
// this file split it into words. They run and expand nothing.

func isCurl(text string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(text, "$ "), " ")
	return first == "curl" || first == "curl.exe"
}

// curlCookies returns the cookies in the arguments of -b, and in those of -H
// that hold a Cookie header.
func curlCookies(text string) (found []cookie, err error) {
	if strings.Contains(text, `curl ^"`) || strings.Contains(text, `curl.exe ^"`) {
		return nil, hint(errors.New("the curl command is quoted for cmd.exe"), "copy it as cURL (bash) or cURL (POSIX), or copy only the Cookie header")
	}
	words, err := shellWords(text)
	if err != nil {
		return nil, err
	}
	for i, word := range words {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		if value, ok := option(word, next, "-H", "--header"); ok {
			if name, value := header(value); name == "cookie" {
				found = append(found, pairs(value)...)
			}
		} else if value, ok := option(word, next, "-b", "--cookie"); ok {
			found = append(found, pairs(value)...)
		}
	}
	if len(found) == 0 {
		return nil, hint(errors.New("the curl command contains no cookie"), "copy a request that the browser sent with cookies")
	}
	return found, nil
}

// option returns the argument of an option: the next word, or the rest of this
// word.
func option(word, next, short, long string) (string, bool) {
	if word == short || word == long {
		return next, true
	}
	if value, ok := strings.CutPrefix(word, long+"="); ok {
		return value, true
	}
	if strings.HasPrefix(word, "--") {
		return "", false
	}
	return strings.CutPrefix(word, short)
}

// words collects words. An empty pair of quotes is a word, too.
type words struct {
	done []string
	word strings.Builder
	open bool
}

func (w *words) add(s string) { w.word.WriteString(s); w.open = true }

func (w *words) end() {
	if w.open {
		w.done = append(w.done, w.word.String())
	}
	w.word.Reset()
	w.open = false
}

var errQuote = errors.New("a quote in the curl command is not closed; copy the whole command")

// shellWords splits a command as a POSIX shell does. It also knows $'…', as
// bash does.
func shellWords(text string) ([]string, error) {
	var w words
	for text != "" {
		switch c := text[0]; {
		case strings.HasPrefix(text, "\\\n"):
			text = text[2:]
		case c == ' ' || c == '\t' || c == '\n':
			w.end()
			text = text[1:]
		case c == '\\' && len(text) > 1:
			w.add(text[1:2])
			text = text[2:]
		case c == '\'':
			inside, rest, ok := strings.Cut(text[1:], "'")
			if !ok {
				return nil, errQuote
			}
			w.add(inside)
			text = rest
		case c == '"' || strings.HasPrefix(text, "$'"):
			rest, ok := w.quoted(text)
			if !ok {
				return nil, errQuote
			}
			text = rest
		default:
			w.add(text[:1])
			text = text[1:]
		}
	}
	w.end()
	return w.done, nil
}

// quoted reads "…" or $'…', with its backslash escapes, and returns the text
// after it.
func (w *words) quoted(text string) (rest string, ok bool) {
	ansi := text[0] == '$'
	text = strings.TrimPrefix(text, "$")
	quote := text[0]
	w.add("")
	for text = text[1:]; text != ""; text = text[1:] {
		switch {
		case text[0] == quote:
			return text[1:], true
		case text[0] != '\\' || len(text) == 1:
			w.add(text[:1])
		case ansi:
			n := w.escape(text[1:])
			text = text[n:]
		default:
			if !strings.ContainsRune("\"\\$`\n", rune(text[1])) {
				w.add("\\")
			}
			if text[1] != '\n' {
				w.add(text[1:2])
			}
			text = text[1:]
		}
	}
	return "", false
}

// escape adds the character that an escape in $'…' stands for, and returns the
// length of the escape without its backslash.
func (w *words) escape(text string) int {
	switch text[0] {
	case 'n':
		w.add("\n")
	case 'r':
		w.add("\r")
	case 't':
		w.add("\t")
	case 'x', 'u':
		most := map[byte]int{'x': 2, 'u': 4}[text[0]]
		n := 1
		for n < len(text) && n <= most && strings.IndexByte("0123456789abcdefABCDEF", text[n]) >= 0 {
			n++
		}
		code, err := strconv.ParseUint(text[1:n], 16, 32)
		if err != nil {
			w.add("\\" + text[:1])
		} else if text[0] == 'x' {
			w.add(string([]byte{byte(code)}))
		} else {
			w.add(string(utf8.AppendRune(nil, rune(code))))
		}
		return n
	default: // a quote or a backslash
		w.add(text[:1])
	}
	return 1
}
