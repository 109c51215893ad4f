// Package oidcsession signs visitors in with OpenID Connect and keeps their tokens in
// the session.
//
//	auth, err := oidcsession.New[Claims](ctx, oidcsession.Config{
//		Issuer:       "https://accounts.example",
//		ClientID:     "…",
//		ClientSecret: "…",
//		RedirectURL:  "https://app.example/auth/callback",
//		Scopes:       []string{"profile", "email", "offline_access"},
//		Sessions:     sessions,
//	})
//	mux.Handle("/auth/", auth)             // login, callback, logout, back-channel logout
//	mux.Handle("/", auth.Require(app))     // visitors must sign in, and come back to this page
//	http.ListenAndServe(addr, sessions.Handler(mux))
//
//	user, ok := auth.User(r.Context())     // the claims of the ID token, as a Claims
//	client := auth.Client(r.Context())     // an http.Client with a fresh access token
//
// # Refreshing tokens
//
// Parallel requests refresh an access token once: in one process always, and among
// all replicas if the sessions have a store. See [Auth.Token], and session.Once for
// how.
//
// # What the session holds
//
// One entry holds the claims, the access token and the refresh token, and one the ID
// token. JSON Web Tokens take about their own length in a cookie. Each sign-in that has
// begun and not ended takes a small entry, for ten minutes, and there are at most
// [MaxFlows]. All names begin with "oidc". The session is bound to the names that
// [SubjectName] and [SessionName] return, so that the provider's back-channel logout
// and [Auth.RevokeUser] can end it.
//
// # Requests from other sites
//
// With response_mode=form_post the provider sends visitors back by a form of its own
// site. http.CrossOriginProtection refuses such a form without an exception for it:
//
//	protection := http.NewCrossOriginProtection()
//	protection.AddInsecureBypassPattern("POST /auth/callback")
//
// The callback is safe without that protection, because it accepts only a sign-in that
// the same browser has begun.
package oidcsession
