package middleware

import (
	"context"
	"errors"
	"time"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/records"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// Listed is one session in a list; see [Sessions.List].
type Listed struct {
	ID       string    // the public id, for [Sessions.Revoke]
	Created  time.Time // when the session began
	LastSeen time.Time // the last use, at most Config.Lifetimes.TouchAfter ago
	Expires  time.Time // when the session ends if it is not used again
	Label    string    // from [session.Label], as valid UTF-8; escape it where you show it
	Current  bool      // it is the session of the context
}

// MaxListed is how many sessions of one subject are listed. A further login takes the
// place of the session that was seen least recently, which continues.
const MaxListed = 100

var errNoList = errors.New("carryon: Config.Fallback.List is false, so no list of sessions is kept; set it on every replica")

// List returns the sessions of a subject, the last seen first: the "devices" at which
// a user is logged in. The subject is the first argument of [session.Session.Login].
// It needs Config.Fallback.List, and lists the sessions of logins from then on.
//
// Sessions that have expired, or that a logout, [Sessions.Revoke] or
// [Sessions.RevokeSubject] has ended, are not listed; those that another replica has
// ended are left out within Config.Fallback.RevocationMaxAge. To end one of the
// others, call [Sessions.Revoke] with its ID. Check first that the list has that ID:
// it comes from the visitor.
//
// If the store fails, the error is [session.ErrStoreDown] (wrapped). If another replica
// has sealed the list with a key that this one cannot read from its source, the error is
// [reason.UnknownKey] (wrapped). A list that was damaged or forged is an event and
// counts as empty; the next write replaces it.
//
// A list is written after the response, and a failure then is only an event. The list
// lacks a new session until its last-seen time is renewed, and shows one that was logged
// out until it would have expired.
func (m *Sessions) List(ctx context.Context, subject string) ([]Listed, error) {
	switch {
	case !m.config.Fallback.List:
		return nil, errNoList
	case !isSubject(subject):
		return nil, errNoSubject
	}
	storage, current := m.storage(ctx), ""
	if x := m.exchange(ctx); x != nil {
		current = x.session.ID()
	}
	all, err := storage.Listing(ctx, []byte(subject))
	if err != nil {
		return nil, err
	}
	var list []Listed
	for _, l := range all.Live(state.Millis(m.config.Clock())) {
		live, err := storage.IsListed(ctx, []byte(subject), &l, m.staleness)
		if err != nil {
			return nil, err
		}
		if live {
			list = append(list, Listed{ID: l.PublicID(), Created: state.Time(l.Created), LastSeen: state.Time(l.SeenAt),
				Expires: state.Time(l.End), Label: l.Label, Current: l.PublicID() == current})
		}
	}
	return list, nil
}

// listChange is a change of one subject's list.
type listChange struct {
	subject []byte
	change  func(state.Listing) state.Listing
}

// noteListing notes what a plan changes in the lists of sessions. Finish writes it,
// because a failure must not change the response.
func (x *requestState) noteListing(o core.Outcome, p policy.Plan) {
	if !x.sessions.config.Fallback.List || o.View == nil || !changesListing(o, p) {
		return
	}
	now := state.Millis(x.sessions.config.Clock())
	before, after := o.View.Head, sessionOf(p, o.View)
	if o.Changes.Destroyed && !o.Writes { // in fixed-name mode a logout only expires the cookie
		after = nil
	}
	if before != nil && before.Subjects != nil && (after == nil || before.Root != after.Root) {
		x.listing = append(x.listing, listChange{before.Subjects.First(), func(l state.Listing) state.Listing {
			return l.Remove(&before.Root, now)
		}})
	}
	if after != nil && after.Kind == state.Head && after.Subjects != nil {
		e := x.listed(o, after, now)
		x.listing = append(x.listing, listChange{after.Subjects.First(), func(l state.Listing) state.Listing { return l.Put(e) }})
	}
}

// changesListing reports whether a plan changes what is listed.
func changesListing(o core.Outcome, p policy.Plan) bool {
	c, v := o.Changes, o.View
	if p.Changes {
		_, labels := c.Find(string(session.Label))
		return labels || c.Cleared || c.Begins(v)
	}
	return len(p.Set) > 0 && v.Head != nil // the plan renews the last-seen time
}

// listed returns the entry of a session.
func (x *requestState) listed(o core.Outcome, head *state.Cookie, now int64) state.ListItem {
	end, idle := head.End, x.sessions.idle
	if head.Idle != 0 {
		idle = head.Idle
	}
	if idle > 0 && idle < state.NoIdle {
		end = min(end, now+idle)
	}
	e := state.NewListItem(head, now, end, labelOf(o))
	e.Others = x.sessions.records.OtherSubjects(head.Subjects)
	return e
}

// labelOf returns the session's label after the changes.
func labelOf(o core.Outcome) string {
	name := string(session.Label)
	var raw []byte
	if i, ok := o.Changes.Find(name); ok {
		raw = o.Changes.Ops[i].Value
	} else if e := o.View.Find(name); e != nil && !o.Changes.Cleared && !o.Changes.Destroyed {
		raw = e.CBOR()
	}
	text, _ := state.Text(raw)
	return string(text)
}

// updateListings writes the changes that noteListing has noted.
func (x *requestState) updateListings(ctx context.Context) {
	noted := x.listing
	x.listing = nil
	for _, c := range noted {
		err := x.storage().UpdateListing(ctx, c.subject, c.change)
		if err != nil && (!errors.Is(err, session.ErrStoreDown) || errors.Is(err, records.ErrBusy)) { // the call has reported an outage
			x.observe(ctx, Event{Kind: EventStore, Detail: "list", Reason: reason.Of(err), Err: err})
		}
	}
}

// rowSealer seals rows of the store with the program's ring. A purpose contains a
// space and is therefore not the name of a cookie, so no row opens as a cookie.
type rowSealer struct{ *Sessions }

var _ records.Sealer = rowSealer{}

func (s rowSealer) SealRow(ctx context.Context, purpose string, plaintext []byte) ([]byte, error) {
	key := s.config.Keys.Ring(ctx).Active(s.config.Clock())
	if key == nil {
		return nil, session.ErrNoKey
	}
	return s.formats.Seal(nil, key, s.binding(purpose), plaintext)
}

func (s rowSealer) OpenRow(ctx context.Context, purpose string, data []byte) ([]byte, error) {
	plaintext, err := s.openWith(s.config.Keys.Ring(ctx), purpose, data)
	unknown, ok := errors.AsType[*codec.Error](err)
	if !ok || unknown.Reason != reason.UnknownKey {
		return plaintext, err
	}
	resolver, ok := s.config.Keys.(keyring.Resolver)
	if !ok {
		return nil, core.ErrRowKey
	}
	switch ring, verdict := resolver.Resolve(ctx, unknown.KeyID); verdict {
	case keyring.Known:
		return s.openWith(ring, purpose, data)
	case keyring.Foreign:
		return nil, err
	default:
		return nil, core.ErrRowKey
	}
}

func (s rowSealer) openWith(ring *keyring.Ring, purpose string, data []byte) ([]byte, error) {
	plaintext, _, err := s.formats.Open(nil, ring, s.config.Clock(), s.binding(purpose), string(data))
	return plaintext, err
}
