package middleware

import (
	"context"
	"fmt"
	"slices"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/session"
)

// maxCookie is the most that name, value and attributes of one cookie may have
// together: what RFC 6265 section 6.1 asks of every browser. Browsers count
// less of it (name and value; Safari ends at 4,093 of those).
const maxCookie = 4096

// seal makes the Set-Cookie lines of a plan: what is set first, for what cuts a
// header cuts its end.
func (x *Exchange) seal(p plan) ([]string, error) {
	if len(p.set) == 0 && len(p.expire) == 0 {
		return nil, nil
	}
	m := x.sessions
	lines := make([]string, 0, len(p.set)+len(p.expire))
	if len(p.set) > 0 {
		now := m.Clock()
		key := m.Keys.Ring(x).Active(now)
		if key == nil {
			return nil, session.ErrNoKey
		}
		for _, f := range p.set {
			line, err := m.setLine(key, f, core.Millis(now))
			if err != nil {
				return nil, err
			}
			lines = append(lines, line)
		}
	}
	for _, suffix := range p.expire {
		lines = append(lines, m.expireLine(m.Name+"."+suffix))
	}
	return lines, nil
}

// setLine is the Set-Cookie line of one fragment.
func (m *Sessions) setLine(key *keyring.Key, f *core.Fragment, now int64) (string, error) {
	plaintext := f.AppendPlaintext(make([]byte, 0, 512))
	name := m.Name + "." + f.Suffix
	size := len(name) + 1 + codec.SealedLen(len(plaintext)) + len(m.attributes) + len("; Max-Age=34560000")
	line := m.appendName(make([]byte, 0, size), name)
	line, err := codec.Seal(line, key, m.binding(f.Suffix), plaintext)
	if err != nil {
		return "", err
	}
	maxAge := int64(-1)
	if !f.Browser {
		maxAge = max((f.End-now+999)/1000, 0)
	}
	line = m.appendAttributes(line, maxAge)
	if len(line) > maxCookie {
		return "", tooLarge(f, len(plaintext), len(line))
	}
	return string(line), nil
}

// tooLarge names the numbers and the largest values.
func tooLarge(f *core.Fragment, plain, need int) error {
	entries := slices.SortedFunc(slices.Values(f.Entries), func(a, b core.Entry) int { return len(b.Value) - len(a.Value) })
	e := &session.TooLargeError{Limit: "bytes of one cookie (name, value and attributes)", Max: maxCookie, Need: need, Session: plain}
	for _, entry := range entries[:min(len(entries), 3)] {
		e.Largest = append(e.Largest, fmt.Sprintf("%s (%d)", entry.Name, len(entry.Value)))
	}
	return e
}

func (x *Exchange) observeCommit(ctx context.Context, p plan, out Fields) {
	e := Event{Kind: EventCommitted, Set: len(p.set), Expired: len(p.expire)}
	for _, line := range out.SetCookie {
		e.Bytes += len(line)
	}
	if len(p.set) > 0 {
		e.SessionID = p.set[0].Root.ID()
	}
	x.observe(ctx, e)
}
