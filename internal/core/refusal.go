package core

import "github.com/carryon-go/carryon/reason"

// refusal is an error that has a reason.
type refusal struct {
	reason reason.Reason
	text   string
}

// ErrorFor returns an error that wraps r. Its message is text, then r's hint.
func ErrorFor(r reason.Reason, text string) error { return &refusal{r, text} }

func (e *refusal) Error() string { return "carryon: " + e.text + "; " + e.reason.Hint() }

func (e *refusal) Unwrap() error { return e.reason }

// ErrRowKey is returned for a row of the store whose key is not in the ring while the
// ring may be out of date. Another replica can open the row, so it must not be replaced.
var ErrRowKey = ErrorFor(reason.UnknownKey, "the list of sessions was sealed with a key that this replica does not have")
