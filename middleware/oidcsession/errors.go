package oidcsession

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/oauth2"

	"github.com/carryon-go/carryon/session"
)

// SignInError reports a sign-in that has failed. Its text never contains a token, a
// code or the provider's description.
type SignInError struct {
	// Code is the provider's error code, such as "access_denied" (RFC 6749 section
	// 4.1.2.1), at most 64 letters, digits and "_", or one of this package: "invalid_code" for
	// any other code, "flow_lost", "issuer_mismatch", "no_code",
	// "no_id_token", "id_token", "nonce_mismatch", "at_hash", "azp", "sub", "claims",
	// "session_too_large", "session", "unreachable" and "http_500" for a response
	// without a code.
	Code string
	// Description is the provider's error_description. It comes from the visitor's
	// browser: escape it where you show it.
	Description string
	// Sizes is set if the session is too large for its cookies.
	Sizes Sizes
	err   error
}

// Error returns the code, the cause and what to do.
func (e *SignInError) Error() string {
	text := "oidcsession: the sign-in failed: " + printable(e.Code)
	if e.Sizes != (Sizes{}) {
		text += ": " + e.Sizes.String() + "; request fewer scopes or claims, configure a store, or name the platform"
	}
	if e.err != nil {
		text += ": " + e.err.Error()
	}
	return text
}

// Unwrap returns the cause, or nil.
func (e *SignInError) Unwrap() error { return e.err }

func signInFailed(code string, cause error) *SignInError { return &SignInError{Code: code, err: cause} }

// RefreshKind says what a failed refresh means.
type RefreshKind string

const (
	// Permanent: the visitor must sign in again.
	Permanent RefreshKind = "permanent"
	// Transient: the provider does not answer, or not as it should, or the response's
	// header has been written. The visitor stays signed in; a later request tries again.
	Transient RefreshKind = "transient"
	// LostRace: another replica has probably refreshed the tokens at the same time. The
	// visitor's next request has them. It occurs only if the replicas share no store.
	LostRace RefreshKind = "lost race"
)

// RefreshError reports that an access token has expired and was not refreshed. Its text
// never contains a token.
type RefreshError struct {
	Kind RefreshKind
	Code string // as in SignInError, or "no_refresh_token", or "late" after the response's header
	err  error
}

// Error returns the kind, the code and the cause.
func (e *RefreshError) Error() string {
	text := "oidcsession: refreshing the access token failed (" + string(e.Kind) + ")"
	switch {
	case e.Code == "no_refresh_token":
		return text + ": the provider gave no refresh token; request the scope offline_access, or what the provider needs in its place"
	case e.err != nil:
		return text + ": " + e.err.Error()
	}
	return text
}

// Unwrap returns the cause, or nil.
func (e *RefreshError) Unwrap() error { return e.err }

// StatusOf returns the HTTP status for an error of [Auth.Token], wrapped or not: 401 if the visitor must sign in,
// 503 if the request may be sent again, and 500 for all other errors.
func StatusOf(err error) int {
	var failed *RefreshError
	switch {
	case errors.Is(err, ErrNotSignedIn), isPermanent(err):
		return http.StatusUnauthorized
	case errors.As(err, &failed):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func isPermanent(err error) bool {
	var failed *RefreshError
	return errors.As(err, &failed) && failed.Kind == Permanent
}

// providerError is an error of the provider's token endpoint, without what the
// response contained.
type providerError struct {
	code  string
	cause error
}

func (e *providerError) Error() string { return printable(e.code) + ": " + e.cause.Error() }
func (e *providerError) Unwrap() error { return e.cause }

// codeOf returns the code of an error of a replacement.
func codeOf(err error) string {
	var failed *providerError
	switch {
	case errors.As(err, &failed):
		return failed.code
	case errors.Is(err, session.ErrLate):
		return "late"
	}
	return "unreachable"
}

// codeFromBrowser returns the error code of a callback. Anyone can make a visitor's
// browser send one, and it is logged.
func codeFromBrowser(code string) string {
	for _, c := range []byte(code) {
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return "invalid_code"
		}
	}
	if len(code) > 64 {
		return "invalid_code"
	}
	return code
}

// failureOf returns the code and the cause of an error of package oauth2, whose own text
// contains the response.
func failureOf(err error) (code string, cause error) {
	var answer *oauth2.RetrieveError
	switch {
	case errors.As(err, &answer) && answer.Response != nil:
		status := answer.Response.StatusCode
		code = answer.ErrorCode
		if code == "" || status >= 500 {
			code = fmt.Sprintf("http_%d", status)
		}
		return code, fmt.Errorf("the provider's token endpoint answered %d", status)
	case errors.As(err, &answer):
		return answer.ErrorCode, errors.New("the provider's token endpoint answered with an error")
	case errors.Is(err, context.DeadlineExceeded):
		return "unreachable", fmt.Errorf("the provider's token endpoint did not answer in time: %w", context.DeadlineExceeded)
	}
	return "unreachable", errors.New("the provider's token endpoint did not answer with tokens")
}

// safe returns an error of package oidc without the token that its text may quote.
func safe(err error) error {
	text := err.Error()
	if len(text) > 300 || strings.Contains(text, "eyJ") {
		return errors.New("the ID token is not valid")
	}
	return errors.New(printable(text))
}

// printable returns text from outside in printable ASCII, at most 300 bytes.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, text[:min(len(text), 300)])
}
