package middleware

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/session"
)

// Description is how a session stands in the cookies of one request: for a
// page that helps with debugging, or for whoever answers a visitor's call. It
// holds names and numbers, and no values, cookies or secrets.
type Description struct {
	// Fragments are what the request carried of this session and of older ones
	// that are not cleared away yet, in the order of the Cookie header.
	Fragments []Fragment
	// Record is what stands in the store for it, as it was last loaded or saved
	// by this request; nil where the session is not there.
	Record *Record
	// StoreCalls is how many calls of the store this request has made so far,
	// which is one round trip each, but for the few that a store says otherwise of.
	StoreCalls int
	// Limits are the numbers in effect: the platform's, and those that Config
	// overrides.
	Limits Limits
	// Used is how much of Limits this request takes, counted as a write counts
	// it: its largest session cookie, its cookies and its Cookie header, the
	// program's own included. What only a response shows is 0.
	Used Limits
}

// Record is a session's row in the store.
type Record struct {
	ID      string    // under which the store has it: a hash, of no use without the cookies
	Number  uint64    // of its revision; it grows by one with each write
	Bytes   int       // sealed
	Expires time.Time // when the store may drop it
	Entries []string  // the names whose present value is from it, sorted
}

// Fragment is one sealed value, in one cookie or cut into several.
type Fragment struct {
	// Suffix is what follows the base name: of "__Host-session.k7m2qv5xyd"
	// it is "k7m2qv5xyd". It is empty with [Config.FixedName].
	Suffix string
	// Kind is "snapshot" (all of the session), "delta" (what one request
	// changed), "reference" (to the record in the store), "logout", "seen" (when
	// the visitor was last seen), or "" where it did not open; the session's
	// Reason may then say why.
	Kind string
	// Fate is what the merge made of it: "accepted"; "covered" (another says
	// the same); "superseded", "late", "torn", "expired" or "expired (idle)",
	// as in [session.Reason]; or "unopened".
	Fate string
	// Entries are the names whose present value is from this fragment, sorted.
	// It is from several where they hold the very same write.
	Entries []string
	// Pieces is how many cookies it takes, and Bytes what these take of the
	// Cookie header: names, values and separators.
	Pieces, Bytes int
}

// Describe tells how the session that this Sessions put into ctx was found:
// changes since then are not in it. It loads the session if need be, changes
// nothing, and panics where ctx did not pass the Handler.
func (m *Sessions) Describe(ctx context.Context) Description {
	x := m.exchange(ctx)
	if x == nil {
		panic("carryon: Sessions.Describe: this context did not pass this Sessions' Handler; " +
			"wrap the handler that serves this route, and pass r.Context() on")
	}
	v := x.core.View()
	d := Description{Limits: m.limits}
	x.core.Locked(func() { x.describe(&d, v) }) // a goroutine of the handler's may save meanwhile
	return d
}

func (x *Exchange) describe(d *Description, v *core.View) {
	found := x.findings()
	for _, g := range found.jar.groups {
		d.Fragments = append(d.Fragments, describe(v, g))
	}
	d.Used = x.sessions.used(&found.jar)
	if s := found.stored; s != nil {
		d.StoreCalls, d.Record = s.calls, s.describe(v)
	}
}

// findings are those of the load, or what there is to say where it had nothing to do.
func (x *Exchange) findings() *findings {
	if w := x.work.Load(); w != nil && w.found != nil {
		return w.found
	}
	found := &findings{}
	found.jar.read(x.cookies, x.sessions.Name, x.sessions.FixedName, maxOurs)
	return found
}

func (s *stored) describe(v *core.View) *Record {
	if s.record == nil || v.Ref == nil || v.Head == nil {
		return nil
	}
	f := s.record.fragment
	return &Record{ID: f.Root.RecordID(), Number: s.record.revision.Number, Bytes: s.record.bytes,
		Expires: s.record.expires, Entries: shown(v, f)}
}

// describe is one suffix's cookies and what the merge made of them.
func describe(v *core.View, g group) Fragment {
	out := Fragment{Suffix: strings.Clone(g.suffix), Fate: "unopened", Pieces: g.count, Bytes: g.bytes}
	for i, f := range v.Fragments {
		if f.Suffix == g.suffix && !f.Stored {
			out.Kind, out.Fate = kindOf(f), fateOf(v.Fates[i])
			if v.Fates[i] == core.Accepted || v.Fates[i] == core.Covered {
				out.Entries = shown(v, f)
			}
		}
	}
	return out
}

func kindOf(f *core.Fragment) string {
	switch {
	case f.Kind == core.Logout:
		return "logout"
	case f.Kind == core.SeenMark:
		return "seen"
	case f.Kind == core.Reference:
		return "reference"
	case f.Snapshot():
		return "snapshot"
	}
	return "delta"
}

func fateOf(f core.Fate) string {
	switch f {
	case core.Accepted:
		return "accepted"
	case core.Covered:
		return "covered"
	}
	return string(session.ReasonOfFate(f))
}

// shown lists the entries of f that are the state's. The names are copied:
// they would keep the whole opened fragment alive.
func shown(v *core.View, f *core.Fragment) (names []string) {
	for _, e := range f.Entries {
		if have, ok := v.State.Find(e.Name); ok && have.Stamp == e.Stamp && !have.Dead() {
			names = append(names, strings.Clone(e.Name))
		}
	}
	slices.Sort(names)
	return names
}

// used is what a request's cookies take, by the rules of the plan.
func (m *Sessions) used(j *jar) Limits {
	l := Limits{Cookies: min(j.others, m.limits.Cookies/2), RequestBytes: j.foreign}
	for _, g := range j.groups {
		l.Cookies, l.RequestBytes = l.Cookies+g.count, l.RequestBytes+g.bytes
		for _, p := range j.pieces {
			if p.suffix == g.suffix {
				l.CookieBytes = max(l.CookieBytes, m.scale.base+digits(p.index)+1+len(p.value)+m.scale.attributes)
			}
		}
	}
	return l
}
