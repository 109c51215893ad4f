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
	jar, tooMany := ours(x.request.Cookies, m.Name)
	x.jar = jar
	l := loading{m: m, now: start, ring: m.Keys.Ring(ctx)}
	l.openAll(jar)
	if l.unknown > 0 {
		l.retry(ctx, jar)
	}
	view := core.Merge(l.fragments, l.unknown, core.Millis(start), m.idle)
	view.Closed = string(l.reason)
	if tooMany {
		view.Closed, view.Unopened = string(session.TooMany), view.Unopened+1
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
	unknown   int            // cookies that another replica may be able to open
	reason    session.Reason // of the refusals the one that says most
	refusals  []refusal
}

// refusal is one cookie that did not open.
type refusal struct {
	reason session.Reason
	key    string
}

func (l *loading) openAll(jar []sealedCookie) {
	for i := range jar {
		f, err := l.m.open(l.ring, l.now, &jar[i])
		if err != nil {
			l.refuse(err)
			continue
		}
		l.fragments = append(l.fragments, f)
	}
}

// retry opens everything again, once, where an unknown key id has made the ring
// look at its source before its time and it has changed.
func (l *loading) retry(ctx context.Context, jar []sealedCookie) {
	r, ok := l.m.Keys.(keyring.Refresher)
	if !ok {
		return
	}
	ring := r.Refresh(ctx)
	if ring == l.ring {
		return
	}
	*l = loading{m: l.m, now: l.now, ring: ring}
	l.openAll(jar)
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
	// A newer version's format is another replica's business like a new key.
	if r.reason == session.UnknownKey || r.reason == session.UnknownFormat {
		l.unknown++
	}
	if l.reason == "" || r.reason == session.UnknownKey {
		l.reason = r.reason
	}
	l.refusals = append(l.refusals, r)
}

// open turns one cookie into the fragment it carries.
func (m *Sessions) open(ring *keyring.Ring, now time.Time, c *sealedCookie) (*core.Fragment, error) {
	plaintext, _, err := codec.Open(nil, ring, now, m.binding(c.suffix), c.value)
	if err != nil {
		return nil, err
	}
	f, err := core.Decode(plaintext)
	if err != nil {
		return nil, err
	}
	f.Suffix = c.suffix
	return f, nil
}

// binding is what a seal is bound to beside its content.
func (m *Sessions) binding(suffix string) codec.Binding {
	return codec.Binding{Audience: m.Audience, Base: m.Name, Suffix: suffix}
}
