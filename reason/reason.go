// Package reason lists the reasons for which Carryon refuses a cookie or a
// session. Sessions, events, explanations and errors share the same list.
//
//	switch session.From(r.Context()).Reason() {
//	case reason.Expired, reason.ExpiredIdle:
//		// ask the visitor to log in again
//	}
package reason

import (
	"errors"
	"fmt"
	"log/slog"
)

// Reason says why a cookie or a session was refused. It is an error, and errors
// that have a reason wrap it:
//
//	errors.Is(err, reason.UnknownKey)
//
// The words of [Reason.String] are stable, so logs, metrics and alerts may rely
// on them. The numbers are not. No reason contains data that a visitor sent.
type Reason uint16

// String returns the word for r, such as "unknown key". It returns "" for
// [None].
func (r Reason) String() string {
	if int(r) >= len(table) {
		return fmt.Sprintf("reason %d", uint16(r))
	}
	return table[r].word
}

// Error returns the word for r, like String.
func (r Reason) Error() string { return r.String() }

// Meaning returns what r says about the cookie or the session, as one clause.
func (r Reason) Meaning() string { return r.row().meaning }

// Hint returns what an operator can do about r, as one clause.
func (r Reason) Hint() string { return r.row().hint }

// Level returns the level at which a refusal for r is logged. It is
// [slog.LevelWarn] if an operator should look at it, and [slog.LevelDebug] if
// it is ordinary traffic.
func (r Reason) Level() slog.Level { return r.row().level }

// Status returns the HTTP status of a request that fails for r. It is 0 if r
// fails no request: then the visitor has no session, and the handler decides
// what to do.
func (r Reason) Status() int { return r.row().status }

// MarshalText returns the word for r.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText sets r to the reason with the word text.
func (r *Reason) UnmarshalText(text []byte) error {
	for i := range table {
		if table[i].word == string(text) {
			*r = Reason(i)
			return nil
		}
	}
	return fmt.Errorf("carryon: %.40q is not the word of a reason", text)
}

// row returns the row of r in the table.
func (r Reason) row() row {
	if int(r) >= len(table) {
		return row{}
	}
	return table[r]
}

// All returns all reasons except [None].
func All() []Reason {
	all := make([]Reason, 0, len(table)-1)
	for r := range len(table) - 1 {
		all = append(all, Reason(r+1))
	}
	return all
}

// Of returns the reason that err is or wraps, or [None].
func Of(err error) Reason {
	r, _ := errors.AsType[Reason](err)
	return r
}
