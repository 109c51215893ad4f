package middleware

import (
	"context"
	"slices"
	"sync"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/session"
)

// plan gathers the facts of this exchange and decides.
func (x *work) plan(o core.Outcome, r Response) (plan, error) {
	m := x.sessions
	if o.View == nil || x.found == nil {
		return plan{}, nil
	}
	if m.silent(o, x.found) {
		return plan{}, nil
	}
	now := core.Millis(m.Clock())
	jar := &x.found.jar
	f := facts{
		write: core.Write{Now: now, ID: core.NewWriteID(), Lifetime: m.lifetime, MaxLifetime: m.MaxLifetime.Milliseconds(), Browser: m.BrowserSession, Bound: x.bound},
		idle:  m.idle, touch: m.touch, quiet: x.quiet, response: r,
		fixed: m.FixedName, scale: m.scale, limits: m.limits, platform: m.Platform,
		others: weight{cookies: jar.others, request: jar.foreign},
		store:  m.Fallback != nil, revocable: m.revocable(), mode: m.Mode, late: x.committed(),
	}
	if f.store {
		f.tag = fallback.Revision{}.Next().Tag
	}
	if s := x.found.stored; s != nil {
		f.stranded = s.stranded
	}
	f.jar = make([]held, 0, len(jar.groups))
	for _, g := range jar.groups {
		f.jar = append(f.jar, held{suffix: g.suffix, weight: weight{cookies: g.count, request: g.bytes}, waste: g.waste || !g.head, aging: g.aging})
	}
	if o.Changes != nil && o.Changes.Destroyed {
		f.farewell = core.NewRoot()
	}
	return decide(o, &f)
}

// silent tells whether a request can have nothing to say to the visitor's cookies: a
// read, as most are.
func (s *settings) silent(o core.Outcome, found *findings) bool {
	return !o.Writes && !o.Changes.Destroyed && !s.mayTidy(o.View) && !found.aging && !o.View.Imported
}

// mayTidy tells whether a request that changes nothing may have something to
// say: a last-seen time that is due, or many fragments to be joined.
// It is asked of the time of the load, to spare most requests a look at the
// clock; whether it is due is decided by the plan.
func (s *settings) mayTidy(v *core.View) bool {
	return v.Head != nil && (touchDue(v, v.Loaded, s.idle, s.touch) || len(v.Fragments) > crowd)
}

// seal makes the Set-Cookie lines of a plan: what is set first, for what cuts a
// header cuts its end.
func (x *work) seal(p plan) ([]string, error) {
	if len(p.set) == 0 && len(p.expire) == 0 {
		return nil, nil
	}
	m := x.sessions
	lines := make([]string, 0, len(p.set)+len(p.expire)+1)
	if len(p.set) > 0 {
		now := m.Clock()
		key := m.Keys.Ring(x).Active(now)
		if key == nil {
			return nil, session.ErrNoKey
		}
		for _, f := range p.set {
			var err error
			if lines, err = m.appendSet(lines, key, f, core.Millis(now)); err != nil {
				return nil, err
			}
			lines = x.appendSurplus(lines, f)
		}
	}
	for _, suffix := range p.expire {
		lines = m.appendExpiry(lines, suffix, x.found.jar.numbers(suffix))
	}
	return lines, nil
}

// appendSet appends the Set-Cookie lines of one fragment, one for each piece.
func (m *Sessions) appendSet(lines []string, key *keyring.Key, f *core.Fragment, now int64) ([]string, error) {
	plaintext := m.scale.wire(f)
	suffix := f.Suffix
	if m.FixedName {
		suffix = ""
	}
	maxAge := int64(-1)
	if !f.Browser {
		maxAge = max((f.End-now+999)/1000, 0)
	}
	size := codec.SealedLen(len(plaintext))
	if size > m.scale.room(0) {
		return m.appendPieces(lines, key, suffix, plaintext, maxAge)
	}
	line, err := m.formats.Seal(m.beginLine(suffix, size), key, m.binding(suffix), plaintext)
	if err != nil {
		return nil, err
	}
	return append(lines, asString(m.appendAttributes(line, maxAge))), nil
}

// texts are sealed values that are cut into pieces, each a line of its own.
var texts = sync.Pool{New: func() any { return new([]byte) }}

// appendPieces appends the lines of a fragment that takes several cookies. A
// format that adds less than is planned for may turn out to take one.
func (m *Sessions) appendPieces(lines []string, key *keyring.Key, suffix string, plaintext []byte, maxAge int64) ([]string, error) {
	room := texts.Get().(*[]byte)
	defer texts.Put(room)
	text, err := m.formats.Seal(slices.Grow((*room)[:0], codec.SealedLen(len(plaintext))), key, m.binding(suffix), plaintext)
	if err != nil {
		return nil, err
	}
	*room = text
	pieces, err := codec.Split(text, m.scale.room)
	if err != nil {
		return nil, err
	}
	lines = slices.Grow(lines, len(pieces))
	all := make([]byte, 0, len(text)+len(pieces)*m.longestLine()) // the lines share it: they live as long as the header does
	for i, piece := range pieces {
		start := len(all)
		all = m.appendAttributes(append(m.appendName(all, suffix, i), piece...), maxAge)
		lines = append(lines, asString(all[start:]))
	}
	return lines, nil
}

// beginLine makes a Set-Cookie line up to where the value begins, with room for a
// value of that size and what follows it.
func (m *Sessions) beginLine(suffix string, size int) []byte {
	return m.appendName(make([]byte, 0, m.scale.base+1+size+m.scale.attributes), suffix, 0)
}

// appendSurplus expires what the request carried under a set fragment's name
// beyond its pieces: the rest of a longer form of the same content.
func (x *work) appendSurplus(lines []string, f *core.Fragment) []string {
	if numbers := x.found.jar.numbers(f.Suffix); numbers != 0 {
		own := uint64(1)<<x.sessions.scale.weigh(f).cookies - 1
		return x.sessions.appendExpiry(lines, f.Suffix, numbers&^own)
	}
	return lines
}

func (x *work) observeCommit(ctx context.Context, p plan, out Fields) {
	e := Event{Kind: EventCommitted, Set: len(p.set), Expired: len(p.expire)}
	for _, line := range out.SetCookie {
		e.Bytes += len(line)
	}
	if len(p.set) > 0 {
		e.SessionID = p.set[0].Root.ID()
	}
	x.observe(ctx, e)
	if key := x.sessions.Keys.Ring(x).Active(x.sessions.Clock()); key != nil && x.rotates(p) {
		x.observe(ctx, Event{Kind: EventRotated, SessionID: e.SessionID, KeyID: key.ID().String()})
	}
}

// rotates tells whether a plan replaces what a retired key has sealed.
func (x *work) rotates(p plan) bool {
	return len(p.set) > 0 && slices.ContainsFunc(x.found.jar.groups, func(g group) bool {
		return g.retired && (isSet(p.set, g.suffix) || slices.Contains(p.expire, g.suffix))
	})
}
