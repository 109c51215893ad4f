// Package otelsession makes OpenTelemetry metrics of what happens to sessions.
//
//	observe, err := otelsession.New(otelsession.Config{})
//	sessions, err := middleware.New(middleware.Config{Keys: keys, Observer: observe})
//
// With a log beside it: middleware.Observers(observe, middleware.Log(nil)).
//
// # The instruments
//
// Names, units and error.type follow OpenTelemetry's semantic conventions, which
// have none for sessions on a server: ours are under "carryon". Each is a fact
// that has one instrument; a histogram's count is how often it happened.
//
//	carryon.session.events           {event}   counter    event, reason, error.type
//	carryon.session.load.duration    s         histogram  reason
//	carryon.session.load.size        By        histogram
//	carryon.session.commit.size      By        histogram
//	carryon.session.commit.cookies   {cookie}  counter    change
//	carryon.session.store.duration   s         histogram  operation, error.type
//	carryon.session.store.size       By        histogram  operation
//
// The attributes' full names are the constants of this package. load.size is of
// the session's cookies in a request, commit.size of the Set-Cookie lines in a response,
// store.size of a record that was read or written.
//
// # What is in them
//
// Words of this library: kinds of events, reasons, operations of a store, and
// classes of errors. No session id, no key id, no value, no error's text and
// nothing that a visitor sent, so that nobody outside can add a time series: there
// are some 120 in all. Who needs the ids has them in the events: middleware.Log
// writes them.
//
// # What to look at
//
// Reason "unknown key" means that the replicas do not have the same key ring. Reason
// "bad seal" is an attack, or another program with the same cookie name. Event "late
// change" is a mistake of the program. Event "over budget" comes before visitors
// who are refused by a proxy. Of the store, error.type "timeout" says that it is slow,
// "_OTHER" that it answers with errors or is gone.
package otelsession
