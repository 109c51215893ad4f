package middleware

import (
	"fmt"
	"slices"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/session"
)

// weight is what something takes on the wire.
type weight struct {
	cookies  int
	request  int // bytes of the Cookie header
	response int // bytes of the Set-Cookie lines
}

// lineOverhead is what a Set-Cookie line has beside its value: the field's name,
// colon and space, and the line's end.
const lineOverhead = len("Set-Cookie: \r\n")

func (w weight) plus(o weight, times int) weight {
	return weight{w.cookies + times*o.cookies, w.request + times*o.request, w.response + times*o.response}
}

// scale weighs fragments: it knows how long names and attributes are.
type scale struct {
	base       int           // bytes of the name without piece numbers: base, dot, suffix
	attributes int           // bytes of the longest attributes
	cookie     int           // Limits.CookieBytes
	packing    *core.Packing // nil: nothing is compressed
}

// wire is what is sealed of a fragment, compressed where that saves a cookie.
func (s scale) wire(f *core.Fragment) []byte { return f.Wire(s.packing) }

// saves tells whether a plaintext takes fewer cookies in another form.
func (s scale) saves(plain, packed int) bool {
	return s.sealed(packed).cookies < s.sealed(plain).cookies
}

// room is how much of a value the piece with a number may have.
func (s scale) room(piece int) int {
	return s.cookie - s.base - digits(piece) - 1 - s.attributes
}

// digits is how much a piece number adds to a name: ".7", ".12".
func digits(piece int) int {
	switch {
	case piece == 0:
		return 0
	case piece < 10:
		return 2
	}
	return 3
}

// weigh is what a fragment takes, in as many pieces as it needs.
func (s scale) weigh(f *core.Fragment) weight { return s.sealed(f.WireLen(s.packing)) }

// sealed is what that many bytes take when they are sealed.
func (s scale) sealed(plaintext int) weight { return s.text(codec.SealedLen(plaintext)) }

// text is what that many sealed characters take.
func (s scale) text(left int) (w weight) {
	for ; left > 0; w.cookies++ {
		room := s.room(w.cookies)
		if room <= 12 || w.cookies == codec.MaxPieces {
			return weight{cookies: codec.MaxPieces + 1, request: left + w.request, response: left + w.response}
		}
		n := min(left, room)
		name := s.base + digits(w.cookies) + 1
		w.request += name + n + 2
		w.response += name + n + s.attributes + lineOverhead
		left -= n
	}
	return w
}

// draft is a plan that has not been weighed yet.
type draft struct {
	joined *core.Fragment // nil, or the state as it was found, which others who saw the same jar send as well
	own    *core.Fragment // what only this writer sends; nil in a tidying
	again  bool           // own has the name and the content of one that is there, if there is one
	expire []string
}

// set lists what the draft sets, the joined state first.
func (d draft) set() (all []*core.Fragment) {
	if d.joined != nil {
		all = append(all, d.joined)
	}
	if d.own != nil {
		all = append(all, d.own)
	}
	return all
}

// sets tells whether the draft sets a fragment of that suffix.
func (d *draft) sets(suffix string) bool {
	return d.joined != nil && d.joined.Suffix == suffix || d.own != nil && d.own.Suffix == suffix
}

// plan names what is to be sent.
func (d draft) plan(changes bool) plan {
	p := plan{set: d.set(), expire: d.expire, changes: changes}
	for _, s := range p.set {
		if s.Suffix == "" {
			s.Name()
		}
	}
	return p
}

// mood says what is known of the others who may be writing.
type mood byte

const (
	// crowded: others may be at work, who saw other jars.
	crowded mood = iota
	// alone: whoever else is at work saw the same jar, so that a joined state
	// has the same name from all of them.
	alone
)

// share is C: the most bytes of the Cookie header that one response may add
// while others are at work. RequestBytes is P + 2 shares: one for each of the
// P - 1 others that may be in flight, two for what the jar holds and what this
// writer adds, and one because a slow writer lands on what quick ones have left
// meanwhile. A bound that each writer can keep without knowing of the others has
// to be a constant: what one of them sends says nothing about the rest.
func (l Limits) share() int {
	if l.Parallel == 1 {
		return l.RequestBytes / 2
	}
	return l.RequestBytes / (l.Parallel + 2)
}

// reserve is what is kept free for the others.
func (l Limits) reserve() int {
	if l.Parallel == 1 {
		return 0
	}
	return l.Parallel * l.share()
}

// fit weighs a draft and cuts the deletions for which the response has no room.
// It returns why the draft may not be sent, if it may not.
func (f *facts) fit(d *draft, m mood) error {
	var joined, own weight
	if d.joined != nil {
		joined = f.scale.weigh(d.joined)
	}
	if d.own != nil {
		own = f.scale.weigh(d.own)
	}
	sent := joined.plus(own, 1)
	l := f.limits
	switch {
	case f.fixed && sent.cookies > 1:
		return f.tooLarge(d, "bytes of the one cookie (FixedName)", l.CookieBytes, sent.response)
	case sent.response > l.ResponseBytes:
		return f.tooLarge(d, "bytes of Set-Cookie in one response (Limits.ResponseBytes)", l.ResponseBytes, sent.response)
	case sent.cookies > l.SetCookieLines:
		return f.tooLarge(d, "Set-Cookie lines in one response (Limits.SetCookieLines)", l.SetCookieLines, sent.cookies)
	}
	f.cut(d, sent)
	return f.fitRequest(d, m, joined, own)
}

// fitRequest holds the jar as it will be against the request's limits.
func (f *facts) fitRequest(d *draft, m mood, joined, own weight) error {
	l, after := f.limits, f.kept(d).plus(joined, 1).plus(own, 1)
	before := f.kept(&draft{})
	if f.makesRoom(d, before, after, own) {
		return nil
	}
	distinct := own.request // of what others cannot be sending as well
	if m == crowded {
		distinct += joined.request
	}
	switch {
	case l.Parallel > 1 && !f.fixed && distinct > l.share() && !f.renews:
		return f.tooLarge(d, fmt.Sprintf("bytes that one response may add to the request's Cookie header (Limits.RequestBytes / %d, for %d may write at once: Limits.Parallel)",
			l.Parallel+2, l.Parallel), l.share(), distinct)
	case after.request+l.reserve() > l.RequestBytes:
		return f.tooLarge(d, fmt.Sprintf("bytes of the request's Cookie header (Limits.RequestBytes, less the room for %d others who may write at once: Limits.Parallel)", l.Parallel-1),
			l.RequestBytes-l.reserve(), after.request)
	case after.cookies+(l.Parallel-1)*own.cookies > l.Cookies && !f.fixed:
		return f.tooLarge(d, fmt.Sprintf("cookies (Limits.Cookies, with as many from each of %d others who may write at once: Limits.Parallel)", l.Parallel-1),
			l.Cookies, after.cookies+(l.Parallel-1)*own.cookies)
	}
	return nil
}

// makesRoom tells whether a plan may be sent although the jar is over its
// share, because it leaves less in the session, or no more: nobody may be kept from
// emptying one, from logging in or from using it. As many as Parallel may be doing
// the same at once.
func (f *facts) makesRoom(d *draft, before, after, own weight) bool {
	l := f.limits
	switch {
	case f.renews:
		return after.request <= max(before.request, 2*l.share())
	case f.removes && after.request <= l.RequestBytes:
		return true
	case d.again && f.held(d.own.Suffix).weight.cookies > 0:
		return true // it takes the place of what is there, whoever else does the same
	}
	return f.shrinks && after.request+(l.Parallel-1)*own.request <= l.RequestBytes
}

// kept is what the jar holds beside what the draft sets: the program's own
// cookies and ours that it neither expires nor overwrites.
func (f *facts) kept(d *draft) weight {
	w := f.others
	w.cookies = min(w.cookies, f.limits.Cookies/2)
	if f.fixed {
		return w // ours is overwritten
	}
	for _, h := range f.jar {
		if !d.sets(h.suffix) && !slices.Contains(d.expire, h.suffix) {
			w = w.plus(h.weight, 1)
		}
	}
	return w
}

// unjoinable is why a change is refused after which the state would not be joinable.
func (f *facts) unjoinable(whole *core.Fragment) error {
	return f.tooLarge(&draft{own: whole}, "bytes of Set-Cookie in one response (Limits.ResponseBytes)", f.limits.ResponseBytes, f.scale.weigh(whole).response)
}

// cut drops deletions that the response has no room for beside what is set; the
// largest go first, the rest wait for the next response.
func (f *facts) cut(d *draft, sent weight) {
	slices.SortStableFunc(d.expire, func(a, b string) int { return f.held(b).weight.request - f.held(a).weight.request })
	lines, bytes := sent.cookies, sent.response
	d.expire = slices.DeleteFunc(d.expire, func(suffix string) bool {
		n := f.held(suffix).weight.cookies
		size := n * (f.scale.base + digits(codec.MaxPieces) + f.scale.attributes + lineOverhead)
		if lines+n > f.limits.SetCookieLines || bytes+size > f.limits.ResponseBytes {
			return true
		}
		lines, bytes = lines+n, bytes+size
		return false
	})
}

func (f *facts) held(suffix string) held {
	for _, h := range f.jar {
		if h.suffix == suffix {
			return h
		}
	}
	return held{}
}

// tooLarge names the numbers and the largest values.
func (f *facts) tooLarge(d *draft, limit string, most, need int) error {
	return tooLarge(d.set(), f.platform, limit, most, need)
}

func tooLarge(set []*core.Fragment, platform Platform, limit string, most, need int) error {
	e := &session.TooLargeError{Platform: string(platform), Limit: limit, Max: most, Need: need}
	var entries []*core.Entry
	for _, s := range set {
		e.Session = max(e.Session, s.PlaintextLen())
		for i := range s.Entries {
			entries = append(entries, &s.Entries[i])
		}
	}
	slices.SortFunc(entries, func(a, b *core.Entry) int { return len(b.Value) - len(a.Value) })
	for _, entry := range entries[:min(len(entries), 3)] {
		e.Largest = append(e.Largest, fmt.Sprintf("%s (%d)", entry.Name, len(entry.Value)))
	}
	return e
}
