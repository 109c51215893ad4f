package middleware

import (
	"net/http"

	"github.com/carryon-go/carryon/reason"
)

// Explanation says how one request's session was found, for an operator who is
// asked why a visitor was not recognised. It holds names and numbers, and no
// values, cookies or secrets.
type Explanation struct {
	// Reason is why there is no session; [reason.None] where there is one.
	Reason reason.Reason
	// SessionID is the public id of the session, if there is one.
	SessionID string
	// Refused are the cookies and records that did not count, each with its reason
	// and, where a key is concerned, the key's id.
	Refused []Refusal
	// Err is why the session could not be loaded; nil where it was, or is absent.
	Err error
	// Description is what the request carried.
	Description
}

// Refusal is one cookie or record that did not count.
type Refusal struct {
	Reason reason.Reason
	KeyID  string // 8 hex digits, where a key is the reason
	Tag    string // of the cookie, if it is one cookie's; see [Cookie]
	Err    error  // of an importer or a store
}

// Explain loads the session of a request as its handler would, and tells what
// came of each of its cookies. It changes nothing and answers nothing, but may ask
// the store and the ring's source. The request need not have passed the Handler.
func (m *Sessions) Explain(r *http.Request) Explanation {
	var out Explanation
	_, x := m.Begin(r.Context(), Request{Method: r.Method, Cookies: r.Header["Cookie"]})
	x.ensureState().listen = func(e Event) {
		if e.Kind == EventRefused || e.Kind == EventStore && e.Err != nil {
			out.Refused = append(out.Refused, Refusal{Reason: e.Reason, KeyID: e.KeyID, Tag: e.tag, Err: e.Err})
		}
	}
	out.Err = x.session().Load(x)
	out.Reason, out.SessionID = x.session().Reason(), x.session().ID()
	out.Description = m.Describe(x)
	return out
}
