package oidcsession

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// The last parts of the paths of the routes, beside that of the callback.
const (
	loginPath       = "login"
	logoutPath      = "logout"
	backChannelPath = "backchannel-logout"
)

// Auth signs visitors in at one provider. It is an http.Handler for the routes of the
// sign-in. Create it with [New]. It is safe for concurrent use.
type Auth[C any] struct {
	config      Config
	callback    string // the last part of RedirectURL's path
	afterLogout string // URL
	meta        metadata
	oauth       tokenClient
	verifier    *oidc.IDTokenVerifier
	keys        keys[C]
	states      states
	seen        replays
}

// account is what the session keeps of a visitor who has signed in.
type account[C any] struct {
	_      struct{} `cbor:",toarray"`
	Sub    string
	At     int64 // when the visitor signed in, in milliseconds
	Claims C
	tokens
}

// keys are the keys of the session's entries. They contain a hash of the provider and
// the client, because a sign-in at one provider must not count at another one.
type keys[C any] struct {
	prefix  string
	account session.Once[account[C]]
	idToken session.Key[string]
}

// allPrefix is the prefix of the names of all entries, whatever the provider.
const allPrefix = "oidc "

func newKeys[C any](issuer, clientID string) keys[C] {
	sum := sha256.Sum256([]byte(issuer + "\x00" + clientID))
	prefix := allPrefix + base64.RawURLEncoding.EncodeToString(sum[:3]) + " "
	return keys[C]{prefix, session.Once[account[C]](prefix + "account"), session.Key[string](prefix + "id token")}
}

// ServeHTTP serves the routes of the sign-in. Each is recognised by the last part of
// its path, so the prefix of the path does not matter.
//
//   - GET login begins a sign-in. The parameter "next" is the page to which the visitor
//     returns, as middleware.Next returns it.
//   - GET or POST of the callback ends a sign-in.
//   - POST logout ends the session, here and at the provider. GET shows a button for it.
//   - POST backchannel-logout is for the provider.
func (a *Auth[C]) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // the callback's address contains the code
	switch name := path.Base(r.URL.Path); {
	case name == loginPath && isRead(r):
		a.serveLogin(w, r)
	case name == a.callback && isRead(r):
		a.serveCallback(w, r)
	case name == a.callback && r.Method == http.MethodPost:
		a.redirectForm(w, r)
	case name == logoutPath && isRead(r):
		logoutPage(w)
	case name == logoutPath && r.Method == http.MethodPost:
		a.serveLogout(w, r)
	case name == backChannelPath && r.Method == http.MethodPost:
		a.serveBackChannel(w, r)
	case name == loginPath || name == a.callback || name == logoutPath || name == backChannelPath:
		http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
	default:
		http.NotFound(w, r)
	}
}

func isRead(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// session returns the session that Config.Sessions has put into ctx.
func (a *Auth[C]) session(ctx context.Context) *session.Session { return a.config.Sessions.From(ctx) }

// now returns the time in milliseconds.
func (a *Auth[C]) now() int64 { return a.config.Clock().UnixMilli() }

// User returns the claims of the visitor's ID token, and reports whether the visitor is
// signed in. A refresh that brings a new ID token updates them.
func (a *Auth[C]) User(ctx context.Context) (claims C, ok bool) {
	acc, ok := a.keys.account.Get(a.session(ctx))
	return acc.Claims, ok
}

// Subject returns the "sub" of the visitor's ID token, or "" if the visitor is not
// signed in.
func (a *Auth[C]) Subject(ctx context.Context) string {
	acc, _ := a.keys.account.Get(a.session(ctx))
	return acc.Sub
}

// Require returns a handler that passes only visitors who are signed in to next. It
// sends others, if they ask for a page, to the provider, from which they come back to
// that page. Requests of programs get 401; see middleware.Guard.
func (a *Auth[C]) Require(next http.Handler) http.Handler {
	guard := middleware.Guard{Login: a.loginURL()}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := a.session(r.Context())
		if s.Load(r.Context()) != nil {
			return // the commit fails too, and ErrorHandler answers
		}
		if _, ok := a.keys.account.Get(s); !ok {
			guard.Refuse(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// loginURL returns the path of the login route.
func (a *Auth[C]) loginURL() string { return a.routePath(loginPath) }

func (a *Auth[C]) routePath(name string) string {
	redirect := strings.TrimPrefix(strings.TrimPrefix(a.config.RedirectURL, "https://"), "http://")
	_, p, _ := strings.Cut(redirect, "/")
	return path.Join("/"+path.Dir("/"+p), name)
}

// SubjectName returns the name of all sessions of a user: the subject of
// session.Session.Login.
func SubjectName(issuer, sub string) string { return boundName(issuer + "|" + sub) }

// SessionName returns the name of the sessions that belong to one session at the
// provider: the "sid" of the ID token.
func SessionName(issuer, sid string) string { return boundName(issuer + "|sid|" + sid) }

// boundName returns a name as a session can be bound to it: at most 255 bytes.
func boundName(name string) string {
	if len(name) <= 255 {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "sha256|" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// RevokeUser ends all sessions of a user at this program, by the "sub" of the user's ID
// token: "sign out everywhere". It needs a store; its errors are those of
// middleware.Sessions.RevokeSubject.
func (a *Auth[C]) RevokeUser(ctx context.Context, sub string) error {
	return a.config.Sessions.RevokeSubject(ctx, SubjectName(a.config.Issuer, sub))
}

// ErrNotSignedIn is returned by [Auth.Token] if the visitor is not signed in.
var ErrNotSignedIn = errors.New("oidcsession: the visitor is not signed in; protect the route with Auth.Require")

// flowLifetime is how long a visitor may take to sign in.
const flowLifetime = 10 * time.Minute
