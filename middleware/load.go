package middleware

import (
	"context"
	"errors"
	"time"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/session"
)

// Load is called by the session, once, when it is first used: it opens and
// merges what the Cookie header holds. It never fails here: what does not open
// is a reason, not an error.
func (x *Exchange) Load(ctx context.Context) (*core.View, error) {
	m := x.sessions
	start := m.Clock()
	x.jar = readJar(x.request.Cookies, m.Name, m.FixedName, 4*m.limits.Cookies)
	l := loading{m: m, now: start, ring: m.Keys.Ring(ctx)}
	l.openAll(&x.jar)
	if l.unknown > 0 {
		l.retry(ctx, &x.jar)
	}
	view := core.Merge(l.fragments, l.unknown, core.Millis(start), m.idle)
	view.Closed, view.Frozen = string(l.reason), l.torn > 0
	if x.jar.tooMany {
		view.Closed, view.Frozen = string(session.TooMany), true
		view.Unopened++
	}
	if m.Observer != nil {
		x.observeLoad(ctx, &view, l.refusals, m.Clock().Sub(start))
	}
	return &view, nil
}

// loading is the opening of one jar.
type loading struct {
	m         *Sessions
	now       time.Time
	ring      *keyring.Ring
	fragments []*core.Fragment
	unknown   int            // fragments that another replica may be able to open
	torn      int            // fragments of which pieces are missing
	reason    session.Reason // of the refusals the one that says most
	refusals  []refusal
}

// refusal is one fragment that did not open.
type refusal struct {
	reason session.Reason
	key    string
}

func (l *loading) openAll(j *jar) {
	for i := range j.groups {
		f, err := l.openGroup(&j.groups[i])
		if err != nil {
			l.refuse(err)
			continue
		}
		l.fragments = append(l.fragments, f)
	}
}

// retry opens everything again, once, where an unknown key id has made the ring
// look at its source before its time and it has changed.
func (l *loading) retry(ctx context.Context, j *jar) {
	r, ok := l.m.Keys.(keyring.Refresher)
	if !ok {
		return
	}
	ring := r.Refresh(ctx)
	if ring == l.ring {
		return
	}
	*l = loading{m: l.m, now: l.now, ring: ring}
	l.openAll(j)
}

func (l *loading) refuse(err error) {
	r := refusal{reason: session.Malformed}
	var e *codec.Error
	if errors.As(err, &e) {
		r.reason = session.Reason(e.Reason)
		if r.reason == session.UnknownKey || r.reason == session.DeadKey {
			r.key = e.KeyID.String()
		}
	}
	switch r.reason {
	case session.UnknownKey:
		l.unknown++
	case session.Torn:
		l.torn++
	}
	if l.reason == "" || r.reason == session.UnknownKey {
		l.reason = r.reason
	}
	l.refusals = append(l.refusals, r)
}

// openGroup turns the cookies of one suffix into the fragment they carry. Of
// several readings the first that opens wins, wherever it stands; if none does,
// the refusal that leaves most hope is told.
func (l *loading) openGroup(g *group) (f *core.Fragment, err error) {
	g.combinations(func(pick func(int) (string, bool)) bool {
		value, used, joinErr := codec.Join(pick)
		if joinErr == nil {
			f, joinErr = l.open(g.suffix, value)
		}
		if joinErr == nil {
			g.size, err = used, nil
			return true
		}
		if err == nil || errors.Is(joinErr, codec.UnknownKey) {
			err = joinErr
		}
		return false
	})
	return f, err
}

// open turns one sealed value into the fragment it carries.
func (l *loading) open(suffix, value string) (*core.Fragment, error) {
	plaintext, _, err := codec.Open(nil, l.ring, l.now, l.m.binding(suffix), value)
	if err != nil {
		return nil, err
	}
	f, err := core.Decode(plaintext)
	if err != nil {
		return nil, err
	}
	f.Suffix = suffix
	return f, nil
}

// binding is what a seal is bound to beside its content.
func (m *Sessions) binding(suffix string) codec.Binding {
	return codec.Binding{Audience: m.Audience, Base: m.Name, Suffix: suffix}
}
