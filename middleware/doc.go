// Package middleware puts a visitor's session behind any http.Handler.
//
//	keys, err := keyring.Open(ctx, keyring.File("session-keys.json"))
//	sessions, err := middleware.New(middleware.Config{Keys: keys})
//	http.ListenAndServe(":8080", sessions.Handler(mux))
//
// A request's way: [Sessions.Begin] notes the Cookie header and does nothing
// else; the first use of the session opens and merges what the header holds;
// [Exchange.Commit] decides, once and before the first byte, which cookies the
// response sets and which it expires. [Sessions.Handler] is a thin skin of
// net/http over these three; adapters for other servers use them directly.
package middleware
