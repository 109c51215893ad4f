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

// findings is what a load makes of a request, with room for the usual session
// in one allocation.
type findings struct {
	jar       jar
	view      core.View // of the cookies alone
	frozen    bool      // more is missing that may come back
	aging     bool      // some of it is to be sealed anew
	stored    *stored   // what the store was asked; nil: nothing
	legacy    *legacy   // another library's cookie; nil: none, or nobody looks for one
	refusals  []refusal
	told      map[session.Reason]bool // in events, so far; nil: none
	more      *more                   // nil, or room for several fragments
	room      core.Room
	pieces    [1]piece
	groups    [1]group
	fragments [1]*core.Fragment
	first     core.Fragment
	entries   [4]core.Entry
}

// more is the room that a session takes which has been changed since it was last
// written whole: a snapshot and a delta or two.
type more struct {
	pieces    [3]piece
	groups    [3]group
	fragments [3]*core.Fragment
	delta     core.Fragment
	entries   [2]core.Entry
	needs     [6]core.Need
	state     [6]core.Entry // of both together
}

// load opens and merges what the Cookie header holds. What does not open is a reason, not an
// error. It fails where the session lives in a store that does not answer.
func (x *work) load(ctx context.Context) (*core.View, error) {
	m := x.sessions
	start := m.Clock()
	found := &x.room
	x.found = found
	j := &found.jar
	l := loading{m: m, now: start, jar: j, found: found}
	l.makeRoom()
	j.read(x.cookies, m.Name, m.FixedName, maxOurs)
	if len(j.groups) > 0 {
		l.ring = m.Keys.Ring(ctx)
		l.openAll()
	}
	if l.unknown > 0 {
		l.retry(ctx)
	}
	j.disown()
	found.refusals, found.aging = l.refusals, l.aging
	found.frozen = l.torn > 0
	closed := string(l.reason)
	if j.tooMany {
		closed, found.frozen = string(session.TooMany), true
		l.unknown++
	}
	v := &found.view
	v.Merge(l.fragments, l.unknown, core.Millis(start), m.idle, &found.room, found.joined())
	v.Closed, v.Frozen = closed, found.frozen
	var err error
	if m.imports(start) {
		err = x.adopt(ctx, v, start)
	}
	if v.Ref != nil {
		v, err = x.follow(ctx)
	}
	if err == nil {
		err = x.refuseRevoked(ctx, v)
	}
	if m.Observer != nil || x.listen != nil {
		x.observeLoad(ctx, v, m.Clock().Sub(start))
	}
	return v, err
}

// loading is the opening of one jar.
type loading struct {
	m         *Sessions
	now       time.Time
	ring      *keyring.Ring
	jar       *jar
	found     *findings // with room
	taken     int       // fragments that lie in that room
	fragments []*core.Fragment
	unknown   int            // fragments that another replica may be able to open
	torn      int            // fragments of which pieces are missing
	aging     bool           // a fragment is to be sealed anew
	reason    session.Reason // of the refusals the one that says most
	refusals  []refusal
}

// makeRoom lays the jar and the fragments into the room that there is.
func (l *loading) makeRoom() {
	f := l.found
	l.taken, l.fragments = 0, f.fragments[:0]
	l.jar.pieces, l.jar.groups = f.pieces[:0], f.groups[:0]
	if f.more != nil {
		l.fragments, l.jar.pieces, l.jar.groups = f.more.fragments[:0], f.more.pieces[:0], f.more.groups[:0]
	}
}

// spare is a fragment to be decoded into, and room for its lists.
func (l *loading) spare() (*core.Fragment, core.Lists) {
	f := l.found
	switch l.taken++; {
	case l.taken == 1:
		return &f.first, core.Lists{Entries: f.entries[:0]}
	case l.taken == 2 && f.more != nil:
		return &f.more.delta, core.Lists{Entries: f.more.entries[:0], Needs: f.more.needs[:0]}
	}
	return &core.Fragment{}, core.Lists{}
}

// joined is room for the entries of several fragments together.
func (f *findings) joined() []core.Entry {
	if f.more == nil {
		return nil
	}
	return f.more.state[:0]
}

// refusal is one fragment that did not open.
type refusal struct {
	reason session.Reason
	key    string
}

func (l *loading) openAll() {
	for i := range l.jar.groups {
		g := &l.jar.groups[i]
		f, err := l.openGroup(g)
		g.waste = errors.Is(err, codec.DeadKey) || errors.Is(err, codec.Malformed) || errors.Is(err, codec.WrongLength)
		if err != nil {
			l.refuse(err)
			continue
		}
		l.fragments = append(l.fragments, f)
	}
}

// retry opens everything again, once, where an unknown key id has made the ring
// look at its source before its time and it has changed.
func (l *loading) retry(ctx context.Context) {
	r, ok := l.m.Keys.(keyring.Refresher)
	if !ok {
		return
	}
	ring := r.Refresh(ctx)
	if ring == l.ring {
		return
	}
	*l = loading{m: l.m, now: l.now, ring: ring, jar: l.jar, found: l.found, taken: l.taken, fragments: l.fragments[:0]}
	l.openAll()
}

func refusalOf(err error) refusal {
	r := refusal{reason: session.Malformed}
	if e, ok := errors.AsType[*codec.Error](err); ok {
		r.reason = session.Reason(e.Reason)
		if r.reason == session.UnknownKey || r.reason == session.DeadKey {
			r.key = e.KeyID.String()
		}
	}
	return r
}

func (l *loading) refuse(err error) {
	r := refusalOf(err)
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
func (l *loading) openGroup(g *group) (*core.Fragment, error) {
	if l.jar.plain(g) {
		f, err := l.openPlain(g)
		g.sealed = errors.Is(err, codec.BadSeal)
		return f, err
	}
	var refused error
	r := l.jar.readings(g)
	for way := range r.ways {
		f, err := l.openReading(g, r.reading(way))
		if err == nil {
			return f, nil
		}
		if refused == nil || errors.Is(err, codec.UnknownKey) {
			refused = err
		}
	}
	// Where names are doubled, the good reading may not have been tried.
	g.sealed = errors.Is(refused, codec.BadSeal) && r.ways == 1
	return nil, refused
}

func (l *loading) openReading(g *group, pieces []string) (*core.Fragment, error) {
	return l.open(g, func(i int) (string, bool) {
		if i >= len(pieces) {
			return "", false
		}
		return pieces[i], pieces[i] != ""
	})
}

// openPlain opens a fragment whose pieces are there once each, in their order, as
// nearly all are.
func (l *loading) openPlain(g *group) (*core.Fragment, error) {
	return l.open(g, func(i int) (string, bool) {
		if i >= g.count {
			return "", false
		}
		return l.jar.pieces[g.first+i].value, true
	})
}

// open turns the pieces of one sealed value into the fragment it carries.
func (l *loading) open(g *group, piece func(i int) (string, bool)) (*core.Fragment, error) {
	plaintext, key, used, err := l.m.formats.OpenPieces(nil, l.ring, l.now, l.m.binding(g.suffix), piece)
	if err != nil {
		return nil, err
	}
	f, room := l.spare()
	if err := f.Decode(plaintext, room); err != nil {
		return nil, err
	}
	f.Suffix, g.retired = g.suffix, retired(key, l.now)
	if g.retired {
		last, _ := piece(used - 1)
		g.aging = aging(key, last, l.now)
		l.aging = l.aging || g.aging
	}
	return f, nil
}

// binding is what a seal is bound to beside its content.
func (m *Sessions) binding(suffix string) codec.Binding {
	return codec.Binding{Audience: m.Audience, Base: m.Name, Suffix: suffix}
}
