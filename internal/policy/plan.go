package policy

import (
	"slices"

	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/session"
)

// Limits is how much of a request and of a response the session may take.
type Limits struct {
	Cookies        int // that one request may carry, the program's own included
	RequestBytes   int // of the Cookie header, the program's own cookies included
	ResponseBytes  int // of our Set-Cookie lines in one response
	SetCookieLines int // of ours in one response
}

// Mode says where sessions live.
type Mode int

// The modes, as the middleware documents them.
const (
	Auto Mode = iota
	Lossless
	CookiesOnly
	StoredOnly
)

// Group is what a request carried under one tag.
type Group struct {
	Tag    string
	Size   Size // of its cookies in the request
	Waste  bool // no replica can ever open it
	Closed bool // it did not open here
}

// Growth is an entry that a response adds or makes much longer.
type Growth struct {
	Name  string
	Bytes int // of the value
}

// Input is all that a decision follows from.
type Input struct {
	View    *state.View
	Changes *state.Changes
	Writes  bool // the changes leave a session to be written

	Now         int64  // ms
	ID          uint32 // of the request's stamps
	Fresh       state.Root
	Lifetime    int64 // ms, of a session that begins
	MaxLifetime int64 // ms, the most that a program may choose
	Browser     bool  // a session that begins ends with the browser session
	Bound       int64 // ms, not before which a subject is bound
	Idle        int64 // ms, the configured idle timeout; 0: none
	Touch       int64 // ms, the age at which the last-seen time is renewed
	MayTouch    bool  // the response may renew it

	Jar    []Group // ours in the request, opened or not
	Others Size    // the program's own cookies in the request

	Audience  string // of the program
	Sizer     Sizer
	Limits    Limits
	FixedName bool     // there is one cookie, without a tag
	Mode      Mode     //
	Store     bool     // there is a store
	Revocable bool     // the store is told of sessions in cookies that end
	Conflict  bool     // the record has changed since it was loaded
	Late      bool     // the header has gone: only the store can take a change
	RowTag    [16]byte // of the revision that the store gets
	InFlight  []Growth // what other requests of this process are adding now

	room [2]*state.Cookie // for what most responses set
}

// Plan is what a response does.
type Plan struct {
	Set     []*state.Cookie
	Expire  []string // tags
	Changes bool     // the session changed; else the plan is a touch, or nothing
	Whole   bool     // a session that goes on was written whole: of overlapping writes the last counts
	Grows   []Growth // what the plan adds in cells

	// What the store is asked before the response says so.
	Record   *state.Cookie  // the content of the session's record; nil for none
	Old, New state.Revision // of that record
	Prolong  *state.Cookie  // the reference whose record lives on; nil for none
	Ended    *state.Cookie  // the generation that a logout ends; nil for none
	ToStore  bool           // the session moves into the store
	Returns  bool           // the session moves back into the cookies

	// What it is asked afterwards.
	Left []*state.Cookie // generations that a renewal has ended
}

// Empty reports whether a plan does nothing.
func (p *Plan) Empty() bool {
	return len(p.Set)+len(p.Expire)+len(p.Left) == 0 && !p.Changes && p.Record == nil && p.Prolong == nil && p.Ended == nil
}

// Then returns what a response says for which p was decided first, and q later
// in the same request.
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
	q.Left, q.Grows = append(p.Left, q.Left...), append(p.Grows, q.Grows...)
	switch {
	case q.Ended == nil:
		q.Ended = p.Ended
	case p.Ended != nil:
		q.Left = append(q.Left, p.Ended)
	}
	return q
}

func sets(set []*state.Cookie, tag string) bool {
	return slices.ContainsFunc(set, func(c *state.Cookie) bool { return c.Tag == tag })
}

// Decide returns what the response does. The error is a [*session.TooLargeError],
// [session.ErrStoreDown] or [session.ErrUnknownKey]; then the visitor's cookies
// and the record stay as they are.
func Decide(in *Input) (Plan, error) {
	v, c := in.View, in.Changes
	d := decision{Input: in, stamp: state.Stamp{At: max(in.Now, v.Top+1), ID: in.ID}}
	p, err := d.choose()
	if err != nil {
		return Plan{}, err
	}
	over := d.ends()
	switch {
	case !in.Store || over == nil || !p.Changes:
	case c.Destroyed:
		p.Ended = over
	case c.Renewed && v.Head != nil:
		p.Left = append(p.Left, over)
	}
	return p, nil
}

// decision is the work on one Input.
type decision struct {
	*Input
	stamp state.Stamp // of all that the response writes
}

func (d *decision) choose() (Plan, error) {
	v, c := d.View, d.Changes
	ends := c.Renewed || c.Destroyed
	switch {
	case d.Writes && v.Verdict == state.StoreDown && !ends:
		return Plan{}, session.ErrStoreDown
	case d.Writes && v.Closed == string(session.TooMany) && !ends:
		return Plan{}, &session.TooLargeError{Limit: session.LimitCookies, Need: len(d.Jar) + d.Others.Cookies, Max: d.Limits.Cookies, Others: d.Others.Request}
	case d.Writes && v.Unopened > 0 && !ends:
		return Plan{}, session.ErrUnknownKey // the write could hide what another replica can read
	case d.Writes && c.Begins(v):
		return d.begin()
	case c.Destroyed:
		return d.logout(), nil
	case d.Writes:
		return d.change()
	case v.Imported && d.MayTouch:
		if p, err := d.settleImport(); err == nil {
			return p, nil // what does not fit stays the other library's until it is written
		}
		return Plan{}, nil
	}
	return d.touch(), nil
}

// ends returns the generation that the store is told of, if the request ends
// it. A logout also ends a session that it cannot see any more: that this
// browser has not used it for long, or has lost a part of it, does not mean that
// no one has a copy.
func (d *decision) ends() *state.Cookie {
	v := d.View
	switch {
	case v.Over == nil || v.Over.Kind != state.Head:
		return nil
	case !d.Revocable && !v.Over.Stored():
		return nil
	case v.Head != nil:
		return v.Over
	case !d.Changes.Destroyed || v.Verdict == state.Revoked || v.Verdict == state.LoggedOut:
		return nil
	}
	return v.Over
}
