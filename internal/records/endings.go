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

// What stands in a row that ends a session, or a subject's sessions. Neither is
// sealed: a program that can write to the store can end sessions in any case.
const (
	revokedMark = "carryon revoked"
	subjectMark = "carryon subject" // and the time, in milliseconds, as 8 bytes
)

// Ending is what the store has on one session's id, or on one subject.
type Ending struct {
	Dead   bool  // the session has been ended
	Out    bool  // by a logout or a renewal
	Before int64 // sessions that were bound to the subject up to then have been ended (ms)
}

// EndSession ends the session of a record, wherever its cookies are. The row
// stays until expires.
func (d *Desk) EndSession(ctx context.Context, row string, expires time.Time) error {
	err := d.rewrite(ctx, row, expires, func(fallback.Record) []byte { return []byte(revokedMark) })
	if err == nil {
		d.Keeper.revocations.learn(row, Ending{Dead: true}, d.Keeper.Clock())
	}
	return err
}

// EndSubject ends all sessions that were bound to a subject before now.
func (d *Desk) EndSubject(ctx context.Context, subject []byte, expires time.Time) error {
	k := d.Keeper
	row, before := k.subjectRow(subject), int64(0)
	err := d.rewrite(ctx, row, expires, func(have fallback.Record) []byte {
		before = max(state.Millis(k.Clock())+2*state.Skew, boundBefore(have.Data)+1)
		return binary.BigEndian.AppendUint64([]byte(subjectMark), uint64(before))
	})
	if err == nil {
		k.revocations.learn(row, Ending{Before: before}, k.Clock())
	}
	return err
}

// rewrite puts data into a row, whatever stands there.
func (d *Desk) rewrite(ctx context.Context, row string, expires time.Time, data func(have fallback.Record) []byte) error {
	for range MaxTries {
		have, err := d.loadRow(ctx, row)
		if err != nil && !errors.Is(err, fallback.ErrNotFound) {
			return err
		}
		rec := fallback.Record{Revision: have.Revision.Next(), Data: data(have), Kind: fallback.KindRevocation, Expires: expires}
		switch err = d.saveRow(ctx, row, have.Revision, rec); {
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

// Learn notes that a logout or a renewal of this replica has ended a generation.
func (d *Desk) Learn(root *state.Root) {
	d.Keeper.revocations.learn(root.RecordID(), Ending{Dead: true, Out: true}, d.Keeper.Clock())
}

// OfSession returns whether a generation has been ended, as of at most age ago.
// With an error it returns what was known before.
func (d *Desk) OfSession(ctx context.Context, head *state.Cookie, age time.Duration) (Ending, error) {
	k := d.Keeper
	return k.revocations.ask(ctx, head.Root.RecordID(), k.Clock(), age, func(ctx context.Context) (Ending, error) {
		ctx = k.shared(ctx)
		rec, err := d.Load(ctx, head)
		dead := rec != nil && rec.Content.Kind == state.Logout
		return Ending{Dead: dead, Out: dead && !rec.Revoked}, err
	})
}

// OfSubject returns up to when sessions of a subject have been ended, as of at
// most age ago. With an error it returns what was known before.
func (d *Desk) OfSubject(ctx context.Context, subject []byte, age time.Duration) (Ending, error) {
	k := d.Keeper
	row := k.subjectRow(subject)
	return k.revocations.ask(ctx, row, k.Clock(), age, func(ctx context.Context) (Ending, error) {
		ctx = k.shared(ctx)
		rec, err := d.loadRow(ctx, row)
		if errors.Is(err, fallback.ErrNotFound) {
			err = nil
		}
		return Ending{Before: boundBefore(rec.Data)}, err
	})
}

// subjectRow is the row of a subject: a hash, against which a reader of the store
// can at most test a guess.
func (k *Keeper) subjectRow(subject []byte) string {
	h := sha256.New()
	h.Write([]byte("carryon subject"))
	for _, part := range [][]byte{[]byte(k.Audience), []byte(k.Name), subject} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write(part)
	}
	return "s" + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:24])
}

func isRevoked(data []byte) bool { return string(data) == revokedMark }

// boundBefore is the time in a subject's row, 0 if there is none.
func boundBefore(data []byte) int64 {
	rest, ok := bytes.CutPrefix(data, []byte(subjectMark))
	if !ok || len(rest) != 8 {
		return 0
	}
	return int64(min(binary.BigEndian.Uint64(rest), state.MaxTime))
}
