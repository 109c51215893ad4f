package middleware

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/session"
)

// stored is what one request knows of its session's record.
type stored struct {
	calls    int              // of the store, so far
	record   *record          // as it was last loaded or saved; nil where there is none
	former   *record          // of the generation before, where this request has begun one
	at       int64            // when that was (ms)
	unsent   []*core.Fragment // of the response, which the record builds on already
	stranded bool             // the row has gone while this request was at work
}

// record is what stands in a row of the store, opened.
type record struct {
	fragment *core.Fragment
	revision core.Revision
	expires  time.Time
	bytes    int  // sealed
	revoked  bool // it was ended from elsewhere, which stands here as a logout does
}

// vacated tells that the record is only a number: its state has moved into
// cookies.
func (r *record) vacated() bool { return r.fragment.Kind == core.Reference }

// errNoStore is what a reference meets where the configuration has no store.
var errNoStore = errors.New("Config.Fallback is nil, but the visitor's session was put into a store; configure the same one on every replica")

// storeDown is a failure of the store as callers see it.
func storeDown(err error) error { return fmt.Errorf("%w: %w", session.ErrStoreDown, err) }

// storage makes room for what the store will say.
func (x *work) storage() *stored {
	if x.found.stored == nil {
		x.found.stored = &stored{}
	}
	return x.found.stored
}

// follow loads the record that the cookies refer to and merges it with them.
func (x *work) follow(ctx context.Context) (*core.View, error) {
	rec, err := x.fetch(ctx, x.found.view.Ref)
	if err == nil && rec != nil && x.rolledBack(ctx, rec, x.found.view.Ref) && x.sessions.RefuseRolledBack {
		err = errRolledBack
	}
	if err == nil {
		return x.merged(rec), nil
	}
	v := x.merged(nil)
	v.Verdict, v.Frozen = core.StoreDown, true
	if x.sessions.AbsentIfStoreDown {
		err = nil
	}
	return v, err
}

// rolledBack tells whether the store has lost what the cookies have seen, or
// this request has written.
func (x *work) rolledBack(ctx context.Context, rec *record, ref *core.Fragment) bool {
	if rec.revision.Number > ref.Number || rec.revision == (core.Revision{Number: ref.Number, Tag: ref.ETag}) {
		return false
	}
	x.observe(ctx, Event{Kind: EventRefused, Reason: session.StoreRolledBack, SessionID: ref.Root.ID()})
	return true
}

// hold notes what the store was last seen to have.
func (s *stored) hold(rec *record) {
	if s.record != nil && rec != nil && rec.fragment.Root != s.record.fragment.Root {
		s.former = s.record
	}
	s.record = rec
}

// known is the record of a generation, nil where this request has seen none.
func (s *stored) known(root core.Root) *record {
	for _, rec := range []*record{s.record, s.former} {
		if rec != nil && rec.fragment.Root == root {
			return rec
		}
	}
	return nil
}

// merged is the session as the cookies and the record, if there is one, show
// it. What this request has already written and not yet sent counts as cookies.
func (x *work) merged(rec *record) *core.View {
	found, s := x.found, x.storage()
	s.hold(rec)
	all := append(append([]*core.Fragment(nil), found.view.Fragments...), s.unsent...)
	v := &core.View{}
	if rec != nil && !rec.vacated() {
		all = append(all, rec.fragment)
	}
	v.Merge(all, found.view.Unopened, found.view.Loaded, x.sessions.idle, &core.Room{}, nil)
	v.Closed, v.Frozen, v.Imported = found.view.Closed, found.frozen, found.view.Imported
	if rec != nil {
		v.Record = rec.revision
	}
	if rec != nil && rec.revoked && v.Verdict == core.LoggedOut {
		v.Verdict = core.Revoked
	}
	return v
}

// fetch loads and opens the record of f's generation; nil where there is none.
// What does not open is as good as none: the store, or who writes to it, has
// put something else there.
func (x *work) fetch(ctx context.Context, f *core.Fragment) (*record, error) {
	id := f.Root.RecordID()
	var got fallback.Record
	err := x.call(ctx, "load", func(ctx context.Context, s fallback.Store) (n int, err error) {
		got, err = s.Load(ctx, id)
		return len(got.Data), err
	})
	x.storage().at = core.Millis(x.sessions.Clock())
	switch {
	case errors.Is(err, fallback.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if isRevoked(got.Data) {
		gone := f.Gone(max(f.End, x.found.view.Loaded+core.Settled), f.Seen)
		gone.Stored = true
		return &record{fragment: gone, revision: core.Revision(got.Revision), expires: got.Expires, bytes: len(got.Data), revoked: true}, nil
	}
	rec, err := openRecord(f.Root, id, got)
	if err != nil {
		x.observe(ctx, Event{Kind: EventRefused, Reason: refusalOf(err).reason, SessionID: f.Root.ID(), Bytes: len(got.Data)})
		return nil, nil
	}
	return rec, nil
}

func openRecord(root core.Root, id string, got fallback.Record) (*record, error) {
	b := codec.RecordBinding{ID: id, Number: got.Revision.Number, Tag: got.Revision.Tag}
	plaintext, err := codec.OpenRecord(nil, root.RecordKey(), b, got.Data)
	if err != nil {
		return nil, err
	}
	f, err := core.Decode(plaintext)
	if err != nil {
		return nil, err
	}
	if f.Root != root || f.Kind == core.Data && !f.Snapshot() || f.Kind == core.SeenMark {
		return nil, errors.New("carryon: the record is not of the session that refers to it")
	}
	f.Stored = true
	return &record{fragment: f, revision: core.Revision(got.Revision), expires: got.Expires, bytes: len(got.Data)}, nil
}

// save writes a state into the row of its generation, if the row stands at old.
// The error may be fallback.ErrConflict.
func (x *work) store(ctx context.Context, f *core.Fragment, old, new core.Revision) error {
	id := f.Root.RecordID()
	b := codec.RecordBinding{ID: id, Number: new.Number, Tag: new.Tag}
	plaintext := f.Plaintext()
	data, err := codec.SealRecord(make([]byte, 0, len(plaintext)+codec.RecordOverhead), f.Root.RecordKey(), b, plaintext)
	if err != nil {
		return err
	}
	rec := fallback.Record{Revision: fallback.Revision(new), Data: data, Expires: x.sessions.expires(f), Pinned: f.Kind == core.Logout}
	if err := x.call(ctx, "save", func(ctx context.Context, s fallback.Store) (int, error) {
		return len(data), s.Save(ctx, id, fallback.Revision(old), rec)
	}); err != nil {
		return err
	}
	own := *f
	own.Stored = true
	s := x.storage()
	s.at = core.Millis(x.sessions.Clock())
	s.hold(&record{fragment: &own, revision: new, expires: rec.Expires, bytes: len(data)})
	return nil
}

// expires is when a record of f may go: when no replica's clock can take its
// session for alive any more. A logout stays as long as the session would have.
func (s *settings) expires(f *core.Fragment) time.Time {
	end, idle := f.End, s.idle
	if f.Idle != 0 {
		idle = f.Idle
	}
	if idle > 0 && f.Kind != core.Logout {
		end = min(end, f.Seen+idle)
	}
	return core.Time(end + core.Settled)
}

// prolong keeps the record of a session in use from expiring.
func (x *work) prolong(ctx context.Context, f *core.Fragment) error {
	expires := x.sessions.expires(f)
	if rec := x.storage().record; rec != nil && !rec.expires.Before(expires) {
		return nil
	}
	id := f.Root.RecordID()
	return x.call(ctx, "touch", func(ctx context.Context, s fallback.Store) (int, error) {
		return 0, s.Touch(ctx, id, expires)
	})
}

// call asks the store, within the time it has, and again where it failed at
// once: a connection that a restart has cut is found out by using it. All calls
// may be repeated. An outage is ErrStoreDown.
func (x *work) call(ctx context.Context, what string, do func(context.Context, fallback.Store) (int, error)) error {
	m, s := x.sessions, x.storage()
	if m.Fallback == nil {
		return storeDown(errNoStore)
	}
	ctx, cancel := m.storeContext(ctx, what == "load")
	defer cancel()
	start := m.Clock()
	s.calls++
	n, err := do(ctx, m.Fallback)
	if outage(err) && ctx.Err() == nil {
		s.calls++
		n, err = do(ctx, m.Fallback)
	}
	e := Event{Kind: EventStore, Detail: what, Bytes: n, Duration: m.Clock().Sub(start)}
	if outage(err) {
		e.Err, e.Reason, err = err, session.StoreDown, storeDown(err)
	}
	x.observe(ctx, e)
	return err
}

// outage tells whether an error of a store is one.
func outage(err error) bool {
	return err != nil && !errors.Is(err, fallback.ErrNotFound) && !errors.Is(err, fallback.ErrConflict) && !errors.Is(err, fallback.ErrTooLarge)
}

// storeContext bounds a call of the store. A visitor who hangs up stops a load;
// a write that has begun is finished.
func (s *settings) storeContext(ctx context.Context, load bool) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !load {
		ctx = context.WithoutCancel(ctx)
	}
	switch {
	case s.timeout > 0:
		return context.WithTimeout(ctx, s.timeout)
	case ok:
		return context.WithDeadline(ctx, deadline)
	}
	return context.WithCancel(ctx)
}
