package middleware

import (
	"errors"
	"net/http"

	"github.com/carryon-go/carryon/session"
)

// StatusOf returns the HTTP status that answers an error of a load or a commit,
// for adapters and for a Config.ErrorHandler of one's own: 503 where a replica or
// a store may recover ([session.ErrUnknownKey], [session.ErrNoKey],
// [session.ErrStoreDown]), 409 where the session was ended meanwhile
// ([session.ErrEnded]) and the visitor may send the request again, 429 where too
// many parallel requests add entries to one session ([session.LimitNewEntries]),
// and 500 otherwise.
func StatusOf(err error) int {
	for _, passing := range []error{session.ErrUnknownKey, session.ErrNoKey, session.ErrStoreDown} {
		if errors.Is(err, passing) {
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

// answerError is the default ErrorHandler. It says "try again" only where that
// can help.
func answerError(w http.ResponseWriter, _ *http.Request, err error) {
	status := StatusOf(err)
	text := http.StatusText(status) + ": the session could not be saved"
	if status != http.StatusInternalServerError {
		text += "; please try again"
	}
	http.Error(w, text, status)
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

// endedError is session.ErrEnded, and how.
type endedError struct{ reason session.Reason }

func (e *endedError) Error() string { return session.ErrEnded.Error() + " (" + string(e.reason) + ")" }

func (e *endedError) Unwrap() error { return session.ErrEnded }
