package middleware

import (
	"time"

	"github.com/carryon-go/carryon/reason"
)

// EventKind names what an [Event] tells of.
type EventKind string

// The kinds of events.
const (
	// EventLoaded: the session was looked at for the first time in a request.
	EventLoaded EventKind = "loaded"
	// EventRefused: a cookie of ours, or the session that they make up, was not
	// accepted; Reason says why.
	EventRefused EventKind = "refused"
	// EventCommitted: the response sets or expires cookies.
	EventCommitted EventKind = "committed"
	// EventSpilled: the session has moved from the cookies into the store; Bytes
	// is its record's size.
	EventSpilled EventKind = "spilled"
	// EventReturned: the session has moved from the store back into cookies.
	EventReturned EventKind = "returned"
	// EventRotated: what a retired key had sealed of the session is sealed by the
	// active one now, which KeyID names.
	EventRotated EventKind = "rotated"
	// EventImported: another library's session has become one of Carryon's.
	EventImported EventKind = "imported"
	// EventStore: a call of the store has ended; Detail is "load", "save",
	// "touch" or "forget" (an [Importer]'s), Bytes the record's size, and Err what went wrong, if
	// it did. That a record is not there, or has changed, is not an error.
	EventStore EventKind = "store call"
	// EventFailed: the commit ended in Err, and ErrorHandler answered.
	EventFailed EventKind = "failed"
	// EventLateChange: a change came after the header and was refused.
	EventLateChange EventKind = "late change"
	// EventLateRead: the session was read first after the header had gone, so
	// a personal page may have left without Vary and Cache-Control.
	EventLateRead EventKind = "late read"
	// EventUncached: the handler had marked a response as publicly cacheable
	// that changes the session; it was sent as "private, no-store" instead.
	EventUncached EventKind = "uncached"
	// EventWhole: the session was written whole, because cells for its entries
	// have no room within Limits. Of writes that overlap, the last response
	// counts. Keep fewer or smaller entries, or set Mode to [Lossless].
	EventWhole EventKind = "whole"
	// EventOverBudget: the request's cookies take more than Limits allows; Bytes
	// says how much. The program's other cookies have grown, or many requests
	// created entries at once in several processes.
	EventOverBudget EventKind = "over budget"
	// EventClamped: the program chose a lifetime beyond Config.MaxLifetime, or
	// shorter than a second; the nearest permitted one counts. Detail is the
	// method, Duration what was asked for.
	EventClamped EventKind = "lifetime clamped"
	// EventUndecodable: a stored value does not decode as the key's type; Detail
	// is the key's name, quoted.
	EventUndecodable EventKind = "value not decodable"
	// EventHijacked: the connection was hijacked while there were cookies to
	// set; they are in the header map, for whoever writes the response.
	EventHijacked EventKind = "hijacked"
)

// Event is one thing that happened to one session. It never carries cookie
// values, session values or key material.
type Event struct {
	Kind      EventKind
	Reason    reason.Reason // why the visitor, or one cookie, was not recognised
	SessionID string        // the public id, where there is a session
	KeyID     string        // of the key concerned, 8 hex digits
	Set       int           // cookies set
	Expired   int           // cookies expired
	Bytes     int           // of the session cookies in the request, of the Set-Cookie lines, or of the record
	Cells     int           // entries that are in cells of their own
	Duration  time.Duration // of the step
	Detail    string        // which change came late, or which call of the store this is
	Err       error         // of a failed commit or store call

	tag string // of the cookie that was refused
}
