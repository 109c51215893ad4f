package middleware

import (
	"context"
	"slices"
	"sync"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/cookiejar"
	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/session"
)

// maxAge returns how long a browser keeps a cookie, in seconds: until the session
// ends. It is negative if the cookie ends with the browser session.
func (x *requestState) maxAge(c *state.Cookie, p policy.Plan, now int64) int64 {
	head := c
	if c.Kind == state.Cell || c.Kind == state.Seen {
		head = sessionOf(p, &x.found.view)
	}
	if head.Browser {
		return -1
	}
	return max((head.End-now+999)/1000, 0)
}

// appendSet appends the Set-Cookie lines of one cookie, one for each piece.
func (m *Sessions) appendSet(lines []string, key *keyring.Key, c *state.Cookie, maxAge int64) ([]string, error) {
	plaintext := c.Plaintext()
	size := codec.SealedLen(len(plaintext))
	if size > m.sizer.PieceLimit(0) {
		return m.appendPieces(lines, key, c.Tag, plaintext, maxAge)
	}
	line := m.form.AppendName(make([]byte, 0, m.form.NameLen()+1+size+m.form.MaxAttributes()), c.Tag, 0)
	line, err := m.formats.Seal(line, key, m.binding(c.Tag), plaintext)
	if err != nil {
		return nil, err
	}
	return append(lines, cookiejar.UnsafeString(m.form.AppendAttributes(line, maxAge))), nil
}

// sealBuffers holds buffers for sealed values that are cut into pieces.
var sealBuffers = sync.Pool{New: func() any { return new([]byte) }}

// appendPieces appends the lines of a cookie that is planned to take several. It may
// need only one, if its format adds fewer bytes than the plan assumes.
func (m *Sessions) appendPieces(lines []string, key *keyring.Key, tag string, plaintext []byte, maxAge int64) ([]string, error) {
	buffer := sealBuffers.Get().(*[]byte)
	defer sealBuffers.Put(buffer)
	text, err := m.formats.Seal(slices.Grow((*buffer)[:0], codec.SealedLen(len(plaintext))), key, m.binding(tag), plaintext)
	if err != nil {
		return nil, err
	}
	*buffer = text
	return m.form.AppendPieces(lines, tag, text, m.sizer.PieceLimit, maxAge)
}

// appendSurplus expires surplus pieces: the request carries them under c's tag, and
// c's new value is shorter and does not need them.
func (x *requestState) appendSurplus(lines []string, c *state.Cookie) []string {
	if numbers := x.found.jar.PieceNumbers(c.Tag); numbers != 0 {
		own := uint64(1)<<x.sessions.sizer.Of(c).Cookies - 1
		return x.sessions.form.AppendExpiry(lines, c.Tag, numbers&^own)
	}
	return lines
}

// seal returns the Set-Cookie lines of a plan. Lines that set cookies come first,
// because truncation drops the tail.
func (x *requestState) seal(p policy.Plan) ([]string, error) {
	if len(p.Set) == 0 && len(p.Expire) == 0 {
		return nil, nil
	}
	m := x.sessions
	lines := make([]string, 0, len(p.Set)+len(p.Expire)+1)
	if len(p.Set) > 0 {
		now := m.config.Clock()
		key := m.config.Keys.Ring(x).Active(now)
		if key == nil {
			return nil, session.ErrNoKey
		}
		for _, c := range p.Set {
			var err error
			if lines, err = m.appendSet(lines, key, c, x.maxAge(c, p, state.Millis(now))); err != nil {
				return nil, err
			}
			lines = x.appendSurplus(lines, c)
		}
	}
	for _, tag := range p.Expire {
		lines = m.form.AppendExpiry(lines, tag, x.found.jar.PieceNumbers(tag))
	}
	return lines, nil
}

// observeCommit reports the commit of a plan.
func (x *requestState) observeCommit(ctx context.Context, p policy.Plan, out Fields) {
	e := Event{Kind: EventCommitted, Set: len(p.Set), Expired: len(p.Expire)}
	for _, line := range out.SetCookie {
		e.Bytes += len(line)
	}
	if c := sessionOf(p, &x.found.view); c != nil {
		e.SessionID = c.Root.ID()
	}
	x.observe(ctx, e)
	if p.Whole {
		x.observe(ctx, Event{Kind: EventWhole, SessionID: e.SessionID, Bytes: e.Bytes})
	}
	if key := x.sessions.config.Keys.Ring(x).Active(x.sessions.config.Clock()); key != nil && x.rotates(p) {
		x.observe(ctx, Event{Kind: EventRotated, SessionID: e.SessionID, KeyID: key.ID().String()})
	}
}

// rotates reports whether a plan replaces a cookie that a retired key has sealed.
func (x *requestState) rotates(p policy.Plan) bool {
	for i := range x.found.groups {
		tag := x.found.jar.Groups[i].Tag
		if x.found.groups[i].retired && len(p.Set) > 0 &&
			(slices.Contains(p.Expire, tag) || slices.ContainsFunc(p.Set, func(c *state.Cookie) bool { return c.Tag == tag })) {
			return true
		}
	}
	return false
}
