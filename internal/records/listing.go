package records

import (
	"context"
	"encoding/base64"
	"errors"
	"strconv"
	"time"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/session"
)

// Sealer seals the rows that no cookie has the secret of, with the program's ring. A
// row is bound to its purpose: under another one it does not open.
type Sealer interface {
	SealRow(ctx context.Context, purpose string, plaintext []byte) ([]byte, error)
	OpenRow(ctx context.Context, purpose string, data []byte) ([]byte, error)
}

// Listing returns the list of a subject's sessions. A row that does not open is
// reported and counts as empty.
func (a *Access) Listing(ctx context.Context, subject []byte) (state.Listing, error) {
	l, _, err := a.loadListing(ctx, a.Client.listRow(subject))
	return l, err
}

func (a *Access) loadListing(ctx context.Context, row string) (state.Listing, fallback.Revision, error) {
	got, err := a.loadRow(ctx, row)
	switch {
	case errors.Is(err, fallback.ErrNotFound):
		return nil, fallback.Revision{}, nil
	case err != nil:
		return nil, fallback.Revision{}, err
	}
	plaintext, err := a.Client.Sealer.OpenRow(ctx, listPurpose(row, got.Revision), got.Data)
	var l state.Listing
	if err == nil {
		l, err = state.DecodeListing(plaintext)
	}
	if err != nil {
		a.Listener.RecordRefused(ctx, "", len(got.Data), err)
		return nil, got.Revision, nil
	}
	return l, got.Revision, nil
}

// UpdateListing changes the list of a subject's sessions, at whatever revision it is.
func (a *Access) UpdateListing(ctx context.Context, subject []byte, change func(state.Listing) state.Listing) error {
	row := a.Client.listRow(subject)
	for range MaxTries {
		l, old, err := a.loadListing(ctx, row)
		if err != nil {
			return err
		}
		err = a.saveListing(ctx, row, old, change(l))
		if !errors.Is(err, fallback.ErrConflict) {
			return err
		}
	}
	return Down(ErrBusy)
}

func (a *Access) saveListing(ctx context.Context, row string, old fallback.Revision, l state.Listing) error {
	plaintext, until := l.Encode(state.Millis(a.Client.Clock()))
	next := old.Next()
	data, err := a.Client.Sealer.SealRow(ctx, listPurpose(row, next), plaintext)
	if err != nil {
		return err
	}
	return a.saveRow(ctx, row, old, fallback.Record{Revision: next, Data: data, Kind: fallback.KindLogin, Expires: state.Time(until + state.Settled)})
}

// listPurpose binds a list to its row and revision.
func listPurpose(row string, rev fallback.Revision) string {
	return "list " + row + " " + strconv.FormatUint(rev.Number, 10) + " " + base64.RawURLEncoding.EncodeToString(rev.Tag[:])
}

// listRow returns the id of the row with the list of a subject's sessions.
func (c *Client) listRow(subject []byte) string { return "l" + c.subjectHash("carryon list", subject) }

// OtherSubjects returns the hashes of all subjects but the first, for a
// [state.ListItem].
func (c *Client) OtherSubjects(subjects state.Subjects) (hashes [][]byte) {
	first := true
	for name := range subjects.All() {
		if !first {
			hash, _ := base64.RawURLEncoding.DecodeString(c.subjectRow(name)[1:])
			hashes = append(hashes, hash)
		}
		first = false
	}
	return hashes
}

// IsListed reports whether a session of a listing has not been ended, as far as this
// replica knows or can learn from rows that are younger than age.
func (a *Access) IsListed(ctx context.Context, subject []byte, l *state.ListItem, age time.Duration) (bool, error) {
	status, err := a.subjectStatus(ctx, subject, age)
	for _, hash := range l.Others {
		if err != nil {
			return false, err
		}
		var other Status
		other, err = a.subjectRowStatus(ctx, "s"+base64.RawURLEncoding.EncodeToString(hash), age)
		status.BoundUpTo = max(status.BoundUpTo, other.BoundUpTo)
	}
	if err != nil || status.BoundUpTo >= l.Bound {
		return false, err
	}
	return a.isLive(ctx, state.RecordIDOf(l.PublicID()), age)
}

// isLive reports whether a session's row does not say that the program has ended the
// session. A logout in that row cannot be read without the session's cookies; the
// listing itself has it.
func (a *Access) isLive(ctx context.Context, row string, age time.Duration) (bool, error) {
	client := a.Client
	if client.revocations.cached(row).Ended {
		return false, nil
	}
	// The key is not that of SessionStatus, which also knows of logouts.
	status, err := client.revocations.lookup(ctx, "list "+row, client.Clock(), age, func(ctx context.Context) (Status, error) {
		rec, err := a.loadRow(client.sharedContext(ctx), row)
		if errors.Is(err, fallback.ErrNotFound) {
			err = nil
		}
		return Status{Ended: isRevoked(rec.Data)}, err
	})
	if errors.Is(err, session.ErrStoreDown) {
		return false, err
	}
	return !status.Ended, err
}
