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
	response int // bytes of Set-Cookie values
}

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
	return s.text(codec.SealedLen(packed)).cookies < s.text(codec.SealedLen(plain)).cookies
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
func (s scale) weigh(f *core.Fragment) weight {
	return s.text(codec.SealedLen(len(s.wire(f))))
}

// text is what that many sealed characters take.
func (s scale) text(left int) (w weight) {
	for ; left > 0; w.cookies++ {
		room := s.room(w.cookies)
		if room <= 12 || w.cookies == codec.MaxPieces {
			return weight{cookies: 1 << 20, request: 1 << 30, response: 1 << 30}
		}
		n := min(left, room)
		name := s.base + digits(w.cookies) + 1
		w.request += name + n + 2
		w.response += name + n + s.attributes
		left -= n
	}
	return w
}

// draft is a plan that has not been weighed yet.
type draft struct {
	set    []*core.Fragment
	expire []string
}

// own is the fragment that only this writer sends; what stands before it, a
// joined state, is the same for all who saw the same jar.
func (d draft) own() *core.Fragment { return d.set[len(d.set)-1] }

// plan names what is to be sent.
func (f *facts) plan(d draft) plan {
	for _, s := range d.set {
		if s.Suffix == "" {
			s.Name()
		}
	}
	return f.cut(plan{set: d.set, expire: d.expire, changes: true})
}

// fit tells whether the jar stays inside the limits if, beside this response,
// as many writers as the reserve is for send as much as this one: the only
// bound that each of them can keep without knowing of the others.
func (f *facts) fit(d draft, own *core.Fragment, writers int) error {
	total, sent := f.kept(d), weight{}
	total.cookies += writers - 1 // one each, for what others send in pieces is bounded by its bytes
	for _, s := range d.set {
		w := f.scale.weigh(s)
		total, sent = total.plus(w, 1), sent.plus(w, 1)
		if s == own {
			total.request += (writers - 1) * (w.request + 16) // their stamps may take a few bytes more
		}
	}
	l := f.limits
	switch {
	case f.fixed && sent.cookies > 1:
		return f.tooLarge(d, "bytes of the one cookie (FixedName)", l.CookieBytes, sent.response)
	case total.request > l.RequestBytes:
		return f.tooLarge(d, fmt.Sprintf("bytes of the request's Cookie header (Limits.RequestBytes, with room for %d writers at once)", writers), l.RequestBytes, total.request)
	case total.cookies > l.Cookies:
		return f.tooLarge(d, fmt.Sprintf("cookies (Limits.Cookies, with room for %d writers at once)", writers), l.Cookies, total.cookies)
	case sent.response > l.ResponseBytes:
		return f.tooLarge(d, "bytes of Set-Cookie in one response (Limits.ResponseBytes)", l.ResponseBytes, sent.response)
	case sent.cookies > l.SetCookieLines:
		return f.tooLarge(d, "Set-Cookie lines in one response (Limits.SetCookieLines)", l.SetCookieLines, sent.cookies)
	}
	return nil
}

// kept is what the jar holds beside what the draft sets: the program's own
// cookies and ours that it neither expires nor overwrites.
func (f *facts) kept(d draft) weight {
	w := f.others
	w.cookies = min(w.cookies, f.limits.Cookies/2)
	if f.fixed {
		return w // ours is overwritten
	}
	for _, h := range f.jar {
		if !isSet(d.set, h.suffix) && !slices.Contains(d.expire, h.suffix) {
			w = w.plus(h.weight, 1)
		}
	}
	return w
}

// mustBeJoinable refuses a change after which the state could not be sent whole
// in one response, for nobody could ever join it again.
func (f *facts) mustBeJoinable(v *core.View, c *core.Changes, whole *core.Fragment) error {
	w := f.scale.weigh(whole)
	if w.response <= f.limits.ResponseBytes && w.cookies <= f.limits.SetCookieLines || shrinks(v, c) {
		return nil
	}
	return f.tooLarge(draft{set: []*core.Fragment{whole}}, "bytes of Set-Cookie in one response (Limits.ResponseBytes)", f.limits.ResponseBytes, w.response)
}

// cut drops deletions that the response has no room for; they wait for the next
// one. What is set is never cut.
func (f *facts) cut(p plan) plan {
	lines, bytes := 0, 0
	for _, s := range p.set {
		w := f.scale.weigh(s)
		lines, bytes = lines+w.cookies, bytes+w.response
	}
	for i, suffix := range p.expire {
		w := f.expiry(suffix)
		lines, bytes = lines+w.cookies, bytes+w.response
		if lines > f.limits.SetCookieLines || bytes > f.limits.ResponseBytes {
			p.expire = p.expire[:i]
			break
		}
	}
	return p
}

// expiry is what the deletion of one suffix takes.
func (f *facts) expiry(suffix string) (w weight) {
	for _, h := range f.jar {
		if h.suffix == suffix {
			w.cookies = h.weight.cookies
			w.response = w.cookies * (f.scale.base + 4 + f.scale.attributes)
		}
	}
	return w
}

// tooLarge names the numbers and the largest values.
func (f *facts) tooLarge(d draft, limit string, most, need int) error {
	e := &session.TooLargeError{Platform: string(f.platform), Limit: limit, Max: most, Need: need}
	var entries []core.Entry
	for _, s := range d.set {
		e.Session = max(e.Session, len(s.Plaintext()))
		entries = append(entries, s.Entries...)
	}
	slices.SortFunc(entries, func(a, b core.Entry) int { return len(b.Value) - len(a.Value) })
	for _, entry := range entries[:min(len(entries), 3)] {
		e.Largest = append(e.Largest, fmt.Sprintf("%s (%d)", entry.Name, len(entry.Value)))
	}
	return e
}
