package records

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/internal/state"
)

// Contents of the rows that revoke a session or a subject's sessions. They are not
// sealed: a program that can write to the store can end sessions anyway.
const (
	revokedData   = "carryon revoked"
	subjectPrefix = "carryon subject" // followed by the time in milliseconds, as 8 bytes
)

// Status says whether a session, or a subject's sessions, were ended.
type Status struct {
	Ended     bool  // the session was ended
	LoggedOut bool  // it was ended by a logout or a renewal
	BoundUpTo int64 // the subject's sessions that were bound up to this time (ms) were ended
}

// EndSession revokes a session. row is the id of the session's record. That row then
// holds the revocation until expires.
func (a *Access) EndSession(ctx context.Context, row string, expires time.Time) error {
	err := a.replaceRow(ctx, row, expires, func(fallback.Record) []byte { return []byte(revokedData) })
	if err == nil {
		a.Client.revocations.remember(row, Status{Ended: true}, a.Client.Clock())
	}
	return err
}

// EndSubject revokes all sessions of a subject that were bound until now. The
// revocation is stored until expires.
func (a *Access) EndSubject(ctx context.Context, subject []byte, expires time.Time) error {
	client := a.Client
	row, upTo := client.subjectRow(subject), int64(0)
	err := a.replaceRow(ctx, row, expires, func(have fallback.Record) []byte {
		upTo = max(state.Millis(client.Clock())+2*state.Skew, boundUpTo(have.Data)+1)
		return binary.BigEndian.AppendUint64([]byte(subjectPrefix), uint64(upTo))
	})
	if err == nil {
		client.revocations.remember(row, Status{BoundUpTo: upTo}, client.Clock())
	}
	return err
}

// replaceRow replaces the content of a row, at whatever revision the row is.
func (a *Access) replaceRow(ctx context.Context, row string, expires time.Time, data func(have fallback.Record) []byte) error {
	for range MaxTries {
		have, err := a.loadRow(ctx, row)
		if err != nil && !errors.Is(err, fallback.ErrNotFound) {
			return err
		}
		rec := fallback.Record{Revision: have.Revision.Next(), Data: data(have), Kind: fallback.KindRevocation, Expires: expires}
		switch err = a.saveRow(ctx, row, have.Revision, rec); {
		case err == nil:
			return nil
		case errors.Is(err, fallback.ErrTooLarge):
			return Down(err)
		case !errors.Is(err, fallback.ErrConflict):
			return err
		}
	}
	return Down(ErrBusy)
}

// RememberEnded caches that a logout or a renewal has ended a generation.
func (a *Access) RememberEnded(root *state.Root) {
	a.Client.revocations.remember(root.RecordID(), Status{Ended: true, LoggedOut: true}, a.Client.Clock())
}

// SessionStatus returns the status of a head's generation, from the cache if that
// is younger than age, else from the store. With an error it returns the cached
// status, however old.
func (a *Access) SessionStatus(ctx context.Context, head *state.Cookie, age time.Duration) (Status, error) {
	client := a.Client
	return client.revocations.lookup(ctx, head.Root.RecordID(), client.Clock(), age, func(ctx context.Context) (Status, error) {
		ctx = client.sharedContext(ctx)
		rec, err := a.Load(ctx, head)
		ended := rec != nil && rec.Content.Kind == state.Logout
		return Status{Ended: ended, LoggedOut: ended && !rec.Revoked}, err
	})
}

// SubjectsStatus returns the status of the sessions of several subjects: the latest
// time of any of them. After an outage it makes no further calls to the store, and
// uses the cached statuses of the other subjects.
func (a *Access) SubjectsStatus(ctx context.Context, subjects state.Subjects, age time.Duration) (latest Status, err error) {
	for name := range subjects.All() {
		var one Status
		if err == nil {
			one, err = a.subjectStatus(ctx, name, age)
		} else {
			one = a.Client.revocations.cached(a.Client.subjectRow(name))
		}
		latest.BoundUpTo = max(latest.BoundUpTo, one.BoundUpTo)
	}
	return latest, err
}

// subjectStatus returns the status of a subject's sessions, as SessionStatus does
// for one session.
func (a *Access) subjectStatus(ctx context.Context, subject []byte, age time.Duration) (Status, error) {
	return a.subjectRowStatus(ctx, a.Client.subjectRow(subject), age)
}

func (a *Access) subjectRowStatus(ctx context.Context, row string, age time.Duration) (Status, error) {
	client := a.Client
	return client.revocations.lookup(ctx, row, client.Clock(), age, func(ctx context.Context) (Status, error) {
		ctx = client.sharedContext(ctx)
		rec, err := a.loadRow(ctx, row)
		if errors.Is(err, fallback.ErrNotFound) {
			err = nil
		}
		return Status{BoundUpTo: boundUpTo(rec.Data)}, err
	})
}

// subjectRow returns the id of a subject's row. It is a hash: a reader of the store
// can test a guessed subject but cannot list them.
func (c *Client) subjectRow(subject []byte) string {
	return "s" + c.subjectHash("carryon subject", subject)
}

// subjectHash returns a hash of a subject for one purpose: 192 bits as base64url.
func (c *Client) subjectHash(purpose string, subject []byte) string {
	h := sha256.New()
	h.Write([]byte(purpose))
	for _, part := range [][]byte{[]byte(c.Audience), []byte(c.Name), subject} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write(part)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:24])
}

func isRevoked(data []byte) bool { return string(data) == revokedData }

// boundUpTo returns the time in a subject's row, or 0 if there is none.
func boundUpTo(data []byte) int64 {
	rest, ok := bytes.CutPrefix(data, []byte(subjectPrefix))
	if !ok || len(rest) != 8 {
		return 0
	}
	return int64(min(binary.BigEndian.Uint64(rest), state.MaxTime))
}
