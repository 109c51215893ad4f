package middleware

import (
	"errors"
	"slices"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/session"
)

// Size is what one sealed value takes on its way.
type Size struct {
	Bytes    int // before it is sealed
	Sealed   int // characters of the sealed value
	Cookies  int // that it is chunked over
	Request  int // bytes of the Cookie header: names, values and separators
	Response int // bytes of the Set-Cookie lines: names, values and attributes
}

// Footprint is what a session takes under certain limits; see [Estimate].
type Footprint struct {
	Limits  Limits // in force: the platform's, and what Config.Limits overrides
	Session Size   // the whole session in one head
	Change  Size   // all that a change of its largest entry sets, without the lines that remove what it replaces
	Largest string // the name of that entry

	// Stored reports whether a session that begins with all of it is kept in
	// Config.Fallback, and the cookies hold a reference.
	Stored bool
	// Whole reports whether a change writes the session whole, so that of
	// changes that overlap the last response counts.
	Whole bool

	// BeginErr is what a commit returns if a session begins with all entries at
	// once; nil if it fits, else a *session.TooLargeError.
	BeginErr error
	// ChangeErr is what it returns for the change.
	ChangeErr error
}

// Fits reports whether a visitor can begin such a session and change it.
func (f Footprint) Fits() bool { return f.BeginErr == nil && f.ChangeErr == nil }

// Estimate returns what a session with the entries that fill sets takes under a
// configuration, by the arithmetic that decides in production. Nothing is
// sealed, so that c needs no Keys. Other cookies of the program are not counted:
// take them off Limits.RequestBytes and Limits.Cookies.
//
// The errors are those of [New], of values that cannot be encoded, and of a fill
// that sets nothing. That a session is too large is not one: see [Footprint].
func Estimate(c Config, fill func(*session.Session)) (Footprint, error) {
	if isNil(c.Keys) {
		c.Keys = new(keyring.Ring)
	}
	m, err := New(c)
	if err != nil {
		return Footprint{}, err
	}
	var x core.Core
	x.Init(nobody{})
	fill((*session.Session)(&x))
	var out Footprint
	err = x.Commit(func(o core.Outcome) (*state.View, error) {
		if o.Err == nil && !o.Writes {
			return nil, errors.New("carryon: there is no session to estimate; set a value")
		}
		if o.Err == nil {
			out = m.footprint(o)
		}
		return nil, o.Err
	})
	return out, err
}

func (s *settings) footprint(o core.Outcome) Footprint {
	out := Footprint{Limits: s.limits}
	o.Changes.Renewed = true // as a login
	in := s.input(o)
	begun, err := s.estimated(in)
	out.BeginErr, out.Stored = err, begun.Record != nil
	entries := o.Changes.Ops
	if err != nil {
		in.Limits = policy.Limits{Cookies: 1 << 20, RequestBytes: 1 << 30, ResponseBytes: 1 << 30, SetCookieLines: 1 << 20}
		in.Mode, in.FixedName = policy.CookiesOnly, false
		begun, _ = policy.Decide(in)
	}
	head := begun.Set[0]
	if begun.Record != nil {
		head = begun.Record
	}
	out.Session = s.size(head)
	if len(entries) == 0 { // a login without values
		out.Change, out.ChangeErr = out.Session, err
		return out
	}
	largest := slices.MaxFunc(entries, func(a, b state.Op) int { return len(a.Value) - len(b.Value) })
	out.Largest = largest.Name
	if err != nil || begun.Record != nil {
		out.Change, out.ChangeErr = out.Session, err
		return out
	}
	change := slices.Clone(largest.Value)
	change[len(change)-1] ^= 1
	v := state.Read([]*state.Cookie{head}, nil, in.Now, s.idle)
	next := s.input(core.Outcome{View: &v, Changes: &state.Changes{Ops: []state.Op{{Name: largest.Name, Value: change}}}, Writes: true})
	next.Jar = []policy.Group{{Tag: head.Tag, Size: s.sizer.Of(head)}}
	p, err := s.estimated(next)
	out.ChangeErr, out.Whole = err, p.Whole
	for _, c := range p.Set {
		size := s.size(c)
		out.Change = Size{out.Change.Bytes + size.Bytes, out.Change.Sealed + size.Sealed, out.Change.Cookies + size.Cookies,
			out.Change.Request + size.Request, out.Change.Response + size.Response}
	}
	return out
}

// estimated asks the policy, and gives its refusal the platform's name.
func (s *settings) estimated(in *policy.Input) (policy.Plan, error) {
	p, err := policy.Decide(in)
	if e, ok := errors.AsType[*session.TooLargeError](err); ok {
		e.Platform = string(s.Platform)
	}
	return p, err
}

func (s *settings) size(c *state.Cookie) Size {
	n := len(c.Plaintext())
	w := s.sizer.Of(c)
	return Size{Bytes: n, Sealed: codec.SealedLen(n), Cookies: w.Cookies, Request: w.Request, Response: w.Response}
}
