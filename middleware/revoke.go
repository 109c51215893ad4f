package middleware

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/session"
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

// errRevocationOff is what revoking meets where nobody would ask.
var errRevocationOff = errors.New("carryon: Config.WithoutRevocation is set, so that no replica asks whether sessions in cookies have been ended; leave it out, on every replica")

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
	if m.WithoutRevocation && m.Mode != AlwaysStored {
		return errRevocationOff
	}
	if raw, err := base64.RawURLEncoding.Strict().DecodeString(id); err != nil || len(raw) != 16 || len(id) != 22 {
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
	if m.WithoutRevocation {
		return errRevocationOff
	}
	if len(subject) == 0 || len(subject) > core.MaxSubject {
		return errors.New("carryon: RevokeSubject takes a subject of 1 to 255 bytes, as Bind does: a user's id")
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
	_, exchange := m.Begin(ctx, Request{})
	x := exchange.working() // for its calls of the store, which are events
	x.found = &x.room
	for range tries {
		var have fallback.Record
		err := x.call(ctx, "load", func(ctx context.Context, s fallback.Store) (n int, err error) {
			have, err = s.Load(ctx, row)
			return len(have.Data), err
		})
		if err != nil && !errors.Is(err, fallback.ErrNotFound) {
			return err
		}
		rec := fallback.Record{Revision: have.Revision.Next(), Data: data(have), Pinned: true,
			Expires: m.Clock().Add(MaxLifetime + core.Settled*time.Millisecond)}
		err = x.call(ctx, "save", func(ctx context.Context, s fallback.Store) (int, error) {
			return len(rec.Data), s.Save(ctx, row, have.Revision, rec)
		})
		switch {
		case err == nil:
			return nil
		case errors.Is(err, fallback.ErrTooLarge):
			return storeDown(err)
		case !errors.Is(err, fallback.ErrConflict):
			return err
		}
	}
	return storeDown(errBusy)
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
	told, err := x.askWhether(ctx, v, m.staleness)
	return x.ended(v, told, err)
}

// askWhether asks whether a session has been ended: by its id, unless its own row
// has been loaded already, and by its subject.
func (x *work) askWhether(ctx context.Context, v *core.View, age time.Duration) (told mark, err error) {
	if v.Ref == nil || age == 0 {
		told, err = x.askSession(ctx, v.Head, age)
	}
	if v.Head.Subject == nil || told.dead {
		return told, err
	}
	of, failed := x.askSubject(ctx, v.Head.Subject, age)
	return mark{dead: of.before >= v.Head.Bound}, cmp.Or(err, failed)
}

// askSession asks whether a generation that is in cookies has been ended.
func (x *work) askSession(ctx context.Context, head *core.Fragment, age time.Duration) (mark, error) {
	m := x.sessions
	return m.revocations.ask(ctx, head.Root.RecordID(), m.Clock(), age, func(ctx context.Context) (mark, error) {
		rec, err := x.fetch(ctx, head)
		dead := rec != nil && rec.fragment.Kind == core.Logout
		return mark{dead: dead, out: dead && !rec.revoked}, err
	})
}

// ended notes what came of a question.
func (x *work) ended(v *core.View, told mark, err error) error {
	switch {
	case told.dead: // be it that the store does not answer now
		v.Verdict, v.Head, v.State, v.Imported = core.Revoked, nil, core.State{}, false
		if told.out {
			v.Verdict = core.LoggedOut
		}
	case err != nil && x.sessions.RefuseIfRevocationUnknown:
		v.Verdict, v.Frozen, v.Head, v.State = core.StoreDown, true, nil, core.State{}
		if x.sessions.AbsentIfStoreDown {
			return nil
		}
		return err
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
// store cannot tell, it goes by what is known, and a revocation of the last minute
// may count against the new session as well.
func (x *work) boundAt(ctx context.Context, o core.Outcome) int64 {
	if o.Changes == nil || o.Changes.Subject == nil || !x.sessions.revocable() || o.Err != nil {
		return 0
	}
	told, _ := x.askSubject(ctx, o.Changes.Subject, 0)
	return min(told.before+1, core.MaxTime)
}

// checkRenewal asks the store anew about a session that is to go on under a new
// id. What this replica knows of it may be seconds old, and the request may have
// been held open for longer: a copy of what has been ended meanwhile must not get
// out of it what nobody can end. Where it was logged out or renewed, what overlaps
// with that is dropped, by intent, but a login must not seem to have succeeded.
// Where nobody was logged in, two logins at once may both begin a session: one of
// them counts.
func (x *work) checkRenewal(ctx context.Context, o core.Outcome) (drop bool, err error) {
	v := o.View
	if !x.sessions.revocable() || v == nil || v.Head == nil || !o.Writes || !o.Changes.Renewed || o.Changes.Destroyed {
		return false, nil
	}
	login := o.Changes.Subject != nil
	told, err := x.askWhether(ctx, v, 0)
	if told.out && login && v.Head.Subject == nil {
		return false, nil
	}
	now := *v
	if err := x.ended(&now, told, err); err != nil {
		return false, err
	}
	reason := session.ReasonOf(&now)
	switch {
	case now.Verdict == core.StoreDown:
		return false, session.ErrStoreDown
	case told.out && !login:
		x.observe(ctx, Event{Kind: EventRefused, Reason: reason, SessionID: v.Head.Root.ID()})
		return true, nil
	case told.dead:
		return false, &endedError{reason}
	}
	return false, nil
}

// endedError is session.ErrEnded, and how.
type endedError struct{ reason session.Reason }

func (e *endedError) Error() string { return session.ErrEnded.Error() + " (" + string(e.reason) + ")" }
func (e *endedError) Unwrap() error { return session.ErrEnded }

// endGeneration marks a generation that a logout or a renewal has ended, so that
// copies of its cookies are of no use.
func (x *work) endGeneration(ctx context.Context, f *core.Fragment, end int64) {
	x.farewell(ctx, f, end)
	if x.sessions.revocable() {
		x.sessions.revocations.learn(f.Root.RecordID(), mark{dead: true, out: true}, x.sessions.Clock())
	}
}
