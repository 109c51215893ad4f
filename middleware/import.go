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

// findLegacy looks for the first importer's cookie that the request carries.
func (x *requestState) findLegacy() *legacy {
	for _, from := range x.sessions.Import {
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

// importLegacy gives a visitor who brought nothing of ours the session that
// another library kept for them, if there is one. What of ours does not open, or
// has ended, counts as ours: nothing older may come back in its place.
func (x *requestState) importLegacy(ctx context.Context, v *state.View, now time.Time) error {
	x.found.legacy = x.findLegacy()
	l := x.found.legacy
	if l == nil || x.found.ours() {
		return nil
	}
	m := x.sessions
	bounded, cancel := m.records.CallContext(ctx, true)
	defer cancel()
	got, err := l.from.Import(bounded, l.value)
	switch {
	case err != nil:
		x.observe(ctx, Event{Kind: EventRefused, Reason: reason.ImportFailed, Err: err})
		if m.AbsentIfStoreDown || errors.Is(err, ErrCannotImport) {
			x.found.legacy = nil // kept for an importer that can read it
			return nil
		}
		return records.Down(err)
	case got == nil:
		x.observe(ctx, Event{Kind: EventRefused, Reason: reason.ImportFailed})
		return nil
	}
	head, err := m.importedHead(m.Keys.Ring(ctx).Active(now), l, got, now)
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

// importedHead is a session of another library as a head of ours. Everything in
// it but the time of the import follows from the cookie, so that all requests
// that import it write the same session, and their changes are merged.
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
		Browser: m.BrowserSession, Entries: entries, Since: state.Millis(now), SeenAt: state.Millis(now)}, nil
}

// importSlot is where a key keeps what imports are derived with.
type importSlot struct{}

// importHash is 36 bytes that nobody knows without the ring: a root and the id of
// a write.
func (m *Sessions) importHash(key *keyring.Key, l *legacy) []byte {
	secret := key.Derived(importSlot{}, func(derive func(salt []byte, info string, n int) []byte) any {
		return derive(nil, "carryon/1 import", sha256.Size)
	}).([]byte)
	var hash []byte
	for part := byte(1); part <= 2; part++ {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte{part})
		for _, s := range []string{m.Audience, m.Name, l.from.Cookie().Name, l.value} {
			mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
			mac.Write([]byte(s))
		}
		hash = mac.Sum(hash)
	}
	return hash[:36]
}

// importedEntries encodes values as a handler's Set does.
func importedEntries(values map[string]any, stamp state.Stamp) (entries []state.Entry, err error) {
	var c core.Core
	c.Init(nobody{})
	s := (*session.Session)(&c)
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
// every request that was in flight when ours was set has landed, or the program
// has ended the session or given it a new id.
func (x *requestState) legacyObsolete(o core.Outcome, p policy.Plan, r Response) bool {
	l := x.found.legacy
	switch {
	case l == nil || o.View == nil:
		return false
	case o.Changes.Destroyed:
		return true
	case x.sessions.KeepImported:
		return false
	case o.Changes.Renewed && p.Changes:
		return true
	case l.imported || o.View.Unopened > 0 || o.View.Head == nil && o.View.Verdict != reason.LoggedOut:
		return false
	case o.View.Head != nil && state.Millis(x.sessions.Clock())-o.View.Winner.Since < state.Settled:
		return false // a request that brought only the old cookie may still be at work
	}
	return p.Changes || mayTouch(x.quiet, r)
}

// expireLegacy appends the line that removes the other library's cookie, if there
// is room for it; else the next response does.
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
		x.forget(ctx, l) // before the visitor is told that they are logged out
	} else {
		x.pending = &pendingPlan{Plan: x.merged(policy.Plan{}), forget: l}
	}
	return lines
}

// forget ends the session on the other library's side. That it fails is an event
// and no more: the visitor's browser has lost it all the same.
func (x *requestState) forget(ctx context.Context, l *legacy) {
	ctx, cancel := x.sessions.records.CallContext(ctx, false)
	defer cancel()
	if err := l.from.Forget(ctx, l.value); err != nil {
		x.observe(ctx, Event{Kind: EventStore, Detail: "forget", Reason: reason.StoreDown, Err: err})
	}
}

// imports tells whether other libraries' sessions are still read.
func (s *settings) imports(now time.Time) bool {
	return len(s.Import) > 0 && now.Before(s.ImportUntil)
}
