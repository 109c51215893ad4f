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

// Size is the size of one sealed value.
type Size struct {
	Bytes    int // length of the plaintext
	Sealed   int // characters of the sealed value
	Cookies  int // number of cookies that hold the value
	Request  int // bytes of the Cookie header: names, values and separators
	Response int // bytes of the Set-Cookie lines: names, values and attributes
}

// Footprint is the size of a session under certain limits; see [Estimate].
type Footprint struct {
	Limits  Limits // in force: the platform's, and what Config.Limits overrides
	Session Size   // the whole session in one head
	Change  Size   // all cookies that a change of the largest entry sets; lines that expire old cookies are not counted
	Largest string // the name of the largest entry

	// Stored reports whether a session that begins with all entries is kept in
	// Config.Fallback.Store, and the cookies hold a reference.
	Stored bool
	// Whole reports whether a change writes the session whole. Of two changes that
	// overlap, the last response then counts.
	Whole bool

	// BeginErr is the error that a commit returns if a session begins with all
	// entries at once: nil if it fits, else a *session.TooLargeError.
	BeginErr error
	// ChangeErr is the error that a commit returns if the largest entry changes.
	ChangeErr error
}

// Fits reports whether a visitor can begin such a session and change it.
func (f Footprint) Fits() bool { return f.BeginErr == nil && f.ChangeErr == nil }

// Estimate returns the size of a session under a configuration. The session has the
// entries that fill sets. Estimate uses the code that decides in production. It
// seals nothing, so c needs no Keys. Estimate does not count the program's other
// cookies: subtract them from Limits.RequestBytes and Limits.Cookies.
//
// Estimate returns an error if [New] does, if a value cannot be encoded, or if fill
// sets nothing. If the session is too large, the error is in the [Footprint].
func Estimate(c Config, fill func(*session.Session)) (Footprint, error) {
	if isNil(c.Keys) {
		c.Keys = new(keyring.Ring)
	}
	m, err := New(c)
	if err != nil {
		return Footprint{}, err
	}
	s := new(session.Session)
	x := core.Of(s)
	x.Init(noSession{})
	fill(s)
	var out Footprint
	err = x.Commit(func(o core.Outcome) (*state.View, error) {
		if o.Err == nil && !o.Writes {
			return nil, errors.New("carryon: there is no session to estimate, because fill has set no value; set one")
		}
		if o.Err == nil {
			out = m.footprint(o)
		}
		return nil, o.Err
	})
	return out, err
}

// footprint returns the footprint of the session that o writes.
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

// estimated calls the policy and adds the platform's name to its error.
func (s *settings) estimated(in *policy.Input) (policy.Plan, error) {
	p, err := policy.Decide(in)
	if e, ok := errors.AsType[*session.TooLargeError](err); ok {
		e.Platform = string(s.config.Platform)
	}
	return p, err
}

// size returns the size of one sealed value.
func (s *settings) size(c *state.Cookie) Size {
	n := len(c.Plaintext())
	w := s.sizer.Of(c)
	return Size{Bytes: n, Sealed: codec.SealedLen(n), Cookies: w.Cookies, Request: w.Request, Response: w.Response}
}
