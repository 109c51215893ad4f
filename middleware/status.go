package middleware

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// StatusOf returns the HTTP status for an error of a load or a commit. Adapters and
// a custom Config.ErrorHandler call it.
//
//   - 503 if a replica or a store may recover ([session.ErrUnknownKey],
//     [session.ErrNoKey], [session.ErrStoreDown])
//   - 409 if the session was ended meanwhile ([session.ErrEnded]); the visitor may
//     send the request again
//   - 429 if too many parallel requests add entries to one session
//     ([session.LimitNewEntries])
//   - 500 otherwise
func StatusOf(err error) int {
	if e, ok := errors.AsType[*session.TooLargeError](err); ok && e.Limit == session.LimitNewEntries {
		return http.StatusTooManyRequests
	}
	if errors.Is(err, session.ErrEnded) {
		return http.StatusConflict
	}
	return cmp.Or(reason.Of(err).Status(), http.StatusInternalServerError)
}

// answerError is the default ErrorHandler. It asks the visitor to try again only if
// that can help.
func answerError(w http.ResponseWriter, _ *http.Request, err error) {
	status := StatusOf(err)
	text := http.StatusText(status) + ": the session could not be saved"
	if status != http.StatusInternalServerError {
		text += "; please try again"
	}
	http.Error(w, text, status)
}

// endedError is [session.ErrEnded] with the reason why the session was ended.
type endedError struct{ reason reason.Reason }

// Error returns the text of ErrEnded and the reason.
func (e *endedError) Error() string { return session.ErrEnded.Error() + " (" + e.reason.String() + ")" }

// Unwrap returns the reason and ErrEnded.
func (e *endedError) Unwrap() []error { return []error{e.reason, session.ErrEnded} }
