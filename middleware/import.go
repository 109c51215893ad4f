package middleware

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/session"
)

// An Importer reads the sessions that another library left in visitors'
// browsers: see [Config.Import]. Those under middleware/migrate are ready-made.
// It must be safe for concurrent use.
type Importer interface {
	// Cookie names the other library's cookie. Its Path and Domain must be those
	// with which it was set: a browser removes it by all three.
	Cookie() http.Cookie

	// Import returns the session that a cookie of that name stands for, and nil
	// where it stands for none (any more): its seal does not open, it has expired.
	// It must not parse what it has not authenticated. [ErrCannotImport] (wrapped)
	// means that it never can: the visitor has no session, and their old cookie
	// stays. Any other error means that it cannot tell now, as where a store is
	// down: the request is then answered as one whose own store is down, and nobody
	// is logged out.
	Import(ctx context.Context, value string) (*Imported, error)

	// Forget ends the session on the other library's side, if it has one: the
	// visitor has Carryon's now, or has logged out. It is called at most once a
	// request, also for what is gone already.
	Forget(ctx context.Context, value string) error
}

// ErrCannotImport is what an [Importer] returns (wrapped) for a session that is
// there and cannot be taken over. [EventRefused] with [session.ImportFailed]
// tells of it; mend the importer, and the visitors are back.
var ErrCannotImport = errors.New("carryon: the other library's session has a value that cannot be carried over; convert it in the importer")

// Imported is a session that an [Importer] has read.
type Imported struct {
	// Values are the session's, by name. They are encoded as [session.Key.Set]
	// does it; one that cannot be fails the import.
	Values map[string]any

	// Created is when the session began. All requests that carry the same cookie
	// begin the same session with it, so that those in flight at once lose no
	// change. Zero is the time of the request: then one of them wins.
	Created time.Time

	// Expires is when the session ends, which the import does not change; zero
	// means Config.Lifetime after Created.
	Expires time.Time
}

// legacy is another library's cookie in a request.
type legacy struct {
	from     Importer
	value    string
	imported bool // the session is made of it
}

// imports tells whether other libraries' sessions are still read.
func (s *settings) imports(now time.Time) bool {
	return len(s.Import) > 0 && now.Before(s.ImportUntil)
}

// checkImport refuses a migration that never ends, and one that cannot tell the
// two libraries' cookies apart.
func (s *settings) checkImport(fault func(bool, string, ...any)) {
	fault(len(s.Import) > 0 && s.ImportUntil.IsZero(),
		"Config.Import is set and Config.ImportUntil is not; say until when sessions of the other library are taken over")
	for i, from := range s.Import {
		if isNil(from) {
			fault(true, "Config.Import[%d] is nil", i)
			continue
		}
		name := from.Cookie().Name
		fault(!isToken(name), "Config.Import[%d] has %q for its cookie's name, which no cookie has", i, name)
		_, ours := ourCookie(name+"=x", s.Name, s.FixedName)
		fault(ours, "Config.Import[%d] reads the cookie %q, which is one of ours; choose another Config.Name", i, name)
	}
}

// findLegacy looks for the first importer's cookie that the request carries.
func (x *work) findLegacy() *legacy {
	for _, from := range x.sessions.Import {
		name := from.Cookie().Name
		for _, line := range x.cookies {
			for pair := range strings.SplitSeq(line, ";") {
				if n, value, ok := strings.Cut(trim(pair), "="); ok && n == name && value != "" {
					return &legacy{from: from, value: unquote(value)}
				}
			}
		}
	}
	return nil
}

// adopt gives a visitor who brought nothing of ours the session that another
// library kept for them, if there is one. What of ours does not open, or has
// ended, counts as ours: nothing older may come back in its place.
func (x *work) adopt(ctx context.Context, v *core.View, now time.Time) error {
	x.found.legacy = x.findLegacy()
	l := x.found.legacy
	if l == nil || v.Verdict != core.Absent || v.Any() || v.Unopened > 0 || v.Frozen {
		return nil
	}
	m := x.sessions
	bounded, cancel := m.storeContext(ctx, true)
	defer cancel()
	got, err := l.from.Import(bounded, l.value)
	switch {
	case err != nil:
		x.observe(ctx, Event{Kind: EventRefused, Reason: session.ImportFailed, Err: err})
		if m.AbsentIfStoreDown || errors.Is(err, ErrCannotImport) {
			x.found.legacy = nil // it is kept for who can read it
			return nil
		}
		return storeDown(err)
	case got == nil:
		x.observe(ctx, Event{Kind: EventRefused, Reason: session.ImportFailed})
		return nil
	}
	f, err := m.importedFragment(m.Keys.Ring(ctx).Active(now), l, got, now)
	if err != nil {
		x.observe(ctx, Event{Kind: EventRefused, Reason: session.ImportFailed, Err: err})
		x.found.legacy = nil
		return nil
	}
	v.Merge([]*core.Fragment{f}, 0, core.Millis(now), m.idle, &core.Room{}, nil)
	v.Imported, l.imported = v.Head != nil, v.Head != nil
	return nil
}

// importedFragment is a session of another library as one of ours that has just
// come with the request. Everything in it follows from the cookie, so that all
// who import it at once write the same session, whose changes are merged.
func (m *Sessions) importedFragment(key *keyring.Key, l *legacy, got *Imported, now time.Time) (*core.Fragment, error) {
	if key == nil {
		return nil, session.ErrNoKey
	}
	created, hash := core.Millis(now), m.importHash(key, l)
	if !got.Created.IsZero() {
		created = min(created, core.Millis(got.Created))
	}
	end := created + m.lifetime
	if !got.Expires.IsZero() {
		end = min(core.Millis(got.Expires), created+MaxLifetime.Milliseconds())
	}
	born := core.Stamp{At: created, ID: binary.BigEndian.Uint32(hash[32:])}
	entries, err := importedEntries(got.Values, born)
	if err != nil {
		return nil, err
	}
	return &core.Fragment{Kind: core.Data, Root: core.Root(hash[:32]), Born: born, Orphan: true, Created: created, End: end,
		Browser: m.BrowserSession, Entries: entries, Seen: core.Millis(now), Stored: true}, nil
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
func importedEntries(values map[string]any, stamp core.Stamp) (entries []core.Entry, err error) {
	var c core.Core
	c.Init(nothing{})
	s := (*session.Session)(&c)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		session.Key[any](name).Set(s, values[name])
	}
	_ = c.Commit(func(o core.Outcome) (*core.View, error) {
		err = o.Err
		if o.Changes != nil {
			for _, op := range o.Changes.Ops {
				entries = append(entries, core.Entry{Name: op.Name, Stamp: stamp, Value: op.Value})
			}
		}
		return nil, nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCannotImport, err)
	}
	return entries, nil
}

// nothing is the backend of a session that no request has.
type nothing struct{}

func (nothing) Load(context.Context) (*core.View, error)               { return nil, nil }
func (nothing) Save(context.Context, core.Outcome) (*core.View, error) { return nil, nil }
func (nothing) LateRead()                                              {}
func (nothing) LateChange(string)                                      {}

// adopt writes a session of another library: whole, or as the state that all who
// read it find and what this request has changed beside it.
func (f *facts) adopt(v *core.View, c *core.Changes, writes bool) (plan, error) {
	whole := v.Snapshot(c, f.write)
	if f.mode == AlwaysStored {
		return f.spill(v, whole, v.Record, false, nil)
	}
	joined := v.Joined(f.write)
	drafts := []draft{{joined: joined}}
	if writes {
		drafts = []draft{{own: whole}}
		if delta := v.Delta(c, f.write); !delta.Snapshot() && !f.fixed {
			drafts = append(drafts, draft{joined: joined, own: delta})
		}
	}
	var refused error
	for _, d := range drafts {
		d.expire = f.leavings(v, true, false, d.set()...)
		err := f.fit(&d, alone)
		if err == nil {
			return d.plan(true), nil
		}
		if refused == nil {
			refused = err
		}
	}
	return f.spill(v, whole, v.Record, false, refused)
}

// outlived tells whether the other library's cookie is of no use any more: ours
// has arrived, or the program has ended the session or given it a new id.
func (x *work) outlived(o core.Outcome, p plan, r Response) bool {
	l := x.found.legacy
	switch {
	case l == nil || o.View == nil:
		return false
	case o.Changes.Destroyed:
		return true
	case x.sessions.KeepImported:
		return false
	case o.Changes.Renewed && p.changes:
		return true
	case l.imported || o.View.Unopened > 0 || o.View.Head == nil && o.View.Verdict != core.LoggedOut:
		return false
	}
	return p.changes || mayTouch(x.quiet, r)
}

// outlive appends the line that removes the other library's cookie, if there is
// room for it; else the next response does.
func (x *work) outlive(ctx context.Context, lines []string, o core.Outcome, p plan, r Response) []string {
	if !x.outlived(o, p, r) {
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
		x.owe(x.owing(plan{forget: l}))
	}
	return lines
}

// forget ends the session on the other library's side. That it fails is an event
// and no more: the visitor's browser has lost it all the same.
func (x *work) forget(ctx context.Context, l *legacy) {
	ctx, cancel := x.sessions.storeContext(ctx, false)
	defer cancel()
	if err := l.from.Forget(ctx, l.value); err != nil {
		x.observe(ctx, Event{Kind: EventStore, Detail: "forget", Reason: session.StoreDown, Err: err})
	}
}
