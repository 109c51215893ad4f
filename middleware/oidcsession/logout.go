package oidcsession

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// serveLogout ends the session here, and sends the visitor to the provider to end the
// session there (OpenID Connect RP-Initiated Logout).
//
// A form of another site cannot cause it: the session's cookies are SameSite=Lax.
func (a *Auth[C]) serveLogout(w http.ResponseWriter, r *http.Request) {
	s := a.session(r.Context())
	if s.Load(r.Context()) != nil {
		return // the commit fails too, and ErrorHandler answers
	}
	acc, signedIn := a.keys.account.Get(s)
	hint := a.keys.idToken.GetOr(s, "")
	s.Destroy()
	if signedIn {
		a.config.Observer(r.Context(), Event{Kind: EventSignedOut, Subject: acc.Sub})
	}
	if a.meta.EndSession == "" || !signedIn {
		http.Redirect(w, r, a.afterLogout, http.StatusSeeOther)
		return
	}
	query := url.Values{"client_id": {a.config.ClientID}, "post_logout_redirect_uri": {a.afterLogout}}
	if hint != "" {
		query.Set("id_token_hint", hint)
	}
	separator := "?"
	if strings.Contains(a.meta.EndSession, "?") {
		separator = "&"
	}
	http.Redirect(w, r, a.meta.EndSession+separator+query.Encode(), http.StatusSeeOther)
}

// maxLogoutToken bounds the body of a back-channel logout, in bytes.
const maxLogoutToken = 64 << 10

// serveBackChannel ends the sessions that a logout token of the provider names (OpenID
// Connect Back-Channel Logout 1.0): those of one session at the provider if the token
// has a "sid", and otherwise all of the user.
func (a *Auth[C]) serveBackChannel(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxLogoutToken)
	ctx := oidc.ClientContext(r.Context(), a.config.HTTPClient)
	token, err := a.verifier.VerifyLogout(ctx, r.PostFormValue("logout_token"))
	if err != nil {
		err = signInFailed("logout_token", safe(err))
	} else if !a.seen.has(token.TokenID, a.config.Clock()) {
		name := SubjectName(a.config.Issuer, token.Subject)
		if token.SessionID != "" {
			name = SessionName(a.config.Issuer, token.SessionID)
		}
		if err = a.config.Sessions.RevokeSubject(ctx, name); err == nil {
			a.seen.add(token.TokenID, token.Expiry.Add(clockSkew), a.config.Clock())
		}
	}
	e := Event{Kind: EventBackChannelLogout, Err: err}
	if token != nil {
		e.Subject = token.Subject
	}
	a.config.Observer(ctx, e)
	if err != nil { // the standard has one status for a token that is refused and a logout that has failed
		http.Error(w, "the logout failed", http.StatusBadRequest)
	}
}

// replays are the ids of the logout tokens that this process has accepted, until they
// expire. A replay would only end sessions that began meanwhile.
type replays struct {
	mu  sync.Mutex
	ids map[string]time.Time
}

// maxReplays bounds the memory. Only tokens with the provider's signature are added.
const maxReplays = 10_000

func (r *replays) has(id string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return now.Before(r.ids[id])
}

func (r *replays) add(id string, until, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ids) >= maxReplays {
		for id, until := range r.ids {
			if !now.Before(until) {
				delete(r.ids, id)
			}
		}
	}
	if len(r.ids) >= maxReplays || r.ids == nil {
		r.ids = map[string]time.Time{}
	}
	r.ids[id] = until
}
