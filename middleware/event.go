package middleware

import (
	"time"

	"github.com/carryon-go/carryon/reason"
)

// EventKind is the kind of an [Event].
type EventKind string

// The kinds of events.
const (
	// EventLoaded: the session was loaded, at its first use in a request.
	EventLoaded EventKind = "loaded"
	// EventRefused: a session cookie, or the session as a whole, was not accepted;
	// Reason says why.
	EventRefused EventKind = "refused"
	// EventCommitted: the response sets or expires cookies.
	EventCommitted EventKind = "committed"
	// EventSpilled: the session has moved from the cookies into the store; Bytes
	// is its record's size.
	EventSpilled EventKind = "spilled"
	// EventReturned: the session has moved from the store back into cookies.
	EventReturned EventKind = "returned"
	// EventRotated: a part of the session that a retired key had sealed is now
	// sealed by the active key; KeyID is the active key's id.
	EventRotated EventKind = "rotated"
	// EventImported: another library's session has become one of Carryon's.
	EventImported EventKind = "imported"
	// EventStore: a call of the store has ended. Detail is "load", "save",
	// "touch", "forget" for an [Importer]'s Forget, or "list" for a list of sessions
	// that could not be written. Bytes is the record's size, and Err the error. A record that is missing or has changed is not an error.
	EventStore EventKind = "store call"
	// EventFailed: the commit failed with Err, and ErrorHandler answered.
	EventFailed EventKind = "failed"
	// EventLateChange: a change came after the header was sent and was refused.
	EventLateChange EventKind = "late change"
	// EventLateRead: the session was first read after the header was sent, so a
	// personal page may have been sent without Vary and Cache-Control.
	EventLateRead EventKind = "late read"
	// EventUncached: the handler marked a response as publicly cacheable, but the
	// response changes the session. It was sent as "private, no-store" instead.
	EventUncached EventKind = "uncached"
	// EventWhole: the session was written whole, because a cell for each entry
	// would exceed Limits. Of writes that overlap, the last response counts. Keep
	// fewer or smaller entries, or configure a Fallback store with Mode [Auto].
	EventWhole EventKind = "whole"
	// EventOverBudget: the request's cookies exceed Limits.RequestBytes; Bytes is
	// their size. Either the program's other cookies have grown, or many requests
	// in several processes created entries at once.
	EventOverBudget EventKind = "over budget"
	// EventClamped: the program chose a lifetime longer than Config.Lifetimes.Max or
	// shorter than a second; the nearest permitted lifetime was used. Detail is the
	// method, Duration the lifetime that the program chose.
	EventClamped EventKind = "lifetime clamped"
	// EventUndecodable: a stored value does not decode as the key's type; Detail
	// is the key's name, quoted.
	EventUndecodable EventKind = "value not decodable"
	// EventHijacked: the connection was hijacked while there were cookies to set.
	// They are in the header map, from which the handler can write them.
	EventHijacked EventKind = "hijacked"
)

// Event is one thing that happened to one session. It never carries cookie
// values, session values or key material.
type Event struct {
	Kind      EventKind
	Reason    reason.Reason // why the visitor or one cookie was not recognised
	SessionID string        // the session's public id, if there is a session
	KeyID     string        // the id of the key concerned, 8 hex digits
	Set       int           // number of cookies set
	Expired   int           // number of cookies expired
	Bytes     int           // size of the session cookies in the request, of the Set-Cookie lines, or of the record
	Cells     int           // number of entries in cells of their own
	Duration  time.Duration // how long the load or the store call took; for EventClamped the lifetime chosen
	Detail    string        // as the kind says, for example the change that came late or the store call
	Err       error         // the error of a failed commit or store call

	tag string // the tag of the cookie that was refused
}

// Refusal describes a cookie or a record that did not count.
type Refusal struct {
	Reason reason.Reason
	KeyID  string // 8 hex digits, if a key is the reason
	Tag    string // of the cookie; see [CookieReport]
	Err    error  // of an importer or a store
}
