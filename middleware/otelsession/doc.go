// Package otelsession records OpenTelemetry metrics of sessions.
//
//	observe, err := otelsession.New(otelsession.Config{})
//	sessions, err := middleware.New(middleware.Config{Keys: keys, Observer: observe})
//
// To add a log: middleware.Observers(observe, middleware.Log(nil)).
//
// # Instruments
//
// Names, units and error.type follow OpenTelemetry's semantic conventions.
// These define no server sessions, so the instruments are under "carryon".
// Each fact has exactly one instrument; a histogram's count is the number of
// occurrences.
//
//	carryon.session.events           {event}   counter    event, reason, error.type
//	carryon.session.load.duration    s         histogram  reason
//	carryon.session.load.size        By        histogram
//	carryon.session.commit.size      By        histogram
//	carryon.session.commit.cookies   {cookie}  counter    change
//	carryon.session.store.duration   s         histogram  operation, error.type
//	carryon.session.store.size       By        histogram  operation
//
// The constants of this package are the full names of the attributes.
// load.size is the size of the session's cookies in a request, commit.size
// that of the Set-Cookie lines in a response, store.size that of a record that
// was read or written.
//
// # Privacy and cardinality
//
// Attributes contain only words of this library: kinds of events, reasons,
// store operations, and classes of errors. They contain no session id, key id,
// value or error text, and no data of a visitor. So visitors cannot add time
// series; there are about 120. If you need the ids, log the events with
// middleware.Log.
//
// # What to watch
//
// Reason "unknown key" means that the replicas have different key rings.
// Reason "bad seal" is an attack, or another program with the same cookie
// name. Event "late change" is a bug in the program. Event "over budget"
// precedes requests that a proxy refuses. For the store, error.type "timeout"
// means that it is slow, and "_OTHER" that it fails or is down.
package otelsession
