package middleware

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// An Importer reads the sessions of another library; see [Migration]. The packages
// under middleware/migrate have importers for several libraries. An Importer must
// be safe for concurrent use.
type Importer interface {
	// Cookie returns the name, Path and Domain of the other library's cookie. All
	// three must be those with which the cookie was set, because a browser removes a
	// cookie only if they match.
	Cookie() http.Cookie

	// Import returns the session of a cookie value. It returns nil if there is none,
	// for example because the value is not authentic or the session has expired.
	// Import must not parse anything that it has not authenticated.
	//
	// [ErrCannotImport] (wrapped) means that the session can never be imported: the
	// visitor has no session, and the old cookie stays. Any other error means that
	// Import cannot answer now, for example because a store is down. The request is
	// then answered like one whose store is down, and the visitor stays logged in.
	Import(ctx context.Context, value string) (*Imported, error)

	// Forget ends the other library's session, if there is one. It is called when
	// the visitor has a session of Carryon or has logged out, at most once for each
	// request. The session may already be gone.
	Forget(ctx context.Context, value string) error
}

// ErrCannotImport is the error (wrapped) that an [Importer] returns if a session
// exists but cannot be imported. It is reported as [EventRefused] with
// [reason.ImportFailed]. The old cookies stay, so the visitors are logged in again
// once the importer is fixed.
var ErrCannotImport = errors.New("carryon: the other library's session has a value that cannot be imported; convert it in the importer")

// Imported is a session that an [Importer] has read.
type Imported struct {
	// Values are the session's values by name. They are encoded as [session.Key.Set]
	// encodes them. If one cannot be encoded, the import fails.
	Values map[string]any

	// Created is when the session began. With it, parallel requests that carry the
	// same cookie begin the same session, and no change is lost. Zero means the
	// time of the request; then only one of the parallel requests counts.
	Created time.Time

	// Expires is when the session ends. The import does not extend it. Zero means
	// Config.Lifetimes.Absolute after Created.
	Expires time.Time
}
