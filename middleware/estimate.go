package middleware

import (
	"context"
	"errors"
	"slices"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/session"
)

// Size is what one sealed value takes on its way.
type Size struct {
	Bytes    int // before it is sealed
	Sealed   int // characters of the sealed value
	Cookies  int // that it is cut into
	Request  int // bytes of the Cookie header: names, values and separators
	Response int // bytes of the Set-Cookie lines: names, values and attributes
}

// Footprint is what a session takes under certain limits; see [Estimate].
type Footprint struct {
	Limits  Limits // in force: the platform's, and what Config.Limits overrides
	Session Size   // the whole session
	Change  Size   // a change of its largest entry alone, beside the whole
	Largest string // the name of that entry

	// Stored tells that a session which begins with all of it is kept in
	// Config.Fallback, and the cookies hold a reference.
	Stored bool

	// BeginErr is what a commit says if a session begins with all entries at
	// once; nil where it fits, with room for Limits.Parallel requests that do
	// the same, else a *session.TooLargeError. A session can grow beyond what it
	// can begin with.
	BeginErr error
	// ChangeErr is what it says of the change.
	ChangeErr error
}

// Fits tells whether a visitor can begin such a session and change it, by
// Limits.Parallel requests at once.
func (f Footprint) Fits() bool { return f.BeginErr == nil && f.ChangeErr == nil }

// Estimate tells what a session with the entries that fill sets takes under a
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
	err = x.Commit(func(o core.Outcome) (*core.View, error) {
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
	now := core.Millis(s.Clock())
	f := facts{write: core.Write{Now: now, ID: 1<<32 - 1, Lifetime: s.lifetime, Browser: s.BrowserSession},
		idle: s.idle, fixed: s.FixedName, scale: s.scale, limits: s.limits, platform: s.Platform,
		store: s.Fallback != nil, mode: s.Mode}
	out := Footprint{Limits: s.limits}
	begun, err := f.begin(o.View, o.Changes)
	out.BeginErr, out.Stored = err, begun.record != nil
	whole := o.View.Snapshot(o.Changes, f.write)
	out.Session = s.scale.size(whole)

	w := s.scale.weigh(whole)
	f.jar = []held{{suffix: whole.Suffix, weight: weight{cookies: w.cookies, request: w.request}}}
	view := core.Merge([]*core.Fragment{whole}, 0, now, s.idle)
	f.write.Now++
	c := changeOf(whole)
	out.Largest = c.Ops[0].Name
	_, out.ChangeErr = f.change(&view, c)
	out.Change = s.scale.size(view.Delta(c, f.write))
	return out
}

// changeOf gives f's largest entry a value that is a byte longer: what gets no
// longer is never refused.
func changeOf(f *core.Fragment) *core.Changes {
	largest := slices.MaxFunc(f.Entries, func(a, b core.Entry) int { return len(a.Value) - len(b.Value) })
	value := append(slices.Clone(largest.Value), 0)
	return &core.Changes{Ops: []core.Op{{Name: largest.Name, Value: value}}}
}

func (s scale) size(f *core.Fragment) Size {
	w := s.weigh(f)
	return Size{Bytes: len(f.Plaintext()), Sealed: codec.SealedLen(len(s.wire(f))),
		Cookies: w.cookies, Request: w.request, Response: w.response - w.cookies*lineOverhead}
}

// nobody is a visitor without a session.
type nobody struct{}

func (nobody) Load(context.Context) (*core.View, error)               { return &core.View{Verdict: core.Absent}, nil }
func (nobody) Save(context.Context, core.Outcome) (*core.View, error) { return nil, nil }
func (nobody) LateRead()                                              {}
func (nobody) LateChange(string)                                      {}
