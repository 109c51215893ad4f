package middleware

import (
	"slices"
	"strings"

	"github.com/carryon-go/carryon/internal/core"
)

// jar is what a request's Cookie header holds: ours by fragment, and how much
// room the program's own cookies take.
type jar struct {
	pieces  []piece // in the order of the header
	groups  []group // in the order of their first pieces
	bytes   int     // of ours in the header, with separators
	others  int     // cookies that are not ours
	foreign int     // their bytes
	seen    int     // ours, repeats included
	tooMany bool    // more of ours than are looked at
}

// group is all cookies of one suffix: the pieces of one fragment, each perhaps
// several times with different values, and perhaps some that are left over.
type group struct {
	suffix string
	count  int  // of pieces
	first  int  // index of the first of them in the jar
	last   int  // the highest piece number
	bytes  int  // of them in the header, with separators
	sealed bool // by a key of ours, but for another program or audience
	waste  bool // nobody can ever open it: its key is dead, or it is not of our form
	head   bool // its first piece is there
	aging  bool // it is to be sealed anew

	retired bool // its key does not seal any more
}

// piece is one cookie, unopened. Its name follows from suffix and index.
type piece struct {
	suffix string
	index  int
	value  string
}

// read picks the cookies of base name out of the Cookie header lines. Every
// different value of a name is kept (a sibling domain can plant one before the
// good one); exact repeats, which some Lambda adapters make, are not.
func (j *jar) read(lines []string, base string, fixed bool, most int) {
	for _, line := range lines {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			if pair = trim(pair); pair != "" {
				j.add(pair, len(line), base, fixed, most)
			}
		}
	}
}

// add takes one pair; left is how much of its line is still to come.
func (j *jar) add(pair string, left int, base string, fixed bool, most int) {
	p, ok := ourCookie(pair, base, fixed)
	switch {
	case !ok:
		j.others++
		j.foreign += len(pair) + 2
		return
	case j.seen == 2*most: // nor are the repeats compared without end
		j.tooMany = true
		return
	}
	j.seen++
	switch {
	case slices.Contains(j.pieces, p):
		return
	case len(j.pieces) == most || j.bytes+len(pair) > maxOursBytes:
		j.tooMany = true
		return
	}
	g := j.group(p.suffix)
	if g == nil {
		j.groups = append(j.groups, group{suffix: p.suffix, first: len(j.pieces)})
		g = &j.groups[len(j.groups)-1]
	}
	if len(j.pieces) == cap(j.pieces) {
		// What is left may be ours, in pieces that are nearly all of full length.
		j.pieces = slices.Grow(j.pieces, min(max(3+left/3500, len(j.pieces)), most-len(j.pieces)))
	}
	j.pieces = append(j.pieces, p)
	j.bytes += len(pair) + 2
	g.count, g.bytes, g.last = g.count+1, g.bytes+len(pair)+2, max(g.last, p.index)
	g.head = g.head || p.index == 0
}

func (j *jar) group(suffix string) *group {
	for i := range j.groups {
		if j.groups[i].suffix == suffix {
			return &j.groups[i]
		}
	}
	return nil
}

// disown takes out what is sealed for another program or audience: nothing here
// can ever open it, so that it is not ours to expire. A flood is not left
// alone, or a login could not clear it away and would never be seen behind it.
func (j *jar) disown() {
	if j.tooMany {
		return
	}
	j.groups = slices.DeleteFunc(j.groups, func(g group) bool {
		if g.sealed {
			j.foreign += g.bytes
		}
		return g.sealed
	})
}

// numbers are the pieces of one suffix that are there, a bit for each number.
func (j *jar) numbers(suffix string) (set uint64) {
	for i := range j.pieces {
		if p := &j.pieces[i]; p.suffix == suffix {
			set |= 1 << p.index
		}
	}
	return set
}

// ourCookie takes a cookie-pair apart if its name is one that we give:
// base.suffix, base.suffix.piece or, in fixed-name mode, base.
func ourCookie(pair, base string, fixed bool) (p piece, ok bool) {
	if len(pair) <= len(base) || !strings.HasPrefix(pair, base) {
		return p, false
	}
	name, value, ok := strings.Cut(pair, "=")
	if !ok {
		return p, false
	}
	name, p.value = trim(name), unquote(trim(value))
	if fixed {
		return p, name == base
	}
	rest, ok := strings.CutPrefix(name[len(base):], ".")
	if !ok {
		return p, false
	}
	suffix, number, many := strings.Cut(rest, ".")
	if many {
		if p.index = pieceNumber(number); p.index == 0 {
			return p, false
		}
	}
	p.suffix = suffix
	return p, core.IsSuffix(suffix)
}

// fragments is about how many fragments of ours Cookie header lines hold, and any
// tells whether there may be any cookie of ours: a first look, to make room by.
func (s *settings) fragments(lines []string) (n int, any bool) {
	for _, line := range lines {
		if !strings.Contains(line, s.Name) {
			continue // as every visitor's is who has no session
		}
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			pair = trim(pair)
			if !strings.HasPrefix(pair, s.Name) {
				continue
			}
			any = true
			if end := len(s.Name) + 1 + core.SuffixLen; len(pair) <= end || pair[end] != '.' { // else it is a later piece
				n++
			}
		}
	}
	return n, any
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

// maxOurs bounds how many cookies of ours one request may make us open. It is
// far above what is sent, and above the 180 that a browser keeps for a site: a
// client that answers a burst of writers in full is heard in full.
const maxOurs = 512

// maxOursBytes bounds their bytes: what a merge costs grows faster than they do.
const maxOursBytes = 256 << 10

// maxWays bounds how many readings of one fragment's doubled names are tried.
const maxWays = 16

// plain tells whether the pieces of a group are there once each, in their order
// and with nothing between them, so that there is one way to read them.
func (j *jar) plain(g *group) bool {
	if g.count != g.last+1 || g.first+g.count > len(j.pieces) {
		return false
	}
	for i, p := range j.pieces[g.first : g.first+g.count] {
		if p.index != i || p.suffix != g.suffix {
			return false
		}
	}
	return true
}

// readings are the ways in which the cookies of a group can be put together:
// one, unless names are doubled.
type readings struct {
	values [][]string // by piece number
	ways   int
}

func (j *jar) readings(g *group) readings {
	r := readings{values: make([][]string, g.last+1), ways: 1}
	for i := range j.pieces {
		if p := &j.pieces[i]; p.suffix == g.suffix {
			r.values[p.index] = append(r.values[p.index], p.value)
		}
	}
	for _, values := range r.values {
		r.ways = min(r.ways*max(len(values), 1), maxWays)
	}
	return r
}

// reading is the given way: for each piece number its value, "" for none.
func (r *readings) reading(way int) []string {
	pieces := make([]string, len(r.values))
	for i, values := range r.values {
		if n := len(values); n > 0 {
			pieces[i] = values[way%n]
			way /= n
		}
	}
	return pieces
}

// trim takes off spaces and tabs, of which there are few.
func trim(s string) string {
	for s != "" && blank(s[0]) {
		s = s[1:]
	}
	for s != "" && blank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// unquote takes off the quotes that RFC 6265 lets a cookie value have and that
// some proxies add.
func unquote(s string) string {
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}
