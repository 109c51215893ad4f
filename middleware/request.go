package middleware

import (
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

// Request is what a session needs of a request.
type Request struct {
	Method  string   // as in HTTP; decides whether a touch may be written
	Cookies []string // the Cookie field lines, any number
	// Prefetch reports whether the browser asks ahead of the visitor (Sec-Purpose:
	// prefetch). That is no use of the session, and a Pop leaves the value.
	Prefetch bool
}

// quiet reports whether the visitor may never see the response, so that it is no
// place to renew the last-seen time.
func (r *Request) quiet() bool {
	return r.Prefetch || r.Method == http.MethodHead || r.Method == http.MethodOptions
}

// Response is what a session needs of the response that is about to begin.
type Response struct {
	Status       int    // the status code
	CacheControl string // as the program set it
	prefetch     bool   // Request.Prefetch, looked up only where a response may have something to say
}

// Fields is what the session adds to the response's header.
type Fields struct {
	SetCookie    []string // Set-Cookie lines, to be added in this order
	Vary         bool     // add Cookie to Vary: [AddVary]
	CacheControl string   // replaces the program's, unless empty
}

// Exchange is one request's session between Begin and Finish. It is also the
// request's context. It is never reused, because goroutines of the handler may
// hold it.
type Exchange struct {
	context.Context
	sessions *Sessions
	cookies  []string // Request.Cookies
	core     core.Core
	state    atomic.Pointer[requestState] // nil until there is something to keep; set under the core's lock
	done     bool                         // committed; under the core's lock
	quiet    bool                         // the request's: see there
	prefetch bool                         // Request.Prefetch
}

// session is the core as handlers know it.
func (x *Exchange) session() *session.Session { return (*session.Session)(&x.core) }

// requestState is what an exchange has once the visitor brings a session, or is
// to get one. Most requests of most sites never come so far.
type requestState struct {
	*Exchange
	found   *loadResult  // nil before the load
	pending *pendingPlan // what an early Save has left for the header to say; nil: nothing
	bound   int64        // when a login binds its session (ms)
	listen  func(Event)  // told in place of the Observer, unless nil
	value   [1]string    // of Cache-Control in the header
	result  loadResult
}

// pendingPlan is a plan that has been saved, and what Finish is still to do.
type pendingPlan struct {
	policy.Plan
	forget *legacy // another library's session that is no longer needed; nil: none
}

// ensureState returns the request's state, allocating it on first use. The core's
// lock is held, or no other goroutine has x.
func (x *Exchange) ensureState() *requestState { return x.ensureStateFor(1) }

// ensureStateFor is ensureState with room for about so many cookies, in one
// allocation.
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
func (x *Exchange) committed() bool { return x.done || x.core.Passed() }

// loadResult is what a load makes of a request, with room for the usual session
// in one allocation.
type loadResult struct {
	jar     cookiejar.Jar
	groups  []groupFate            // of jar.Groups
	view    state.View             // of the cookies alone
	stored  *stored                // what the store was asked; nil: nothing
	legacy  *legacy                // another library's cookie; nil: none, or not looked for
	told    map[reason.Reason]bool // in events, so far; nil: none
	scratch *scratch               // room for several cookies; nil: none

	room struct {
		pieces  [1]cookiejar.Piece
		groups  [1]cookiejar.Group
		fates   [1]groupFate
		cookies [1]*state.Cookie
		first   state.Cookie
		entries [4]state.Entry
		jar     [2]policy.Group // for the decision
	}
}

// scratch is the room that a session takes which has cells.
type scratch struct {
	pieces  [4]cookiejar.Piece
	groups  [4]cookiejar.Group
	fates   [4]groupFate
	cookies [4]*state.Cookie
	cells   [3]state.Cookie
	entries [8]state.Entry // of all cookies together
}

// groupFate is what came of opening the cookies of one tag.
type groupFate struct {
	cookie  *state.Cookie // nil if it did not open
	reason  reason.Reason // why it did not open
	key     keyring.ID    // in the header of what did not open
	foreign bool          // sealed for another program, or by a key that is not ours: left alone
	waste   bool          // no replica can ever open it
	retired bool          // its key no longer seals
}

// stored is what one request knows of its session's record.
type stored struct {
	records.Access
	unsent []*state.Cookie // of the response, which the record builds on already
}

// legacy is another library's cookie in a request.
type legacy struct {
	from     Importer
	value    string
	imported bool // the session is made of it
}

// Value lets the exchange be the request's context: one allocation for both.
func (x *Exchange) Value(key any) any {
	switch k := key.(type) {
	case core.ContextKey:
		return x.session()
	case *Sessions:
		if k == x.sessions {
			return x
		}
	}
	return x.Context.Value(key)
}

func (m *Sessions) exchange(ctx context.Context) *Exchange {
	x, _ := ctx.Value(m).(*Exchange)
	return x
}
