package records

import (
	"context"
	"errors"
	"time"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/internal/state"
)

// Access is one request's use of the store.
type Access struct {
	Client   *Client
	Listener Listener
	Calls    int     // calls to the store so far
	Record   *Record // the record as it was last loaded or saved; nil if there is none
	previous *Record // the record of the generation that this request has replaced
}

// Record is an opened row of the store.
type Record struct {
	Content  *state.Cookie
	Revision state.Revision
	Expires  time.Time
	Bytes    int  // length of the sealed record
	Revoked  bool // the session was revoked, and Content is a logout
}

// SetRecord remembers the record that was last loaded or saved.
func (a *Access) SetRecord(rec *Record) {
	if a.Record != nil && rec != nil && rec.Content.Root != a.Record.Content.Root {
		a.previous = a.Record
	}
	a.Record = rec
}

// recordOf returns the record of a generation as this request last saw it, or
// nil.
func (a *Access) recordOf(root state.Root) *Record {
	for _, rec := range []*Record{a.Record, a.previous} {
		if rec != nil && rec.Content.Root == root {
			return rec
		}
	}
	return nil
}

// Load loads and opens the record of a head's generation. It returns nil if there is
// none. A row that does not open counts as missing, because the store or another
// program must have overwritten it.
func (a *Access) Load(ctx context.Context, head *state.Cookie) (*Record, error) {
	id := head.Root.RecordID()
	got, err := a.loadRow(ctx, id)
	switch {
	case errors.Is(err, fallback.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if isRevoked(got.Data) {
		logout := endMarker(head, max(head.End, state.Millis(a.Client.Clock())+state.Settled))
		return &Record{Content: logout, Revision: state.Revision(got.Revision), Expires: got.Expires, Bytes: len(got.Data), Revoked: true}, nil
	}
	rec, err := open(head.Root, id, got)
	if err != nil {
		a.Listener.RecordRefused(ctx, head.Root.ID(), len(got.Data), err)
		return nil, nil
	}
	return rec, nil
}

// endMarker returns the logout that replaces the record of an ended generation.
func endMarker(c *state.Cookie, end int64) *state.Cookie {
	return &state.Cookie{Kind: state.Logout, Root: c.Root, Created: c.Created, End: end, Born: c.Born, Subjects: c.Subjects}
}

// kindOf returns the kind of a record. A store that evicts records chooses them by
// kind. An end marker has subjects only in memory, because it is not encoded.
func kindOf(c *state.Cookie) fallback.Kind {
	login := c.Subjects != nil
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
		return nil, errors.New("carryon: the record belongs to another session than the cookie that refers to it")
	}
	return &Record{Content: c, Revision: state.Revision(got.Revision), Expires: got.Expires, Bytes: len(got.Data)}, nil
}

// Save writes a record if the row is still at revision old. The error may be
// [fallback.ErrConflict] or [fallback.ErrTooLarge].
func (a *Access) Save(ctx context.Context, c *state.Cookie, old, next state.Revision) error {
	id := c.Root.RecordID()
	b := codec.RecordBinding{ID: id, Number: next.Number, Tag: next.Tag}
	plaintext := c.Plaintext()
	data, err := codec.SealRecord(make([]byte, 0, len(plaintext)+codec.RecordOverhead), c.Root.RecordKey(), b, plaintext)
	if err != nil {
		return err
	}
	rec := fallback.Record{Revision: fallback.Revision(next), Data: data, Expires: a.Client.recordExpiry(c), Kind: kindOf(c)}
	if err := a.saveRow(ctx, id, fallback.Revision(old), rec); err != nil {
		return err
	}
	a.SetRecord(&Record{Content: c, Revision: next, Expires: rec.Expires, Bytes: len(data)})
	return nil
}

// Extend moves the expiry of the record of a session that is in use.
func (a *Access) Extend(ctx context.Context, head *state.Cookie) error {
	expires := a.Client.recordExpiry(head)
	if a.Record != nil && !a.Record.Expires.Before(expires) {
		return nil
	}
	id := head.Root.RecordID()
	return a.call(ctx, "touch", func(ctx context.Context, s fallback.Store) (int, error) {
		return 0, s.Touch(ctx, id, expires)
	})
}

// MarkEnded replaces the record of a generation by an end marker, which lives
// until end. Neither a copy of the cookies nor a slow writer can then revive the
// session. Errors are ignored: the browser is logged out in any case.
func (a *Access) MarkEnded(ctx context.Context, head *state.Cookie, end int64) {
	rec := a.recordOf(head.Root)
	old := head.Row // correct unless another request has written since
	for range MaxTries {
		if rec != nil {
			old = rec.Revision
		}
		next := fallback.Revision{Number: max(old.Number, head.Row.Number)}.Next()
		err := a.Save(ctx, endMarker(head, end), old, state.Revision(next))
		if !errors.Is(err, fallback.ErrConflict) {
			return
		}
		if rec, err = a.Load(ctx, head); err != nil {
			return
		}
		old = state.Revision{}
	}
}

func (a *Access) loadRow(ctx context.Context, id string) (got fallback.Record, err error) {
	err = a.call(ctx, "load", func(ctx context.Context, s fallback.Store) (n int, err error) {
		got, err = s.Load(ctx, id)
		return len(got.Data), err
	})
	return got, err
}

func (a *Access) saveRow(ctx context.Context, id string, old fallback.Revision, rec fallback.Record) error {
	return a.call(ctx, "save", func(ctx context.Context, s fallback.Store) (int, error) {
		return len(rec.Data), s.Save(ctx, id, old, rec)
	})
}

// call makes one call to the store within its timeout. After an outage it tries
// once more if there is time: the first try may have used a connection that the
// store had closed. This is safe because all calls can be repeated. The listener
// receives each try. An outage is returned as [session.ErrStoreDown].
func (a *Access) call(ctx context.Context, method string, do func(context.Context, fallback.Store) (int, error)) error {
	client := a.Client
	if client.Store == nil {
		return Down(ErrNoStore)
	}
	bounded, cancel := client.CallContext(ctx, method == "load")
	defer cancel()
	bounded = fallback.WithAttempts(bounded, func(err error) { a.Listener.StoreCall(ctx, Call{Method: method, Err: err}) })
	var err error
	for range 2 {
		start := client.Clock()
		a.Calls++
		var n int
		n, err = do(bounded, client.Store)
		c := Call{Method: method, Bytes: n, Duration: client.Clock().Sub(start)}
		if !IsOutage(err) {
			a.Listener.StoreCall(ctx, c)
			return err
		}
		c.Err = err
		a.Listener.StoreCall(ctx, c)
		if bounded.Err() != nil {
			break
		}
	}
	return Down(err)
}
