package cookiejar

import (
	"slices"
	"strings"

	"github.com/carryon-go/carryon/internal/state"
)

// Limits of one request. All cookies beyond them are ignored.
const (
	// MaxCookies is the most session cookies that are read. Browsers keep 180
	// cookies for a site.
	MaxCookies = 256
	// MaxBytes is the most bytes of session cookies that are read.
	MaxBytes = 256 << 10
	// maxCombinations is the most combinations of one group's values that are tried.
	maxCombinations = 16
)

// Jar holds the cookies of one request's Cookie header lines.
type Jar struct {
	Pieces      []Piece // session cookies, in the order of the header
	Groups      []Group // session cookies by tag, in the order of their first pieces
	Bytes       int     // of the session cookies in the header, with separators
	Others      int     // number of other cookies
	OthersBytes int     // of the other cookies in the header, with separators
	TooMany     bool    // session cookies were ignored because there are too many
	parsed      int     // number of session cookies, including repeats
}

// Group is the set of session cookies with one tag. Usually these are the pieces of
// one sealed value. A name may also come several times with different values, and
// pieces of an older value may be left over.
type Group struct {
	Tag      string
	Count    int  // number of pieces
	First    int  // index of the first piece in Jar.Pieces
	Last     int  // the highest piece number
	Bytes    int  // of the pieces in the header, with separators
	HasFirst bool // piece 0 is there
}

// Piece is one session cookie. Its name consists of the base name, the tag and, if
// Index is not 0, the index.
type Piece struct {
	Tag   string
	Index int
	Value string
}

// Read adds the cookies of Cookie header lines to the jar. [ParsePair] decides which
// are session cookies. All different values of a name are kept, because a sibling
// domain can set a cookie of the same name. Exact repeats, which some Lambda adapters
// send, are dropped.
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

// add adds one pair. left is the number of bytes that follow it in its line.
func (j *Jar) add(pair string, left int, base string, fixed bool) {
	p, ok := ParsePair(pair, base, fixed)
	switch {
	case !ok:
		j.Others++
		j.OthersBytes += len(pair) + 2
		return
	case j.parsed == 2*MaxCookies: // comparing repeats is bounded, too
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
		// The rest of the line may be session cookies, most of full length.
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

// PieceNumbers returns the piece numbers that are there for a tag, one bit each.
func (j *Jar) PieceNumbers(tag string) (set uint64) {
	for i := range j.Pieces {
		if p := &j.Pieces[i]; p.Tag == tag {
			set |= 1 << p.Index
		}
	}
	return set
}

// ParsePair parses a cookie pair, and reports whether it is a session cookie. The
// name must be base.tag or base.tag.piece or, if fixed, base.
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

// EstimateGroups returns the approximate number of groups in Cookie header lines, so
// that a caller can allocate memory for them. It also reports whether there may be any
// session cookie.
func EstimateGroups(lines []string, base string) (n int, found bool) {
	for _, line := range lines {
		if !strings.Contains(line, base) {
			continue // most visitors without a session
		}
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			pair = Trim(pair)
			if !strings.HasPrefix(pair, base) {
				continue
			}
			found = true
			if end := len(base) + 1 + state.TagLen; len(pair) <= end || pair[end] != '.' { // not a later piece
				n++
			}
		}
	}
	return n, found
}

// pieceNumber returns the number of a piece after the first, 1 to 63, or 0 if s is
// not one in its shortest form.
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

// InOrder reports whether a group has each piece exactly once, and the pieces follow
// one another in order. Then there is only one combination.
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

// Combinations are the ways to choose one value for each piece of a group. There is
// one unless a name came with several values.
type Combinations struct {
	values [][]string // by piece number
	Count  int        // at most maxCombinations
}

// Combinations returns the combinations of a group.
func (j *Jar) Combinations(g *Group) Combinations {
	c := Combinations{values: make([][]string, g.Last+1), Count: 1}
	for i := range j.Pieces {
		if p := &j.Pieces[i]; p.Tag == g.Tag {
			c.values[p.Index] = append(c.values[p.Index], p.Value)
		}
	}
	for _, values := range c.values {
		c.Count = min(c.Count*max(len(values), 1), maxCombinations)
	}
	return c
}

// Combination returns combination i, from 0 to Count-1: the value of each piece, or
// "" for a missing piece.
func (c *Combinations) Combination(i int) []string {
	pieces := make([]string, len(c.values))
	for n, values := range c.values {
		if len(values) > 0 {
			pieces[n] = values[i%len(values)]
			i /= len(values)
		}
	}
	return pieces
}

// Trim returns s without leading and trailing spaces and tabs.
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

// Unquote returns s without the double quotes that RFC 6265 allows around a cookie
// value. Some proxies add them.
func Unquote(s string) string {
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}
