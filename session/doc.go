// Package session provides the visitor's [Session] to handlers. A [Key] names a
// value and gives its type.
//
// Package middleware puts the session into the request's context. Nothing is
// read, decrypted or parsed before the first call that needs it.
//
//	const user session.Key[User] = "user"
//
//	func login(w http.ResponseWriter, r *http.Request) {
//		s := session.From(r.Context())
//		s.Login("42") // the user's id; it also renews the session against fixation
//		user.Set(s, User{Name: "张三"})
//	}
//
// Values are encoded as CBOR (RFC 8949) when they are set, so later changes to a
// map or slice do not reach the session. All goroutines of a request may use its
// Session.
package session
