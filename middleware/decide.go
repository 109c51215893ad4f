package middleware

import (
	"errors"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/session"
)

// decidePlan returns the policy's plan for the response. conflict reports whether
// the record has changed since it was loaded.
func (x *requestState) decidePlan(o core.Outcome, r Response, conflict bool) (policy.Plan, error) {
	m := x.sessions
	if o.View == nil || x.found == nil || m.silent(o) {
		return policy.Plan{}, nil
	}
	in := m.input(o)
	in.Bound, in.MayTouch, in.Late, in.Conflict = x.bound, mayTouch(x.quiet, r), x.committed(), conflict
	in.Others = policy.Size{Cookies: x.found.jar.Others, Request: x.found.jar.OthersBytes}
	in.Jar = x.groups(&in.Others)
	if m.config.Fallback.Store != nil {
		in.RowTag = fallback.Revision{}.Next().Tag
	}
	if o.Changes.Destroyed {
		in.Fresh = state.NewRoot()
	}
	p, err := m.decide(in)
	if e, ok := errors.AsType[*session.TooLargeError](err); ok {
		e.Platform = string(m.config.Platform)
	}
	return p, err
}

// decide calls the policy. If the request adds entries to the session, the policy
// also gets the entries that other requests are adding to the session.
func (m *Sessions) decide(in *policy.Input) (p policy.Plan, err error) {
	if !in.Grows() {
		return policy.Decide(in)
	}
	in.InFlight = m.inFlight.begin(in.View)
	defer func() { m.inFlight.end(in.View, p.Grows, m.config.Clock()) }()
	return policy.Decide(in)
}

// input returns the policy's input as far as the configuration and the outcome
// determine it.
func (s *settings) input(o core.Outcome) *policy.Input {
	return &policy.Input{View: o.View, Changes: o.Changes, Writes: o.Writes, Now: state.Millis(s.config.Clock()), ID: state.NewWriteID(),
		Lifetime: s.lifetime, MaxLifetime: s.config.Lifetimes.Max.Milliseconds(), Browser: s.config.Cookie.BrowserSession, Idle: s.idle, Touch: s.touch,
		Audience: s.config.Audience, Sizer: s.sizer, Limits: s.policyLimits(), FixedName: s.config.Cookie.FixedName,
		Mode: policy.Mode(s.config.Fallback.Mode), Store: s.config.Fallback.Store != nil, Revocable: s.revocable()}
}

// policyLimits returns the limits as the policy takes them.
func (s *settings) policyLimits() policy.Limits {
	l := s.limits
	return policy.Limits{Cookies: l.Cookies, RequestBytes: l.RequestBytes, ResponseBytes: l.ResponseBytes, SetCookieLines: l.SetCookieLines}
}

// groups lists this program's session cookies in the request. Cookies that are
// sealed for another program must not be expired; groups adds them to others.
func (x *requestState) groups(others *policy.Size) []policy.Group {
	jar := &x.found.jar
	all := x.found.buffers.jar[:0]
	for i := range jar.Groups {
		g, opened := &jar.Groups[i], &x.found.groups[i]
		size := policy.Size{Cookies: g.Count, Request: g.Bytes}
		if opened.foreign {
			others.Cookies, others.Request = others.Cookies+size.Cookies, others.Request+size.Request
			continue
		}
		all = append(all, policy.Group{Tag: g.Tag, Size: size, Unopenable: opened.unopenable})
	}
	return all
}

// silent reports whether the response needs no Set-Cookie, as after most reads.
func (s *settings) silent(o core.Outcome) bool {
	v := o.View
	return !o.Writes && !o.Changes.Destroyed && !v.Imported && !policy.TouchDue(v, v.Loaded, s.idle, s.touch)
}

// sessionOf returns the head or logout that a plan sets, or else the one that the
// plan keeps.
func sessionOf(p policy.Plan, v *state.View) *state.Cookie {
	for _, c := range p.Set {
		if c.Kind == state.Head || c.Kind == state.Logout {
			return c
		}
	}
	return v.Winner
}

// withPending returns p combined with the plan that an early Save has left
// pending.
func (x *requestState) withPending(p policy.Plan) policy.Plan {
	if x.pending == nil {
		return p
	}
	return x.pending.Then(p)
}
