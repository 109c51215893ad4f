package middleware

import (
	"context"
	"errors"
	"time"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/cookiejar"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/reason"
)

// load opens and merges the session cookies in the Cookie header. A cookie that does
// not open is a refusal, not an error. load fails if the session is in a store that
// does not answer.
func (x *requestState) load(ctx context.Context) (*state.View, error) {
	m := x.sessions
	start := m.config.Clock()
	found := &x.result
	x.found = found
	found.useBuffers()
	found.jar.Read(x.cookies, m.config.Cookie.Name, m.config.Cookie.FixedName)
	l := loading{m: m, now: start, found: found}
	if len(found.jar.Groups) > 0 {
		l.ring = m.config.Keys.Ring(ctx)
		l.openAll()
	}
	if l.unknown > 0 {
		l.resolve(ctx)
	}
	v := &found.view
	v.Read(l.cookies, nil, state.Millis(start), m.idle, found.entriesBuffer())
	v.Unopened, v.Refused = l.unknown, l.refused
	if found.jar.TooMany {
		v.Unopened, v.Refused = v.Unopened+1, reason.TooMany
	}
	var err error
	if m.imports(start) {
		err = x.importLegacy(ctx, v, start)
	}
	if v.Verdict == reason.RecordMissing {
		v, err = x.loadRecord(ctx)
	}
	if err == nil {
		err = x.refuseRevoked(ctx, v)
	}
	found.merged = v
	if m.config.Observer != nil && !x.silent {
		x.observeLoad(ctx, v, m.config.Clock().Sub(start))
	}
	return v, err
}

// useBuffers makes the result's slices use the memory that was allocated with it.
func (f *loadResult) useBuffers() {
	f.jar.Pieces, f.jar.Groups, f.groups = f.buffers.pieces[:0], f.buffers.groups[:0], f.buffers.opened[:0]
	if s := f.scratch; s != nil {
		f.jar.Pieces, f.jar.Groups, f.groups = s.pieces[:0], s.groups[:0], s.opened[:0]
	}
}

// entriesBuffer returns memory for the merged entries, or nil.
func (f *loadResult) entriesBuffer() []state.Entry {
	if f.scratch == nil {
		return nil
	}
	return f.scratch.entries[:0]
}

// loading is the state while the cookies of one request are opened.
type loading struct {
	m          *Sessions
	now        time.Time
	ring       *keyring.Ring
	found      *loadResult // with its buffers
	taken      int         // number of cookies that nextCookie has returned
	cookies    []*state.Cookie
	unknown    int           // number of groups whose keys another replica may have
	unknownIDs []keyring.ID  // the ids of these keys
	refused    reason.Reason // of the first group that did not open, or UnknownKey if any key is unknown
}

// nextCookie returns an empty cookie and a buffer for its entries.
func (l *loading) nextCookie() (*state.Cookie, []state.Entry) {
	f := l.found
	l.taken++
	switch n := l.taken; {
	case n == 1:
		return &f.buffers.first, f.buffers.entries[:0]
	case f.scratch != nil && n-2 < len(f.scratch.cells):
		return &f.scratch.cells[n-2], nil
	}
	return &state.Cookie{}, nil
}

// openAll opens all groups of the request with the current ring.
func (l *loading) openAll() {
	f := l.found
	f.groups = f.groups[:0]
	if l.cookies = f.buffers.cookies[:0]; f.scratch != nil {
		l.cookies = f.scratch.cookies[:0]
	}
	for i := range f.jar.Groups {
		g := &f.jar.Groups[i]
		opened, err := l.openGroup(g)
		if err != nil {
			l.refuse(g, &opened, err)
		} else {
			l.cookies = append(l.cookies, opened.cookie)
		}
		f.groups = append(f.groups, opened)
	}
}

// resolve handles cookies whose keys are not in the ring. If the source has a newer
// ring, resolve opens the cookies with that ring. If the source says that the keys
// belong to another program, resolve marks the cookies as foreign.
func (l *loading) resolve(ctx context.Context) {
	r, ok := l.m.config.Keys.(keyring.Resolver)
	if !ok {
		return
	}
	ring, verdict := r.Resolve(ctx, l.unknownIDs...)
	if ring != l.ring {
		l.ring = ring
		l.reopenAll()
	}
	if verdict != keyring.Foreign || l.unknown == 0 {
		return
	}
	l.m.adviseOnForeign(l.unknownIDs[0])
	for i := range l.found.groups {
		if g := &l.found.groups[i]; g.reason == reason.UnknownKey {
			g.foreign = true
		}
	}
	l.unknown = 0
}

// reopenAll discards the results and opens all groups with a newer ring.
func (l *loading) reopenAll() {
	l.found.buffers.first, l.taken = state.Cookie{}, 0
	if s := l.found.scratch; s != nil {
		clear(s.cells[:])
	}
	l.unknown, l.unknownIDs, l.refused = 0, nil, reason.None
	l.openAll()
}

// adviseOnForeign logs once that another program on the host seems to use the same
// cookie name, and how to fix that.
func (m *Sessions) adviseOnForeign(id keyring.ID) {
	m.foreign.Do(func() {
		m.config.Logger.Warn("carryon: a request has a session cookie whose key is not in the ring: another program on this host uses the same "+
			"Config.Cookie.Name, or the ring was replaced; if there is another program, give one of the two a different Config.Cookie.Name",
			"name", m.config.Cookie.Name, "key", id.String())
	})
}

// refuse records why a group did not open.
func (l *loading) refuse(g *cookiejar.Group, opened *openedGroup, err error) {
	why := reasonOf(err)
	opened.reason = why
	opened.unopenable = !g.HasFirst || isPermanent(reason.Of(err))
	if e, ok := errors.AsType[*codec.Error](err); ok {
		opened.key = e.KeyID
	}
	if why == reason.UnknownKey {
		l.unknown++
		l.unknownIDs = append(l.unknownIDs, opened.key)
	}
	if l.refused == reason.None || why == reason.UnknownKey {
		l.refused = why
	}
}

// isPermanent reports whether no replica can ever open a cookie that was refused
// for a reason.
func isPermanent(why reason.Reason) bool {
	return why == reason.DeadKey || why == reason.Malformed || why == reason.WrongLength
}

// openGroup opens the cookies of one tag. If a name occurs more than once, openGroup
// tries the combinations of the pieces, and of those that open the newest counts.
// If none opens, the error is the first one, except that an unknown key comes before
// others: a newer ring may have that key.
func (l *loading) openGroup(g *cookiejar.Group) (opened openedGroup, err error) {
	jar := &l.found.jar
	if jar.InOrder(g) {
		opened, err = l.openInOrder(g)
		opened.foreign = errors.Is(err, reason.BadSeal) && !jar.TooMany
		return opened, err
	}
	var refused error
	r := jar.Combinations(g)
	var best openedGroup
	for i := range r.Count {
		opened, err := l.openCombination(g, r.Combination(i))
		switch {
		case err == nil:
			// An attacker may have planted an old cookie of the visitor.
			if best.cookie == nil || opened.cookie.Newer(best.cookie) {
				best = opened
			}
		case refused == nil || errors.Is(err, reason.UnknownKey):
			refused = err
		}
	}
	if best.cookie != nil {
		return best, nil
	}
	// With several combinations, the right one may not have been tried, so that a
	// bad seal does not prove that another program has sealed the cookie.
	return openedGroup{foreign: errors.Is(refused, reason.BadSeal) && r.Count == 1 && !jar.TooMany}, refused
}

// openCombination opens a group with the given pieces.
func (l *loading) openCombination(g *cookiejar.Group, pieces []string) (openedGroup, error) {
	return l.open(g, func(i int) (string, bool) {
		if i >= len(pieces) {
			return "", false
		}
		return pieces[i], pieces[i] != ""
	})
}

// openInOrder opens a group that has each piece exactly once and in order. Nearly
// all groups are like that.
func (l *loading) openInOrder(g *cookiejar.Group) (openedGroup, error) {
	jar := &l.found.jar
	return l.open(g, func(i int) (string, bool) {
		if i >= g.Count {
			return "", false
		}
		return jar.Pieces[g.First+i].Value, true
	})
}

// open opens one sealed value, whose pieces the function piece returns.
func (l *loading) open(g *cookiejar.Group, piece func(i int) (string, bool)) (openedGroup, error) {
	plaintext, key, _, err := l.m.formats.OpenPieces(nil, l.ring, l.now, l.m.binding(g.Tag), piece)
	if err != nil {
		return openedGroup{}, err
	}
	c, buffer := l.nextCookie()
	if err := c.Decode(plaintext, buffer); err != nil {
		return openedGroup{}, err
	}
	c.Tag = g.Tag
	retires := key.Retires()
	return openedGroup{cookie: c, retired: !retires.IsZero() && !l.now.Before(retires)}, nil
}

// binding returns the context that a seal authenticates besides the content.
func (m *Sessions) binding(tag string) codec.Binding {
	return codec.Binding{Audience: m.config.Audience, Base: m.config.Cookie.Name, Suffix: tag}
}

// reload returns the session as it is now: expired or revoked meanwhile, or changed
// in the store.
func (x *requestState) reload(ctx context.Context, have *state.View) (*state.View, error) {
	now := *have
	v := &now
	if have.Head != nil && state.Millis(x.sessions.config.Clock()) >= have.Head.End {
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
