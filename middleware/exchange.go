package middleware

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/session"
)

// Request is what a session needs of a request.
type Request struct {
	Method  string   // as in HTTP; decides whether a touch may be written
	Cookies []string // the Cookie field lines, any number
	// Prefetch says that the browser asks ahead of the visitor (Sec-Purpose:
	// prefetch), which is no use of the session.
	Prefetch bool
}

// quiet tells whether the response may be one that the visitor never sees: it is no
// place to touch the session.
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
	Vary         bool     // add Cookie to Vary
	CacheControl string   // replaces the program's, unless empty
}

// Exchange is one request's session between Begin and Finish. It is the
// request's context, too. It is never reused: handlers' goroutines may hold it.
type Exchange struct {
	context.Context
	sessions *Sessions
	cookies  []string // Request.Cookies
	core     core.Core
	work     atomic.Pointer[work] // nil for as long as there is nothing to it; set under the core's lock
	done     bool                 // committed; under the core's lock: see committed
	quiet    bool                 // the request's: see there
}

// session is the core as handlers know it.
func (x *Exchange) session() *session.Session { return (*session.Session)(&x.core) }

// work is what an exchange has once the visitor brings a session, or is to get
// one: most requests of most sites never come so far.
type work struct {
	*Exchange
	found  *findings   // by the load; nil before it
	owed   *plan       // what an early Save has left for the header to say; nil: nothing
	bound  int64       // when a login binds its session (ms)
	listen func(Event) // nil, or who is told in place of the Observer
	value  [1]string   // of Cache-Control in the header
	room   findings
}

// Begin notes the request and does no I/O and no parsing. The returned context
// carries the session for [session.From]; it is the exchange itself.
func (m *Sessions) Begin(ctx context.Context, r Request) (context.Context, *Exchange) {
	x := &Exchange{}
	m.begin(x, ctx, &r)
	return x, x
}

func (m *Sessions) begin(x *Exchange, ctx context.Context, r *Request) {
	x.Context, x.sessions, x.cookies, x.quiet = ctx, m, r.Cookies, r.quiet()
	x.core.Init(x)
}

// working makes room for the work. The core's lock is held, or nobody else has x.
func (x *Exchange) working() *work { return x.workingOn(1) }

// workingOn makes room for about so many fragments, in one allocation.
func (x *Exchange) workingOn(fragments int) *work {
	w := x.work.Load()
	switch {
	case w != nil:
		return w
	case fragments > 1:
		both := &struct {
			work
			more
		}{}
		w = &both.work
		w.room.more = &both.more
	default:
		w = &work{}
	}
	w.Exchange = x
	x.work.Store(w)
	return w
}

// Load is called by the session, once, when it is first used.
func (x *Exchange) Load(ctx context.Context) (*core.View, error) {
	if ctx == nil {
		ctx = x.Context
	}
	fragments, any := x.sessions.fragments(x.cookies)
	if !any && x.work.Load() == nil && x.sessions.Observer == nil && len(x.sessions.Import) == 0 {
		return nil, nil // a load would neither find anything nor have anybody to tell so
	}
	return x.workingOn(fragments).load(ctx)
}

// Commit decides what the response does to the visitor's cookies. It must be
// called once, before the response's header is written; after it the session
// takes no more changes. With an error nothing may be sent of the handler's
// response: the visitor's cookies stay as they were.
func (x *Exchange) Commit(ctx context.Context, r Response) (Fields, error) {
	if asked, ok := x.core.Pass(); ok {
		return Fields{Vary: asked}, nil
	}
	return x.decide(ctx, r)
}

// decide is the commit of a session of which there may be something to say.
func (x *Exchange) decide(ctx context.Context, r Response) (Fields, error) {
	var out Fields
	err := x.core.Commit(func(o core.Outcome) (v *core.View, err error) {
		if x.committed() {
			return nil, errCommitted
		}
		defer func() { x.done = true }() // until then the header can still take a change
		if !o.Touched {
			return nil, nil
		}
		out, v, err = x.working().commit(ctx, o, r)
		return v, err
	})
	if err != nil && x.sessions.Observer != nil {
		x.observe(ctx, Event{Kind: EventFailed, Reason: failure(err), Err: err})
	}
	return out, err
}

// owing is a plan with what is owed since before.
func (x *work) owing(p plan) plan {
	if x.owed == nil {
		return p
	}
	return x.owed.and(p)
}

func (x *work) owe(p plan) {
	if !p.empty() {
		q := p // or every plan would be an allocation, those that say nothing too
		x.owed = &q
	}
}

// committed tells whether the header has been decided. The core's lock is held, or the
// handler has returned.
func (x *Exchange) committed() bool { return x.done || x.core.Passed() }

// look does the load that Load has left out, for who has something to write.
func (x *work) look(ctx context.Context, o *core.Outcome) (err error) {
	if x.found == nil && o.Err == nil {
		o.View, err = x.load(ctx)
	}
	return err
}

// commit finds what the response is to say.
func (x *work) commit(ctx context.Context, o core.Outcome, r Response) (out Fields, v *core.View, err error) {
	if err = x.look(ctx, &o); err != nil {
		return Fields{}, nil, err
	}
	if out, v, err = x.fields(ctx, o, r); err != nil {
		x.owed = nil // the cookies stay as they were, and so must what they refer to
	}
	return out, v, err
}

// failure is the reason of a failed commit, where the list has one.
func failure(err error) session.Reason {
	ended, ok := errors.AsType[*endedError](err)
	switch {
	case ok:
		return ended.reason
	case errors.Is(err, session.ErrTooLarge):
		return session.TooLarge
	case errors.Is(err, session.ErrUnknownKey):
		return session.UnknownKey
	case errors.Is(err, session.ErrStoreDown):
		return session.StoreDown
	case errors.Is(err, session.ErrNoKey):
		return session.NoKey
	}
	return ""
}

var errCommitted = errors.New("carryon: Commit was called twice for one request; call it once, before the header is written")

// Finish ends the exchange when the handler has returned. It writes what was
// changed after the header where the session lives in the store, and returns
// [session.ErrLate] where such a change was lost, or the store's error. What a goroutine
// changes later still, in a session that lives in the store, takes a Save of its own.
func (x *Exchange) Finish(ctx context.Context) error {
	err := x.core.Finish(ctx)
	if err != nil && !errors.Is(err, session.ErrLate) {
		x.observe(ctx, Event{Kind: EventFailed, Reason: failure(err), Err: err})
	}
	if w := x.work.Load(); w != nil {
		x.core.Locked(func() { w.clear(ctx) }) // a goroutine of the handler's may still save
	}
	return err
}

func (x *work) fields(ctx context.Context, o core.Outcome, r Response) (Fields, *core.View, error) {
	if o.Err != nil {
		return Fields{}, nil, o.Err
	}
	if x.owed == nil && x.found.legacy == nil && x.sessions.silent(o, x.found) {
		out := Fields{Vary: true}
		x.cacheControl(ctx, &out, o, r, false)
		return out, standing(o.View), nil
	}
	p, v, err := x.settle(ctx, o, r)
	if err != nil {
		return Fields{}, nil, err
	}
	p = x.owing(p)
	out := Fields{Vary: true}
	if out.SetCookie, err = x.seal(p); err != nil {
		return Fields{}, nil, err
	}
	if p.gone != nil {
		x.endGeneration(ctx, p.gone, p.gone.End)
	}
	x.owed = nil
	if len(p.left) > 0 || p.moved != nil || p.forget != nil {
		x.owe(plan{left: p.left, moved: p.moved, forget: p.forget}) // for Finish
	}
	out.SetCookie = x.outlive(ctx, out.SetCookie, o, p, r)
	x.cacheControl(ctx, &out, o, r, p.changes)
	if len(out.SetCookie) > 0 && x.sessions.Observer != nil {
		x.observeCommit(ctx, p, out)
		if p.changes && o.View.Imported {
			x.observe(ctx, Event{Kind: EventImported, SessionID: o.View.Head.Root.ID()})
		}
	}
	return out, v, nil
}

// cacheControl keeps personal responses out of shared caches: one that sets a
// cookie is not stored at all, one that read a session is private.
func (x *work) cacheControl(ctx context.Context, out *Fields, o core.Outcome, r Response, changes bool) {
	switch {
	case changes:
		out.CacheControl = "private, no-store"
		if public(r.CacheControl) {
			x.observe(ctx, Event{Kind: EventUncached})
		}
	case r.CacheControl == "" && o.View != nil && o.View.Head != nil:
		out.CacheControl = "private"
	}
}

// public tells whether shared caches may keep a response with this
// Cache-Control (RFC 9111 section 3): Set-Cookie alone does not stop them.
func public(cacheControl string) bool {
	shared := false
	for directive := range strings.SplitSeq(cacheControl, ",") {
		name, value, _ := strings.Cut(trim(directive), "=")
		switch strings.ToLower(name) {
		case "private", "no-store":
			return false
		case "public", "s-maxage", "immutable":
			shared = true
		case "max-age":
			shared = shared || value != "0"
		}
	}
	return shared
}

// Save is the session's Save: what goes into the store is written there, and
// the header says so later; what is in cookies can only be checked.
func (x *Exchange) Save(ctx context.Context, o core.Outcome) (*core.View, error) {
	if o.Err != nil {
		return nil, o.Err
	}
	if !o.Writes {
		return nil, nil
	}
	return x.working().save(ctx, o)
}

func (x *work) save(ctx context.Context, o core.Outcome) (*core.View, error) {
	if err := x.look(ctx, &o); err != nil {
		return nil, err
	}
	p, v, err := x.settle(ctx, o, Response{Status: 200})
	if err != nil {
		return nil, err
	}
	if p.record != nil {
		x.owe(x.owing(p))
		return v, nil
	}
	if x.committed() {
		return nil, session.ErrLate
	}
	_, err = x.seal(p)
	return nil, err
}

// LateRead is told by the session.
func (x *Exchange) LateRead() { x.observe(x, Event{Kind: EventLateRead}) }

// LateChange is told by the session.
func (x *Exchange) LateChange(what string) {
	x.observe(x, Event{Kind: EventLateChange, Reason: session.LateChange, Detail: what})
}

func (x *Exchange) observe(ctx context.Context, e Event) {
	w := x.work.Load()
	if w != nil && w.found != nil && !x.committed() && (e.Kind == EventRefused || e.Err != nil) {
		if w.found.told == nil {
			w.found.told = make(map[session.Reason]bool, 1)
		}
		w.found.told[e.Reason] = true
	}
	if w != nil && w.listen != nil {
		w.listen(e)
		return
	}
	if f := x.sessions.Observer; f != nil {
		f(observed{ctx, x}, e)
	}
}

// observed is the context of an Observer. The session is not in it: it is
// locked at that time, and whoever logs would wait for himself.
type observed struct {
	context.Context
	x *Exchange
}

// Value is the request's, but for the session.
func (o observed) Value(key any) any {
	switch k := key.(type) {
	case core.ContextKey:
		return nil
	case *Sessions:
		if k == o.x.sessions {
			return nil
		}
	}
	return o.Context.Value(key)
}
