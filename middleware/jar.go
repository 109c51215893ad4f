package middleware

import (
	"slices"
	"strings"

	"github.com/carryon-go/carryon/internal/core"
)

// jar is what a request's Cookie header holds: ours by fragment, and how much
// room the program's own cookies take.
type jar struct {
	groups  []group
	cookies int  // ours, in all
	bytes   int  // of ours in the header, with separators
	others  int  // cookies that are not ours
	foreign int  // their bytes
	tooMany bool // more of ours than are looked at
}

// group is all cookies of one suffix: the pieces of one fragment, each perhaps
// several times with different values, and perhaps some that are left over.
type group struct {
	suffix string
	pieces []piece // in the order of the header
	size   int     // pieces of the fragment that was opened; 0 if none was
}

// piece is one cookie, unopened.
type piece struct {
	name  string
	index int
	value string
}

// readJar picks the cookies of base name out of the Cookie header lines. Every
// different value of a name is kept (a sibling domain can plant one before the
// good one); exact repeats, which some Lambda adapters make, are not.
func readJar(lines []string, base string, fixed bool, most int) (j jar) {
	for _, line := range lines {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			if pair = trim(pair); pair != "" {
				j.add(pair, base, fixed, most)
			}
		}
	}
	return j
}

func (j *jar) add(pair, base string, fixed bool, most int) {
	p, suffix, ok := ourCookie(pair, base, fixed)
	if !ok {
		j.others++
		j.foreign += len(pair) + 2
		return
	}
	i := slices.IndexFunc(j.groups, func(g group) bool { return g.suffix == suffix })
	if i >= 0 && slices.Contains(j.groups[i].pieces, p) {
		return
	}
	if j.cookies == most {
		j.tooMany = true
		return
	}
	j.cookies++
	j.bytes += len(pair) + 2
	if i < 0 {
		i = len(j.groups)
		j.groups = append(j.groups, group{suffix: suffix})
	}
	j.groups[i].pieces = append(j.groups[i].pieces, p)
}

// ourCookie takes a cookie-pair apart if its name is one that we give:
// base.suffix, base.suffix.piece or, in fixed-name mode, base.
func ourCookie(pair, base string, fixed bool) (p piece, suffix string, ok bool) {
	if len(pair) <= len(base) || !strings.HasPrefix(pair, base) {
		return p, "", false
	}
	name, value, ok := strings.Cut(pair, "=")
	if !ok {
		return p, "", false
	}
	p.name, p.value = trim(name), unquote(trim(value))
	if fixed {
		return p, "", p.name == base
	}
	rest, ok := strings.CutPrefix(p.name[len(base):], ".")
	if !ok {
		return p, "", false
	}
	suffix, number, many := strings.Cut(rest, ".")
	if many {
		if p.index = pieceNumber(number); p.index == 0 {
			return p, "", false
		}
	}
	return p, suffix, core.IsSuffix(suffix)
}

// pieceNumber is 1 to 63 in the one form that we write; 0 is not a number.
func pieceNumber(s string) (n int) {
	if len(s) == 0 || len(s) > 2 || s[0] == '0' {
		return 0
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0
		}
		n = 10*n + int(s[i]-'0')
	}
	if n > 63 {
		return 0
	}
	return n
}

// combinations calls try with ways of reading the group's pieces until one is
// good: with one value for each piece there is one way; where names are
// doubled, at most 16 are tried.
func (g *group) combinations(try func(pick func(i int) (string, bool)) bool) {
	var last int // the highest piece
	for _, p := range g.pieces {
		last = max(last, p.index)
	}
	ways := 1
	for i := range last + 1 {
		ways = min(ways*max(len(g.values(i)), 1), 16)
	}
	for way := range ways {
		pick := func(i int) (string, bool) {
			n := way
			for k := range i {
				n /= max(len(g.values(k)), 1)
			}
			values := g.values(i)
			if len(values) == 0 {
				return "", false
			}
			return values[n%len(values)], true
		}
		if len(g.pieces) == 1 { // the usual case, without the lists
			pick = func(i int) (string, bool) { return g.pieces[0].value, i == g.pieces[0].index }
		}
		if try(pick) {
			return
		}
	}
}

func (g *group) values(index int) (all []string) {
	for _, p := range g.pieces {
		if p.index == index {
			all = append(all, p.value)
		}
	}
	return all
}

func (g *group) weight() (bytes int) {
	for _, p := range g.pieces {
		bytes += len(p.name) + 1 + len(p.value) + 2
	}
	return bytes
}

func trim(s string) string { return strings.Trim(s, " \t") }

// unquote takes off the quotes that RFC 6265 lets a cookie value have and that
// some proxies add.
func unquote(s string) string {
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}
