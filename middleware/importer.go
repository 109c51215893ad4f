package middleware

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// An Importer reads the sessions that another library left in visitors'
// browsers: see [Config.Import]. Those under middleware/migrate are ready-made.
// It must be safe for concurrent use.
type Importer interface {
	// Cookie names the other library's cookie. Its Path and Domain must be those
	// with which it was set: a browser removes it by all three.
	Cookie() http.Cookie

	// Import returns the session that a cookie of that name stands for, and nil
	// where it stands for none (any more): its seal does not open, it has expired.
	// It must not parse what it has not authenticated. [ErrCannotImport] (wrapped)
	// means that it never can: the visitor has no session, and their old cookie
	// stays. Any other error means that it cannot tell now, as where a store is
	// down: the request is then answered as one whose own store is down, and nobody
	// is logged out.
	Import(ctx context.Context, value string) (*Imported, error)

	// Forget ends the session on the other library's side, if it has one: the
	// visitor has Carryon's now, or has logged out. It is called at most once a
	// request, also for what is gone already.
	Forget(ctx context.Context, value string) error
}

// ErrCannotImport is what an [Importer] returns (wrapped) for a session that is
// there and cannot be taken over. [EventRefused] with [reason.ImportFailed]
// tells of it; mend the importer, and the visitors are back.
var ErrCannotImport = errors.New("carryon: the other library's session has a value that cannot be carried over; convert it in the importer")

// Imported is a session that an [Importer] has read.
type Imported struct {
	// Values are the session's, by name. They are encoded as [session.Key.Set]
	// does it; one that cannot be fails the import.
	Values map[string]any

	// Created is when the session began. All requests that carry the same cookie
	// begin the same session with it, so that those in flight at once lose no
	// change. Zero is the time of the request: then one of them wins.
	Created time.Time

	// Expires is when the session ends, which the import does not change; zero
	// means Config.Lifetime after Created.
	Expires time.Time
}
