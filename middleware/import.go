package middleware

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/carryon-go/carryon/internal/cookiejar"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/records"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// findLegacy returns the other library's cookie in the request, or nil. If there are
// several, the first importer in Config.Migration.From counts.
func (x *requestState) findLegacy() *legacy {
	for _, from := range x.sessions.config.Migration.From {
		name := from.Cookie().Name
		for _, line := range x.cookies {
			for pair := range strings.SplitSeq(line, ";") {
				if n, value, ok := strings.Cut(cookiejar.Trim(pair), "="); ok && n == name && value != "" {
					return &legacy{from: from, value: cookiejar.Unquote(value)}
				}
			}
		}
	}
	return nil
}

// importLegacy replaces v by the session that another library keeps for the
// visitor, if there is one and the request has no session cookie of this program.
// A cookie of this program counts even if it does not open or its session has
// ended: otherwise an older session could come back in its place.
func (x *requestState) importLegacy(ctx context.Context, v *state.View, now time.Time) error {
	x.found.legacy = x.findLegacy()
	l := x.found.legacy
	if l == nil || x.found.hasOwn() {
		return nil
	}
	m := x.sessions
	bounded, cancel := m.records.CallContext(ctx, true)
	defer cancel()
	got, err := l.from.Import(bounded, l.value)
	switch {
	case err != nil:
		x.observe(ctx, Event{Kind: EventRefused, Reason: reason.ImportFailed, Err: err})
		if m.config.Fallback.Outage == OutageAbsent || errors.Is(err, ErrCannotImport) {
			x.found.legacy = nil // so that the cookie stays, for an importer that can read it
			return nil
		}
		return records.Down(err)
	case got == nil:
		x.observe(ctx, Event{Kind: EventRefused, Reason: reason.ImportFailed})
		return nil
	}
	head, err := m.importedHead(m.config.Keys.Ring(ctx).Active(now), l, got, now)
	if err != nil {
		x.observe(ctx, Event{Kind: EventRefused, Reason: reason.ImportFailed, Err: err})
		x.found.legacy = nil
		return nil
	}
	*v = state.View{}
	v.Read([]*state.Cookie{head}, nil, state.Millis(now), m.idle, nil)
	v.Imported, l.imported = v.Head != nil, v.Head != nil
	return nil
}

// importedHead returns the head of the session that an importer has read. The head
// depends only on the cookie, except for the time of the import. Requests that
// import the same cookie therefore write the same session, and their changes are
// merged.
func (m *Sessions) importedHead(key *keyring.Key, l *legacy, got *Imported, now time.Time) (*state.Cookie, error) {
	if key == nil {
		return nil, session.ErrNoKey
	}
	created, hash := state.Millis(now), m.importHash(key, l)
	if !got.Created.IsZero() {
		created = max(min(created, state.Millis(got.Created)), 1)
	}
	end := created + m.lifetime
	if !got.Expires.IsZero() {
		end = min(state.Millis(got.Expires), created+MaxLifetime.Milliseconds())
	}
	born := state.Stamp{At: created, ID: binary.BigEndian.Uint32(hash[32:])}
	entries, err := importedEntries(got.Values, born)
	if err != nil {
		return nil, err
	}
	return &state.Cookie{Kind: state.Head, Root: state.Root(hash[:32]), Born: born, Floor: born, Orphan: true, Created: created, End: end,
		Browser: m.config.Cookie.BrowserSession, Entries: entries, Since: state.Millis(now), SeenAt: state.Millis(now)}, nil
}

// importSlot is the key's slot for the secret that importHash uses.
type importSlot struct{}

// importHash returns 36 bytes that cannot be computed without the key ring: a root
// of 32 bytes and a write's id of 4.
func (m *Sessions) importHash(key *keyring.Key, l *legacy) []byte {
	secret := key.Derived(importSlot{}, func(derive func(salt []byte, info string, n int) []byte) any {
		return derive(nil, "carryon/1 import", sha256.Size)
	}).([]byte)
	var hash []byte
	for part := byte(1); part <= 2; part++ {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte{part})
		for _, s := range []string{m.config.Audience, m.config.Cookie.Name, l.from.Cookie().Name, l.value} {
			mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
			mac.Write([]byte(s))
		}
		hash = mac.Sum(hash)
	}
	return hash[:36]
}

// importedEntries returns the values as entries, encoded as Key.Set encodes them.
func importedEntries(values map[string]any, stamp state.Stamp) (entries []state.Entry, err error) {
	s := new(session.Session)
	c := core.Of(s)
	c.Init(noSession{})
	for _, name := range slices.Sorted(maps.Keys(values)) {
		session.Key[any](name).Set(s, values[name])
	}
	_ = c.Commit(func(o core.Outcome) (*state.View, error) {
		err = o.Err
		if o.Changes != nil {
			for _, op := range o.Changes.Ops {
				entries = append(entries, state.NewEntry(op.Name, stamp, op.Value))
			}
		}
		return nil, nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCannotImport, err)
	}
	return entries, nil
}

// legacyObsolete reports whether the other library's cookie is no longer needed:
// the handler has ended or renewed the session, or no request that carries only the
// old cookie can still be in flight.
func (x *requestState) legacyObsolete(o core.Outcome, p policy.Plan, r Response) bool {
	l := x.found.legacy
	switch {
	case l == nil || o.View == nil:
		return false
	case o.Changes.Destroyed:
		return true
	case x.sessions.config.Migration.Keep:
		return false
	case o.Changes.Renewed && p.Changes:
		return true
	case l.imported || o.View.Unopened > 0 || o.View.Head == nil && o.View.Verdict != reason.LoggedOut:
		return false
	case o.View.Head != nil && state.Millis(x.sessions.config.Clock())-o.View.Winner.Since < state.Settled:
		return false // a request that carries only the old cookie may still be in flight
	}
	return p.Changes || mayTouch(x.quiet, r)
}

// expireLegacy appends the line that expires the other library's cookie. If that
// would exceed SetCookieLines, the next response does it.
func (x *requestState) expireLegacy(ctx context.Context, lines []string, o core.Outcome, p policy.Plan, r Response) []string {
	if !x.legacyObsolete(o, p, r) {
		return lines
	}
	l := x.found.legacy
	if len(lines) < x.sessions.limits.SetCookieLines {
		c := l.from.Cookie()
		c.Value, c.MaxAge, c.Expires = "", -1, time.Time{}
		lines = append(lines, c.String())
		x.found.legacy = nil
	}
	if o.Changes.Destroyed {
		x.forget(ctx, l) // before the response confirms the logout
	} else {
		x.pending = &pendingPlan{Plan: x.withPending(policy.Plan{}), forget: l}
	}
	return lines
}

// forget ends the other library's session. A failure is only an event, because the
// response expires the visitor's cookie anyway.
func (x *requestState) forget(ctx context.Context, l *legacy) {
	ctx, cancel := x.sessions.records.CallContext(ctx, false)
	defer cancel()
	if err := l.from.Forget(ctx, l.value); err != nil {
		x.observe(ctx, Event{Kind: EventStore, Detail: "forget", Reason: reason.StoreDown, Err: err})
	}
}

// imports reports whether other libraries' sessions are still imported.
func (s *settings) imports(now time.Time) bool {
	return len(s.config.Migration.From) > 0 && now.Before(s.config.Migration.Until)
}

// hasOwn reports whether the request carries a session cookie of this program.
func (f *loadResult) hasOwn() bool {
	return slices.ContainsFunc(f.groups, func(g openedGroup) bool { return !g.foreign })
}
