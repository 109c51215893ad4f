package middleware

import (
	"errors"
	"net/http"

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
	for _, temporary := range []error{session.ErrUnknownKey, session.ErrNoKey, session.ErrStoreDown} {
		if errors.Is(err, temporary) {
			return http.StatusServiceUnavailable
		}
	}
	if errors.Is(err, session.ErrEnded) {
		return http.StatusConflict
	}
	if e, ok := errors.AsType[*session.TooLargeError](err); ok && e.Limit == session.LimitNewEntries {
		return http.StatusTooManyRequests
	}
	return http.StatusInternalServerError
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

// failureReason returns the reason for a failed commit, or "" if no reason fits.
func failureReason(err error) session.Reason {
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

// endedError is session.ErrEnded with the reason why the session ended.
type endedError struct{ reason session.Reason }

func (e *endedError) Error() string { return session.ErrEnded.Error() + " (" + string(e.reason) + ")" }

func (e *endedError) Unwrap() error { return session.ErrEnded }
