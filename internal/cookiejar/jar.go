package cookiejar

import (
	"slices"
	"strings"

	"github.com/carryon-go/carryon/internal/state"
)

// Bounds on what one request makes a program look at. Browsers keep 180 cookies
// for a site.
const (
	MaxCookies = 256
	MaxBytes   = 256 << 10
	// maxWays is how many readings of one group's doubled names are tried.
	maxCombinations = 16
)

// Jar is what the Cookie header lines of one request hold.
type Jar struct {
	Pieces      []Piece // ours, in the order of the header
	Groups      []Group // ours by tag, in the order of their first pieces
	Bytes       int     // of ours in the header, with separators
	Others      int     // cookies that are not ours
	OthersBytes int     // their bytes
	TooMany     bool    // more of ours came than are looked at
	parsed      int     // ours, repeats included
}

// Group is all cookies of one tag: the pieces of one sealed value, perhaps
// several times with different values, and perhaps some that are left over.
type Group struct {
	Tag      string
	Count    int  // of pieces
	First    int  // index of the first of them in the jar
	Last     int  // the highest piece number
	Bytes    int  // of them in the header, with separators
	HasFirst bool // the first piece is there
}

// Piece is one cookie, unopened. Its name follows from tag and index.
type Piece struct {
	Tag   string
	Index int
	Value string
}

// Read picks the cookies of base name out of Cookie header lines. Every
// different value of a name is kept, for a sibling domain can plant one before
// the good one. Exact repeats, which some Lambda adapters make, are not.
func (j *Jar) Read(lines []string, base string, fixed bool) {
	for _, line := range lines {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			if pair = Trim(pair); pair != "" {
				j.add(pair, len(line), base, fixed)
			}
		}
	}
}

// add takes one pair; left is how much of its line is still to come.
func (j *Jar) add(pair string, left int, base string, fixed bool) {
	p, ok := ParsePair(pair, base, fixed)
	switch {
	case !ok:
		j.Others++
		j.OthersBytes += len(pair) + 2
		return
	case j.parsed == 2*MaxCookies: // nor are the repeats compared without end
		j.TooMany = true
		return
	}
	j.parsed++
	switch {
	case slices.Contains(j.Pieces, p):
		return
	case len(j.Pieces) == MaxCookies || j.Bytes+len(pair) > MaxBytes:
		j.TooMany = true
		return
	}
	g := j.group(p.Tag)
	if g == nil {
		j.Groups = append(j.Groups, Group{Tag: p.Tag, First: len(j.Pieces)})
		g = &j.Groups[len(j.Groups)-1]
	}
	if len(j.Pieces) == cap(j.Pieces) {
		// What is left may be ours, in pieces that are nearly all of full length.
		j.Pieces = slices.Grow(j.Pieces, min(max(3+left/3500, len(j.Pieces)), MaxCookies-len(j.Pieces)))
	}
	j.Pieces = append(j.Pieces, p)
	j.Bytes += len(pair) + 2
	g.Count, g.Bytes, g.Last = g.Count+1, g.Bytes+len(pair)+2, max(g.Last, p.Index)
	g.HasFirst = g.HasFirst || p.Index == 0
}

func (j *Jar) group(tag string) *Group {
	for i := range j.Groups {
		if j.Groups[i].Tag == tag {
			return &j.Groups[i]
		}
	}
	return nil
}

// Numbers returns the piece numbers of a tag that are there, a bit for each.
func (j *Jar) PieceNumbers(tag string) (set uint64) {
	for i := range j.Pieces {
		if p := &j.Pieces[i]; p.Tag == tag {
			set |= 1 << p.Index
		}
	}
	return set
}

// Ours takes a cookie-pair apart and reports whether its name is one that we
// give: base.tag, base.tag.piece or, if there is one fixed name, base.
func ParsePair(pair, base string, fixed bool) (p Piece, ok bool) {
	if len(pair) <= len(base) || !strings.HasPrefix(pair, base) {
		return p, false
	}
	name, value, ok := strings.Cut(pair, "=")
	if !ok {
		return p, false
	}
	name, p.Value = Trim(name), Unquote(Trim(value))
	if fixed {
		return p, name == base
	}
	rest, ok := strings.CutPrefix(name[len(base):], ".")
	if !ok {
		return p, false
	}
	tag, number, many := strings.Cut(rest, ".")
	if many {
		if p.Index = pieceNumber(number); p.Index == 0 {
			return p, false
		}
	}
	p.Tag = tag
	return p, state.IsTag(tag)
}

// Count returns about how many groups Cookie header lines hold, and reports
// whether there may be any cookie of ours: a first look, to make room by.
func EstimateGroups(lines []string, base string) (n int, found bool) {
	for _, line := range lines {
		if !strings.Contains(line, base) {
			continue // as of all visitors who have no session
		}
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			pair = Trim(pair)
			if !strings.HasPrefix(pair, base) {
				continue
			}
			found = true
			if end := len(base) + 1 + state.TagLen; len(pair) <= end || pair[end] != '.' { // else it is a later piece
				n++
			}
		}
	}
	return n, found
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

// Plain reports whether the pieces of a group are there once each, in their
// order and with nothing between them, so that there is one way to read them.
func (j *Jar) InOrder(g *Group) bool {
	if g.Count != g.Last+1 || g.First+g.Count > len(j.Pieces) {
		return false
	}
	for i, p := range j.Pieces[g.First : g.First+g.Count] {
		if p.Index != i || p.Tag != g.Tag {
			return false
		}
	}
	return true
}

// Readings are the ways in which the cookies of a group can be put together:
// one, unless names are doubled.
type Combinations struct {
	values [][]string // by piece number
	Count  int
}

// Readings returns the ways to read a group, a bounded number.
func (j *Jar) Combinations(g *Group) Combinations {
	r := Combinations{values: make([][]string, g.Last+1), Count: 1}
	for i := range j.Pieces {
		if p := &j.Pieces[i]; p.Tag == g.Tag {
			r.values[p.Index] = append(r.values[p.Index], p.Value)
		}
	}
	for _, values := range r.values {
		r.Count = min(r.Count*max(len(values), 1), maxCombinations)
	}
	return r
}

// Reading returns the given way: for each piece number its value, "" for none.
func (r *Combinations) Combination(way int) []string {
	pieces := make([]string, len(r.values))
	for i, values := range r.values {
		if n := len(values); n > 0 {
			pieces[i] = values[way%n]
			way /= n
		}
	}
	return pieces
}

// Trim takes off spaces and tabs.
func Trim(s string) string {
	for s != "" && blank(s[0]) {
		s = s[1:]
	}
	for s != "" && blank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// Unquote takes off the quotes that RFC 6265 lets a cookie value have and that
// some proxies add.
func Unquote(s string) string {
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}
