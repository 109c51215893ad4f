package middleware

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/cookiejar"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/reason"
)

// load opens and merges what the Cookie header holds. What does not open is a
// reason, not an error. load fails if the session lives in a store that does not
// answer.
func (x *requestState) load(ctx context.Context) (*state.View, error) {
	m := x.sessions
	start := m.Clock()
	found := &x.result
	x.found = found
	found.makeRoom()
	found.jar.Read(x.cookies, m.Name, m.FixedName)
	l := loading{m: m, now: start, found: found}
	if len(found.jar.Groups) > 0 {
		l.ring = m.Keys.Ring(ctx)
		l.openAll()
	}
	if l.unknown > 0 {
		l.resolve(ctx)
	}
	v := &found.view
	v.Read(l.cookies, nil, state.Millis(start), m.idle, found.entriesRoom())
	v.Unopened, v.Refused = l.unknown, l.refused
	if found.jar.TooMany {
		v.Unopened, v.Refused = v.Unopened+1, reason.TooMany
	}
	var err error
	if m.imports(start) {
		err = x.importLegacy(ctx, v, start)
	}
	if v.Verdict == reason.RecordMissing {
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

func (f *loadResult) makeRoom() {
	f.jar.Pieces, f.jar.Groups, f.groups = f.room.pieces[:0], f.room.groups[:0], f.room.fates[:0]
	if s := f.scratch; s != nil {
		f.jar.Pieces, f.jar.Groups, f.groups = s.pieces[:0], s.groups[:0], s.fates[:0]
	}
}

// ours reports whether the request carried a cookie that is this program's.
func (f *loadResult) ours() bool {
	return slices.ContainsFunc(f.groups, func(g groupFate) bool { return !g.foreign })
}

func (f *loadResult) entriesRoom() []state.Entry {
	if f.scratch == nil {
		return nil
	}
	return f.scratch.entries[:0]
}

// loading is the opening of one request's cookies.
type loading struct {
	m          *Sessions
	now        time.Time
	ring       *keyring.Ring
	found      *loadResult // with room
	taken      int         // cookies that lie in that room
	cookies    []*state.Cookie
	unknown    int           // groups that another replica may be able to open
	unknownIDs []keyring.ID  // of their keys
	refused    reason.Reason // of the reasons of the groups the one that says most
}

// spare returns a cookie to be decoded into, and room for its entries.
func (l *loading) spare() (*state.Cookie, []state.Entry) {
	f := l.found
	l.taken++
	switch n := l.taken; {
	case n == 1:
		return &f.room.first, f.room.entries[:0]
	case f.scratch != nil && n-2 < len(f.scratch.cells):
		return &f.scratch.cells[n-2], nil
	}
	return &state.Cookie{}, nil
}

func (l *loading) openAll() {
	f := l.found
	f.groups = f.groups[:0]
	if l.cookies = f.room.cookies[:0]; f.scratch != nil {
		l.cookies = f.scratch.cookies[:0]
	}
	for i := range f.jar.Groups {
		g := &f.jar.Groups[i]
		fate, err := l.openGroup(g)
		if err != nil {
			l.refuse(g, &fate, err)
		} else {
			l.cookies = append(l.cookies, fate.cookie)
		}
		f.groups = append(f.groups, fate)
	}
}

// resolve finds out whether keys that the ring does not have belong to a newer
// ring, which is read then, or to another program.
func (l *loading) resolve(ctx context.Context) {
	r, ok := l.m.Keys.(keyring.Resolver)
	if !ok {
		return
	}
	ring, verdict := r.Resolve(ctx, l.unknownIDs...)
	if ring != l.ring {
		l.ring = ring
		l.again()
	}
	if verdict != keyring.Foreign || l.unknown == 0 {
		return
	}
	l.m.adviseOnForeign(l.unknownIDs[0])
	for i := range l.found.groups {
		if fate := &l.found.groups[i]; fate.reason == reason.UnknownKey {
			fate.foreign = true
		}
	}
	l.unknown = 0
}

// again opens everything with a ring that has changed.
func (l *loading) again() {
	l.found.room.first, l.taken = state.Cookie{}, 0
	if s := l.found.scratch; s != nil {
		clear(s.cells[:])
	}
	l.unknown, l.unknownIDs, l.refused = 0, nil, reason.None
	l.openAll()
}

// adviseOnForeign says once what a cookie that is sealed by another program's key
// means.
func (m *Sessions) adviseOnForeign(id keyring.ID) {
	m.foreign.Do(func() {
		m.Logger.Warn("carryon: a visitor brought a session cookie that is sealed by a key which is not in the ring: another program on this host "+
			"uses the same Config.Name, or the ring was replaced; if it is another program, give one of them another Config.Name",
			"name", m.Name, "key", id.String())
	})
}

// refuse notes why a group did not open.
func (l *loading) refuse(g *cookiejar.Group, fate *groupFate, err error) {
	why := reasonOf(err)
	fate.reason = why
	fate.waste = !g.HasFirst || isPermanent(reason.Of(err))
	if e, ok := errors.AsType[*codec.Error](err); ok {
		fate.key = e.KeyID
	}
	if why == reason.UnknownKey {
		l.unknown++
		l.unknownIDs = append(l.unknownIDs, fate.key)
	}
	if l.refused == reason.None || why == reason.UnknownKey {
		l.refused = why
	}
}

// reasonOf returns the reason of an error of opening. What a seal protects and
// this version cannot decode is malformed.
func reasonOf(err error) reason.Reason { return cmp.Or(reason.Of(err), reason.Malformed) }

// isPermanent reports whether no replica can ever open a cookie that was refused
// for a reason.
func isPermanent(why reason.Reason) bool {
	return why == reason.DeadKey || why == reason.Malformed || why == reason.WrongLength
}

// openGroup turns the cookies of one tag into the content they carry. Of several
// readings that open the newest counts. If none opens, the refusal that leaves
// most hope is returned.
func (l *loading) openGroup(g *cookiejar.Group) (fate groupFate, err error) {
	jar := &l.found.jar
	if jar.InOrder(g) {
		fate, err = l.openPlain(g)
		fate.foreign = errors.Is(err, reason.BadSeal) && !jar.TooMany
		return fate, err
	}
	var refused error
	r := jar.Combinations(g)
	var best groupFate
	for way := range r.Count {
		fate, err := l.openReading(g, r.Combination(way))
		switch {
		case err == nil:
			// A planted cookie may be an old one of the visitor's own.
			if best.cookie == nil || fate.cookie.Newer(best.cookie) {
				best = fate
			}
		case refused == nil || errors.Is(err, reason.UnknownKey):
			refused = err
		}
	}
	if best.cookie != nil {
		return best, nil
	}
	// Where names are doubled, the good reading may not have been tried.
	return groupFate{foreign: errors.Is(refused, reason.BadSeal) && r.Count == 1 && !jar.TooMany}, refused
}

func (l *loading) openReading(g *cookiejar.Group, pieces []string) (groupFate, error) {
	return l.open(g, func(i int) (string, bool) {
		if i >= len(pieces) {
			return "", false
		}
		return pieces[i], pieces[i] != ""
	})
}

// openPlain opens a group whose pieces are there once each, in their order, as
// nearly all are.
func (l *loading) openPlain(g *cookiejar.Group) (groupFate, error) {
	jar := &l.found.jar
	return l.open(g, func(i int) (string, bool) {
		if i >= g.Count {
			return "", false
		}
		return jar.Pieces[g.First+i].Value, true
	})
}

// open turns the pieces of one sealed value into the content they carry.
func (l *loading) open(g *cookiejar.Group, piece func(i int) (string, bool)) (groupFate, error) {
	plaintext, key, _, err := l.m.formats.OpenPieces(nil, l.ring, l.now, l.m.binding(g.Tag), piece)
	if err != nil {
		return groupFate{}, err
	}
	c, room := l.spare()
	if err := c.Decode(plaintext, room); err != nil {
		return groupFate{}, err
	}
	c.Tag = g.Tag
	retires := key.Retires()
	return groupFate{cookie: c, retired: !retires.IsZero() && !l.now.Before(retires)}, nil
}

// binding is what a seal is bound to beside its content.
func (m *Sessions) binding(tag string) codec.Binding {
	return codec.Binding{Audience: m.Audience, Base: m.Name, Suffix: tag}
}

func (x *requestState) reload(ctx context.Context, have *state.View) (*state.View, error) {
	now := *have
	v := &now
	if have.Head != nil && state.Millis(x.sessions.Clock()) >= have.Head.End {
		v.End(reason.Expired)
		return v, nil
	}
	if have.Stored() {
		rec, err := x.storage().Load(ctx, have.Winner)
		if err == nil {
			err = x.checkRollback(ctx, rec, have.Winner)
		}
		if err != nil {
			return nil, err
		}
		v = x.viewWith(rec)
	}
	if err := x.refuseRevoked(ctx, v); err != nil {
		return nil, err
	}
	return v, nil
}
