package policy

import (
	"slices"

	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// Limits are the sizes of a request and of a response that a platform accepts.
type Limits struct {
	Cookies        int // in one request, including other cookies
	RequestBytes   int // of the Cookie header, including other cookies
	ResponseBytes  int // of the session's Set-Cookie lines in one response
	SetCookieLines int // of the session in one response
}

// Mode says where sessions are kept.
type Mode int

// The modes. See middleware.Mode.
const (
	Auto Mode = iota
	CookiesOnly
	StoredOnly
)

// Group is the set of session cookies with one tag in a request.
type Group struct {
	Tag        string
	Size       Size // of the cookies in the request
	Unopenable bool // no replica will be able to open it
}

// Growth is an entry that a response adds or makes much longer.
type Growth struct {
	Name  string
	Bytes int // of the value
}

// Input is everything that a decision depends on.
type Input struct {
	View    *state.View
	Changes *state.Changes
	Writes  bool // the changes leave a session to be written

	Now         int64      // ms
	ID          uint32     // of the request's stamps
	Fresh       state.Root // the root of a logout
	Lifetime    int64      // ms, of a new session
	MaxLifetime int64      // ms, the longest that a program may choose for one session
	Browser     bool       // a new session ends with the browser session
	Bound       int64      // ms, the earliest time at which subjects may be bound
	Idle        int64      // ms, the configured idle timeout; 0: none
	Touch       int64      // ms, the age at which a touch renews the last-seen time
	MayTouch    bool       // the response may be a touch

	Jar    []Group // the session cookies in the request, even if they did not open
	Others Size    // the other cookies in the request

	Audience  string // of the program
	Sizer     Sizer
	Limits    Limits
	FixedName bool     // fixed-name mode: there is one cookie, without a tag
	Mode      Mode     // where sessions are kept
	Store     bool     // a store is configured
	Revocable bool     // ended sessions are marked in the store, even those in cookies
	Conflict  bool     // the last plan met a conflict: the record had changed
	Late      bool     // the header was sent: a change can only be saved in the store
	RowTag    [16]byte // of the record's new revision
	InFlight  []Growth // what other requests of this process are adding now

	scratch [2]*state.Cookie // memory for the cookies that most responses set
}

// Plan is the decision about one response.
type Plan struct {
	Set     []*state.Cookie
	Expire  []string // tags
	Changes bool     // the session changes; if false, the plan is a touch or empty
	Whole   bool     // an existing session is written whole: of overlapping writes the last counts
	Grows   []Growth // what the plan adds in cells

	// The store must complete these before the response is sent.
	Record        *state.Cookie  // the record to save; nil: none
	Old, New      state.Revision // revisions of that record
	Extend        *state.Cookie  // the reference whose record gets a later expiry; nil: none
	EndedByLogout *state.Cookie  // the generation to mark as ended; nil: none
	ToStore       bool           // the session moves into the store
	ToCookies     bool           // the session moves back into the cookies

	// These are marked as ended after the response.
	EndedByRenewal []*state.Cookie // the generations that renewals replaced
}

// Empty reports whether a plan does nothing.
func (p *Plan) Empty() bool {
	return len(p.Set)+len(p.Expire)+len(p.EndedByRenewal) == 0 && !p.Changes && p.Record == nil && p.Extend == nil && p.EndedByLogout == nil
}

// Then combines two plans of one request: p, which was decided first, and q. The
// result is the plan of the response.
func (p Plan) Then(q Plan) Plan {
	for _, c := range p.Set {
		if !sets(q.Set, c.Tag) && !slices.Contains(q.Expire, c.Tag) {
			q.Set = append(q.Set, c)
		}
	}
	q.Expire = append(q.Expire, p.Expire...)
	slices.Sort(q.Expire)
	q.Expire = slices.DeleteFunc(slices.Compact(q.Expire), func(tag string) bool { return sets(q.Set, tag) })
	q.Changes, q.Whole = p.Changes || q.Changes, p.Whole || q.Whole
	q.EndedByRenewal, q.Grows = append(p.EndedByRenewal, q.EndedByRenewal...), append(p.Grows, q.Grows...)
	switch {
	case q.EndedByLogout == nil:
		q.EndedByLogout = p.EndedByLogout
	case p.EndedByLogout != nil:
		q.EndedByRenewal = append(q.EndedByRenewal, p.EndedByLogout)
	}
	return q
}

// sets reports whether set has a cookie with a tag.
func sets(set []*state.Cookie, tag string) bool {
	return slices.ContainsFunc(set, func(c *state.Cookie) bool { return c.Tag == tag })
}

// Decide returns the plan of a response. The error is a [*session.TooLargeError],
// [session.ErrStoreDown] or [session.ErrUnknownKey]. After an error, the cookies and
// the record stay as they are.
func Decide(in *Input) (Plan, error) {
	v, c := in.View, in.Changes
	d := decision{Input: in, stamp: state.Stamp{At: max(in.Now, v.Top+1), ID: in.ID}}
	p, err := d.choose()
	if err != nil {
		return Plan{}, err
	}
	ended := d.endedGeneration()
	switch {
	case !in.Store || ended == nil || !p.Changes:
	case c.Destroyed:
		p.EndedByLogout = ended
	case c.Renewed && v.Head != nil:
		p.EndedByRenewal = append(p.EndedByRenewal, ended)
	}
	return p, nil
}

// decision is the state of one call of Decide.
type decision struct {
	*Input
	stamp state.Stamp // of all writes of the response
}

func (d *decision) choose() (Plan, error) {
	v, c := d.View, d.Changes
	ends := c.Renewed || c.Destroyed
	switch {
	case d.Writes && v.Verdict == reason.StoreDown && !ends:
		return Plan{}, session.ErrStoreDown
	case d.Writes && v.Refused == reason.TooMany && !ends:
		return Plan{}, &session.TooLargeError{Limit: session.LimitCookies, Need: len(d.Jar) + d.Others.Cookies, Max: d.Limits.Cookies, Others: d.Others.Request}
	case d.Writes && v.Unopened > 0 && !ends:
		return Plan{}, session.ErrUnknownKey // the write could hide entries that only another replica can open
	case d.Writes && c.Begins(v):
		return d.begin()
	case c.Destroyed:
		return d.logout(), nil
	case d.Writes:
		return d.change()
	case v.Imported && d.MayTouch:
		if p, err := d.persistImport(); err == nil {
			return p, nil // an import that does not fit is repeated until a write stores it
		}
		return Plan{}, nil
	}
	return d.touch(), nil
}

// endedGeneration returns the generation that the request ends and that the store
// must mark as ended, or nil. A logout also ends a session that is idle or torn in
// this browser, because a complete copy may exist elsewhere.
func (d *decision) endedGeneration() *state.Cookie {
	v := d.View
	switch {
	case v.Winner == nil || v.Winner.Kind != state.Head:
		return nil
	case !d.Revocable && !v.Winner.Stored():
		return nil
	case v.Head != nil:
		return v.Winner
	case !d.Changes.Destroyed || v.Verdict == reason.Revoked || v.Verdict == reason.LoggedOut:
		return nil
	}
	return v.Winner
}
