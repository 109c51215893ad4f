package middleware

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/internal/core"
)

// DefaultRevocationMaxAge is how old what a replica knows of revocations may be.
const DefaultRevocationMaxAge = 10 * time.Second

// What stands in a row that ends a session, or a subject's sessions. Neither is
// sealed: who can write to the store can end sessions in any case.
const (
	revokedMark = "carryon revoked"
	subjectMark = "carryon subject" // and the time, in milliseconds, as 8 bytes
)

// errNothingRevoked is what revoking meets where the configuration has no store.
var errNothingRevoked = errors.New("carryon: revocations are kept in Config.Fallback, which is nil; give it a store, for several replicas one that they share")

// Revoke ends the session with a public id ([session.Session.ID]), wherever its
// cookies are, however many copies there are of them, and whether it lives in
// cookies or in the store. The id changes with Renew: keep the one that the
// session has after a login. It is no error if there is no such session.
//
// When it has returned, this replica refuses the session at once, and others
// within Config.RevocationMaxAge. The error is [session.ErrStoreDown] (wrapped)
// where the store could not be written: then nothing may be taken for revoked.
// How safe an acknowledged write is, is the store's to say (docs/stores.md).
func (m *Sessions) Revoke(ctx context.Context, id string) error {
	if m.Fallback == nil {
		return errNothingRevoked
	}
	if raw, err := base64.RawURLEncoding.DecodeString(id); err != nil || len(raw) != 16 {
		return errors.New("carryon: Revoke takes the 22 characters that session.Session.ID gives")
	}
	row := core.RecordIDOf(id)
	err := m.rewrite(ctx, row, func(fallback.Record) []byte { return []byte(revokedMark) })
	if err == nil {
		m.revocations.learn(row, mark{dead: true}, m.Clock())
	}
	return err
}

// RevokeSubject ends all sessions that were bound to the subject
// ([session.Session.Bind]) before now: "log out everywhere". It counts for every
// session that a replica loads after it has returned, at this replica at once
// and at others within Config.RevocationMaxAge. Logins that come after it are
// not concerned, however the replicas' clocks differ. For its error see
// [Sessions.Revoke].
func (m *Sessions) RevokeSubject(ctx context.Context, subject string) error {
	if m.Fallback == nil {
		return errNothingRevoked
	}
	row, before := m.subjectRow([]byte(subject)), int64(0)
	err := m.rewrite(ctx, row, func(have fallback.Record) []byte {
		before = max(core.Millis(m.Clock())+2*core.Skew, boundBefore(have.Data)+1)
		return binary.BigEndian.AppendUint64([]byte(subjectMark), uint64(before))
	})
	if err == nil {
		m.revocations.learn(row, mark{before: before}, m.Clock())
	}
	return err
}

// rewrite puts data into a row, whatever stands there. It stays for as long as a
// browser may keep a cookie, whatever Config.Lifetime was when that was set.
func (m *Sessions) rewrite(ctx context.Context, row string, data func(have fallback.Record) []byte) error {
	for range tries {
		have, err := m.loadRow(ctx, row)
		if err != nil && !errors.Is(err, fallback.ErrNotFound) {
			return storeDown(err)
		}
		bounded, cancel := m.storeContext(ctx, false)
		err = m.Fallback.Save(bounded, row, have.Revision, fallback.Record{
			Revision: have.Revision.Next(), Data: data(have), Pinned: true,
			Expires: m.Clock().Add(MaxLifetime + core.Settled*time.Millisecond)})
		cancel()
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, fallback.ErrConflict):
			return storeDown(err)
		}
	}
	return storeDown(errBusy)
}

func (m *Sessions) loadRow(ctx context.Context, row string) (fallback.Record, error) {
	ctx, cancel := m.storeContext(ctx, true)
	defer cancel()
	return m.Fallback.Load(ctx, row)
}

// subjectRow is the row of a subject: a hash, with which who reads the store can
// at most test a guess.
func (m *Sessions) subjectRow(subject []byte) string {
	h := sha256.New()
	h.Write([]byte("carryon subject"))
	for _, part := range [][]byte{[]byte(m.Audience), []byte(m.Name), subject} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write(part)
	}
	return "s" + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:24])
}

func isRevoked(data []byte) bool { return string(data) == revokedMark }

// boundBefore is the time in a subject's row, 0 where there is none.
func boundBefore(data []byte) int64 {
	rest, ok := bytes.CutPrefix(data, []byte(subjectMark))
	if !ok || len(rest) != 8 {
		return 0
	}
	return int64(min(binary.BigEndian.Uint64(rest), core.MaxTime))
}

// revocable tells whether sessions can be ended from elsewhere.
func (s *settings) revocable() bool { return s.Fallback != nil && !s.WithoutRevocation }

// refuseRevoked takes the session out of the view if it has been ended from
// elsewhere. A stored session's own row has been loaded already.
func (x *work) refuseRevoked(ctx context.Context, v *core.View) error {
	m := x.sessions
	if !m.revocable() || v.Head == nil {
		return nil
	}
	head := v.Head
	if v.Ref == nil {
		row := head.Root.RecordID()
		told, err := m.revocations.ask(ctx, row, m.Clock(), m.staleness, func(ctx context.Context) (mark, error) {
			rec, err := x.fetch(ctx, head)
			dead := rec != nil && rec.fragment.Kind == core.Logout
			return mark{dead: dead, out: dead && !rec.revoked}, err
		})
		if err := x.ended(v, told, err); err != nil || v.Head == nil {
			return err
		}
	}
	if head.Subject == nil {
		return nil
	}
	told, err := x.askSubject(ctx, head.Subject, m.staleness)
	told.dead = told.before >= head.Bound
	return x.ended(v, told, err)
}

// ended notes what came of a question.
func (x *work) ended(v *core.View, told mark, err error) error {
	switch {
	case err != nil && x.sessions.RefuseIfRevocationUnknown:
		v.Verdict, v.Frozen, v.Head, v.State = core.StoreDown, true, nil, core.State{}
		if x.sessions.AbsentIfStoreDown {
			return nil
		}
		return err
	case err == nil && told.dead:
		v.Verdict, v.Head, v.State, v.Imported = core.Revoked, nil, core.State{}, false
		if told.out {
			v.Verdict = core.LoggedOut
		}
	}
	return nil
}

func (x *work) askSubject(ctx context.Context, subject []byte, age time.Duration) (mark, error) {
	m := x.sessions
	row := m.subjectRow(subject)
	return m.revocations.ask(ctx, row, m.Clock(), age, func(ctx context.Context) (told mark, err error) {
		err = x.call(ctx, "load", func(ctx context.Context, s fallback.Store) (int, error) {
			rec, err := s.Load(ctx, row)
			told.before = boundBefore(rec.Data)
			return len(rec.Data), err
		})
		if errors.Is(err, fallback.ErrNotFound) {
			err = nil
		}
		return told, err
	})
}

// boundAt is the time that a login seals into its session: after all revocations
// of the subject so far, be they by a clock that is ahead of this one. Where the
// store cannot tell, it is now, and a revocation of the last minute may count
// against the new session as well.
func (x *work) boundAt(ctx context.Context, o core.Outcome) int64 {
	if o.Changes == nil || o.Changes.Subject == nil || !x.sessions.revocable() || o.Err != nil {
		return 0
	}
	told, err := x.askSubject(ctx, o.Changes.Subject, 0)
	if err != nil {
		return 0
	}
	return told.before + 1
}

// endGeneration marks a generation that a logout or a renewal has ended, so that
// copies of its cookies are of no use.
func (x *work) endGeneration(ctx context.Context, f *core.Fragment, end int64) {
	x.farewell(ctx, f, end)
	if x.sessions.revocable() {
		x.sessions.revocations.learn(f.Root.RecordID(), mark{dead: true, out: true}, x.sessions.Clock())
	}
}
