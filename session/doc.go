// Package session is what a handler types: the visitor's [Session], typed by
// [Key], and the names of what can go wrong.
//
// A session is had from the request's context; package middleware puts it
// there. Nothing is read, opened or parsed before the first call that needs it.
//
//	const user session.Key[User] = "user"
//
//	func login(w http.ResponseWriter, r *http.Request) {
//		s := session.From(r.Context())
//		s.Renew() // a new id at login: no session fixation
//		user.Set(s, User{Name: "张三"})
//	}
//
// Values are CBOR (RFC 8949), encoded when they are set, so that later changes
// to a map or slice do not reach the session, and decoded when they are asked
// for. A Session may be used by all goroutines of its request.
package session
