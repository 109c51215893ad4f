package records

import (
	"context"
	"errors"
	"time"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/internal/state"
)

// Desk is one request's dealings with the store.
type Desk struct {
	Keeper   *Keeper
	Listener Listener
	Calls    int     // of the store, so far
	Record   *Record // as it was last loaded or saved; nil if there is none
	former   *Record // of the generation before, if this request has begun one
}

// Record is what stands in a row of the store, opened.
type Record struct {
	Content  *state.Cookie
	Revision state.Revision
	Expires  time.Time
	Bytes    int  // sealed
	Revoked  bool // it was ended from elsewhere, which stands here as a logout does
}

// Hold notes what the store was last seen to have.
func (d *Desk) Hold(rec *Record) {
	if d.Record != nil && rec != nil && rec.Content.Root != d.Record.Content.Root {
		d.former = d.Record
	}
	d.Record = rec
}

// known returns the record of a generation, nil if this request has seen none.
func (d *Desk) known(root state.Root) *Record {
	for _, rec := range []*Record{d.Record, d.former} {
		if rec != nil && rec.Content.Root == root {
			return rec
		}
	}
	return nil
}

// Load loads and opens the record of a head's generation; nil if there is none.
// A record that does not open counts as none: the store, or a program that
// writes to it, has put something else there.
func (d *Desk) Load(ctx context.Context, head *state.Cookie) (*Record, error) {
	id := head.Root.RecordID()
	got, err := d.loadRow(ctx, id)
	switch {
	case errors.Is(err, fallback.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if isRevoked(got.Data) {
		marker := marker(head, max(head.End, state.Millis(d.Keeper.Clock())+state.Settled))
		return &Record{Content: marker, Revision: state.Revision(got.Revision), Expires: got.Expires, Bytes: len(got.Data), Revoked: true}, nil
	}
	rec, err := open(head.Root, id, got)
	if err != nil {
		d.Listener.RecordRefused(ctx, &head.Root, len(got.Data), err)
		return nil, nil
	}
	return rec, nil
}

// marker is what stands in the record of a generation that was ended.
func marker(c *state.Cookie, end int64) *state.Cookie {
	return &state.Cookie{Kind: state.Logout, Root: c.Root, Created: c.Created, End: end, Born: c.Born, Subject: c.Subject}
}

// kindOf tells the store what the loss of a record would mean. A marker keeps
// the subject in memory only.
func kindOf(c *state.Cookie) fallback.Kind {
	login := c.Subject != nil
	switch {
	case c.Kind == state.Logout && login:
		return fallback.KindLoginEnd
	case c.Kind == state.Logout:
		return fallback.KindEnd
	case login:
		return fallback.KindLogin
	}
	return fallback.KindSession
}

func open(root state.Root, id string, got fallback.Record) (*Record, error) {
	b := codec.RecordBinding{ID: id, Number: got.Revision.Number, Tag: got.Revision.Tag}
	plaintext, err := codec.OpenRecord(nil, root.RecordKey(), b, got.Data)
	if err != nil {
		return nil, err
	}
	c, err := state.Decode(plaintext)
	if err != nil {
		return nil, err
	}
	if c.Root != root || c.Kind != state.Head && c.Kind != state.Logout || c.Stored() {
		return nil, errors.New("carryon: the record is not of the session that refers to it")
	}
	return &Record{Content: c, Revision: state.Revision(got.Revision), Expires: got.Expires, Bytes: len(got.Data)}, nil
}

// Save writes a record if it stands at old. The error may be
// fallback.ErrConflict or fallback.ErrTooLarge.
func (d *Desk) Save(ctx context.Context, c *state.Cookie, old, next state.Revision) error {
	id := c.Root.RecordID()
	b := codec.RecordBinding{ID: id, Number: next.Number, Tag: next.Tag}
	plaintext := c.Plaintext()
	data, err := codec.SealRecord(make([]byte, 0, len(plaintext)+codec.RecordOverhead), c.Root.RecordKey(), b, plaintext)
	if err != nil {
		return err
	}
	rec := fallback.Record{Revision: fallback.Revision(next), Data: data, Expires: d.Keeper.expires(c), Kind: kindOf(c)}
	if err := d.saveRow(ctx, id, fallback.Revision(old), rec); err != nil {
		return err
	}
	d.Hold(&Record{Content: c, Revision: next, Expires: rec.Expires, Bytes: len(data)})
	return nil
}

// Prolong keeps the record of a session in use from expiring.
func (d *Desk) Prolong(ctx context.Context, head *state.Cookie) error {
	expires := d.Keeper.expires(head)
	if d.Record != nil && !d.Record.Expires.Before(expires) {
		return nil
	}
	id := head.Root.RecordID()
	return d.call(ctx, "touch", func(ctx context.Context, s fallback.Store) (int, error) {
		return 0, s.Touch(ctx, id, expires)
	})
}

// MarkEnded puts the marker of a logout into the record of a generation until
// end, so that neither a copy of the cookies nor a slow writer can bring the
// session back. The browser is logged out even if the store does not answer.
func (d *Desk) MarkEnded(ctx context.Context, head *state.Cookie, end int64) {
	rec := d.known(head.Root)
	old := head.Row // if no other request has written since
	for range MaxTries {
		if rec != nil {
			old = rec.Revision
		}
		next := fallback.Revision{Number: max(old.Number, head.Row.Number)}.Next()
		err := d.Save(ctx, marker(head, end), old, state.Revision(next))
		if !errors.Is(err, fallback.ErrConflict) {
			return
		}
		if rec, err = d.Load(ctx, head); err != nil {
			return
		}
		old = state.Revision{}
	}
}

func (d *Desk) loadRow(ctx context.Context, id string) (got fallback.Record, err error) {
	err = d.call(ctx, "load", func(ctx context.Context, s fallback.Store) (n int, err error) {
		got, err = s.Load(ctx, id)
		return len(got.Data), err
	})
	return got, err
}

func (d *Desk) saveRow(ctx context.Context, id string, old fallback.Revision, rec fallback.Record) error {
	return d.call(ctx, "save", func(ctx context.Context, s fallback.Store) (int, error) {
		return len(rec.Data), s.Save(ctx, id, old, rec)
	})
}

// call asks the store, within the time it has, and again if it failed at once: a
// connection that a restart has cut is found out by using it. All calls may be
// repeated, and the listener is told of each attempt. An outage is
// [session.ErrStoreDown].
func (d *Desk) call(ctx context.Context, what string, do func(context.Context, fallback.Store) (int, error)) error {
	k := d.Keeper
	if k.Store == nil {
		return Down(ErrNoStore)
	}
	bounded, cancel := k.Context(ctx, what == "load")
	defer cancel()
	bounded = fallback.WithAttempts(bounded, func(err error) { d.Listener.StoreCall(ctx, Call{What: what, Err: err}) })
	var err error
	for range 2 {
		start := k.Clock()
		d.Calls++
		var n int
		n, err = do(bounded, k.Store)
		c := Call{What: what, Bytes: n, Duration: k.Clock().Sub(start)}
		if !IsOutage(err) {
			d.Listener.StoreCall(ctx, c)
			return err
		}
		c.Err = err
		d.Listener.StoreCall(ctx, c)
		if bounded.Err() != nil {
			break
		}
	}
	return Down(err)
}
