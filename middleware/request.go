package middleware

import (
	"cmp"
	"context"
	"net/http"
	"sync/atomic"

	"github.com/carryon-go/carryon/internal/cookiejar"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/records"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// Request is the part of an HTTP request that a session needs.
type Request struct {
	Method  string   // the HTTP method; responses to HEAD and OPTIONS do not renew the last-seen time
	Cookies []string // the lines of the Cookie field, any number
	// Prefetch reports whether the browser fetches the page before the visitor asks
	// for it (Sec-Purpose: prefetch). A prefetch does not renew the last-seen time,
	// and Pop does not remove the value.
	Prefetch bool
}

// quiet reports whether the visitor may never see the response. Such a response must
// not renew the last-seen time.
func (r *Request) quiet() bool {
	return r.Prefetch || r.Method == http.MethodHead || r.Method == http.MethodOptions
}

// Response is the part of an HTTP response that a session needs before the header
// is written.
type Response struct {
	Status       int    // the status code
	CacheControl string // the value that the program has set
	prefetch     bool   // Request.Prefetch, if the adapter reads it only at the commit
}

// Fields are the header fields that the session adds to the response.
type Fields struct {
	SetCookie    []string // Set-Cookie lines, to be added in this order
	Vary         bool     // add Cookie to Vary; see [AddVary]
	CacheControl string   // replaces the program's value, unless empty
}

// Exchange is the session of one request, from Begin to Finish. It is also the
// request's context. An Exchange is never reused, because goroutines of the handler
// may still hold it.
type Exchange struct {
	context.Context
	sessions *Sessions
	cookies  []string // Request.Cookies
	session  session.Session
	state    atomic.Pointer[requestState] // nil until first needed; set under the core's lock
	done     bool                         // committed; under the core's lock
	quiet    bool                         // Request.quiet
	prefetch bool                         // Request.Prefetch
}

// core returns the session's internals.
func (x *Exchange) core() *core.Core { return core.Of(&x.session) }

// requestState is the state of an exchange whose request carries a session or
// begins one. Most requests of most sites do not need it.
type requestState struct {
	*Exchange
	found   *loadResult  // nil before the load
	pending *pendingPlan // saved, but not yet in a header; nil: nothing
	bound   int64        // when a login binds its session (ms)
	listing []listChange // for Finish
	silent  bool         // no event is reported, because the request is not a visitor's
	value   [1]string    // buffer for the value of Cache-Control
	result  loadResult
}

// pendingPlan is a plan that has been saved, and the work left for Finish.
type pendingPlan struct {
	policy.Plan
	forget *legacy // another library's session that is no longer needed; nil: none
}

// ensureState returns the request's state, allocating it on first use. The core's
// lock is held, or no other goroutine has x.
func (x *Exchange) ensureState() *requestState { return x.ensureStateFor(1) }

// ensureStateFor is ensureState for a request with about the given number of
// cookies. It allocates buffers for them together with the state.
func (x *Exchange) ensureStateFor(cookies int) *requestState {
	w := x.state.Load()
	switch {
	case w != nil:
		return w
	case cookies > 1:
		both := &struct {
			requestState
			scratch
		}{}
		w = &both.requestState
		w.result.scratch = &both.scratch
	default:
		w = &requestState{}
	}
	w.Exchange = x
	x.state.Store(w)
	return w
}

// committed reports whether the header has been decided. The core's lock is held,
// or the handler has returned.
func (x *Exchange) committed() bool { return x.done || x.core().Passed() }

// loadResult is the result of a load, with buffers for the usual session in the same
// allocation.
type loadResult struct {
	jar     cookiejar.Jar
	groups  []openedGroup // one for each of jar.Groups
	view    state.View    // merged from the cookies alone
	stored  *stored       // nil: the store has not been used
	legacy  *legacy       // another library's cookie; nil: none, or not looked for
	refused []Refusal     // other refusals so far
	merged  *state.View   // the load's result; nil before
	scratch *scratch      // buffers for several cookies; nil: none

	buffers struct {
		pieces  [1]cookiejar.Piece
		groups  [1]cookiejar.Group
		opened  [1]openedGroup
		cookies [1]*state.Cookie
		first   state.Cookie
		entries [4]state.Entry
		jar     [2]policy.Group // for Input.Jar
	}
}

// scratch is the buffers for a session that has cells.
type scratch struct {
	pieces  [4]cookiejar.Piece
	groups  [4]cookiejar.Group
	opened  [4]openedGroup
	cookies [4]*state.Cookie
	cells   [3]state.Cookie
	entries [8]state.Entry // of all cookies together
}

// openedGroup is the result of opening the cookies of one tag.
type openedGroup struct {
	cookie     *state.Cookie // nil if it did not open
	reason     reason.Reason // why it did not open
	key        keyring.ID    // the key's id in its header, if it did not open
	foreign    bool          // sealed for another program or by another program's key; must not be expired
	unopenable bool          // no replica can ever open it
	retired    bool          // its key no longer seals
}

// keyID returns the key's id if the key is the reason why the group did not open.
func (g *openedGroup) keyID() string {
	if g.reason != reason.UnknownKey && g.reason != reason.DeadKey {
		return ""
	}
	return g.key.String()
}

// stored is a request's access to its session's record.
type stored struct {
	records.Access
	unsent []*state.Cookie // cookies that the response will set; the saved record already includes them
}

// legacy is another library's cookie in a request.
type legacy struct {
	from     Importer
	value    string
	imported bool // the session comes from this cookie
}

// Value returns the session if key is the one that [session.From] uses, and the
// exchange if key is its Sessions. For all other keys it asks the parent context.
func (x *Exchange) Value(key any) any {
	switch k := key.(type) {
	case core.ContextKey:
		return &x.session
	case *Sessions:
		if k == x.sessions {
			return x
		}
	}
	return x.Context.Value(key)
}

// exchange returns the exchange that m put into ctx, or nil.
func (m *Sessions) exchange(ctx context.Context) *Exchange {
	x, _ := ctx.Value(m).(*Exchange)
	return x
}

// reasonOf returns the reason for an error of opening or decoding a cookie. Content
// that does not decode is malformed.
func reasonOf(err error) reason.Reason { return cmp.Or(reason.Of(err), reason.Malformed) }
