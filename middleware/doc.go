// Package middleware gives the handlers of a server a session for each visitor.
//
//	keys, err := keyring.Open(ctx, keyring.File("session-keys.json"))
//	sessions, err := middleware.New(middleware.Config{Keys: keys})
//	http.ListenAndServe(":8080", sessions.Handler(mux))
//
// A request takes three steps. [Sessions.Begin] keeps the Cookie header and does
// nothing else. The first use of the session opens and merges the session cookies
// in the header. [Exchange.Commit] decides which cookies the response sets and
// which it expires, once and before the first byte. [Sessions.Handler] wraps these
// steps for net/http; adapters for other servers call Begin, Commit and
// [Exchange.Finish] directly.
package middleware
