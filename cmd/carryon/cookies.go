package main

import (
	"errors"
	"strings"
)

// A cookie is a name and a value, as they stood in the input.
type cookie struct{ name, value string }

// readCookies finds the cookies in pasted text. It accepts a curl command as
// browsers copy it, Cookie and Set-Cookie lines with or without other header
// lines or the prefixes of curl -v, and the output of document.cookie.
func readCookies(text string) ([]cookie, error) {
	text = strings.TrimSpace(strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n"))
	if isCurl(text) {
		return curlCookies(text)
	}
	var found []cookie
	headers := false
	for line := range strings.Lines(text) {
		name, value := header(strings.TrimLeft(line, "<> \t"))
		switch name {
		case "cookie":
			headers, found = true, append(found, pairs(value)...)
		case "set-cookie":
			pair, _, _ := strings.Cut(value, ";") // the rest are attributes
			headers, found = true, append(found, pairs(pair)...)
		}
	}
	if !headers { // the whole text is pairs
		found = pairs(strings.ReplaceAll(dequote(text), "\n", ";"))
	}
	if len(found) == 0 {
		return nil, errors.New("standard input contains no cookie")
	}
	return found, nil
}

// header splits a header line into its name, in lower case, and its value.
func header(line string) (name, value string) {
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return "", ""
	}
	return strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
}

// pairs reads pairs of name=value, separated by semicolons.
func pairs(text string) (found []cookie) {
	for pair := range strings.SplitSeq(text, ";") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			found = append(found, cookie{strings.TrimSpace(name), dequote(strings.TrimSpace(value))})
		}
	}
	return found
}

// dequote removes the quotes around a text, if there are any.
func dequote(s string) string {
	if n := len(s); n > 1 && s[0] == s[n-1] && (s[0] == '"' || s[0] == '\'') {
		return s[1 : n-1]
	}
	return s
}
