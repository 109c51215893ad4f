package oidcsession

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// serveLogin begins a sign-in.
func (a *Auth[C]) serveLogin(w http.ResponseWriter, r *http.Request) {
	chosen := url.Values{}
	for _, name := range a.config.LoginParameters {
		if v := r.URL.Query().Get(name); v != "" && len(v) <= maxPage {
			chosen.Set(name, v)
		}
	}
	a.begin(w, r, state{Page: middleware.Next(r, "/")}, chosen)
}

// begin adds a flow to the session and sends the visitor to the provider. chosen are
// parameters of the request that the visitor has chosen.
func (a *Auth[C]) begin(w http.ResponseWriter, r *http.Request, st state, chosen url.Values) {
	s := a.session(r.Context())
	if s.Load(r.Context()) != nil {
		return // the commit fails too, and ErrorHandler answers
	}
	f, err := a.beginFlow(r.Context(), s)
	if err != nil {
		a.fail(w, r, signInFailed("session", err))
		return
	}
	st.ID = f.id()
	http.Redirect(w, r, a.authorizationURL(&f, st, chosen), http.StatusSeeOther)
}

// authorizationURL returns the provider's address for a flow.
func (a *Auth[C]) authorizationURL(f *flow, st state, chosen url.Values) string {
	options := []oauth2.AuthCodeOption{oidc.Nonce(f.derive(labelNonce, 16)), oauth2.S256ChallengeOption(f.derive(labelVerifier, 32))}
	for _, more := range []url.Values{a.config.Parameters, chosen} {
		for name := range more {
			options = append(options, oauth2.SetAuthURLParam(name, more.Get(name)))
		}
	}
	return a.oauth.config.AuthCodeURL(a.states.encode(st), options...)
}

// callbackParameters are the parameters of a callback that count.
var callbackParameters = []string{"state", "code", "iss", "error", "error_description"}

// redirectForm answers a callback that is a form of the provider's site. Browsers send
// such a form without the session's cookies, because these are SameSite=Lax, but
// follow the redirect with them.
func (a *Auth[C]) redirectForm(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "Bad Request", http.StatusBadRequest)
		return
	}
	query := url.Values{}
	for _, name := range callbackParameters {
		if r.PostForm.Has(name) {
			query.Set(name, r.PostForm.Get(name))
		}
	}
	http.Redirect(w, r, a.routePath(a.callback)+"?"+query.Encode(), http.StatusSeeOther)
}

// serveCallback ends a sign-in.
func (a *Auth[C]) serveCallback(w http.ResponseWriter, r *http.Request) {
	s := a.session(r.Context())
	if s.Load(r.Context()) != nil {
		return // the commit fails too, and ErrorHandler answers
	}
	query := r.URL.Query()
	st, _ := a.states.decode(query.Get("state"))
	f, key, found := a.findFlow(s, st.ID)
	acc, signedIn := a.keys.account.Get(s)
	switch {
	case signedIn && (!found || acc.At >= f.Began): // a reload, or another tab was faster
		if found {
			key.Delete(s)
		}
		a.redirectTo(w, r, st.Page)
		return
	case !found:
		a.startOver(w, r, st)
		return
	}
	if err := a.finish(r.Context(), s, key, &f, query); err != nil {
		a.fail(w, r, err)
		return
	}
	a.redirectTo(w, r, st.Page)
}

// maxRestarts is how often a sign-in begins again before the visitor gets an error.
const maxRestarts = 2

// errNoFlow reports a browser that loses the flow again and again.
var errNoFlow = errors.New("the browser has sent no cookie of a sign-in that it has begun")

// startOver begins a new sign-in in place of one that the browser has lost.
func (a *Auth[C]) startOver(w http.ResponseWriter, r *http.Request, st state) {
	if st.Restart >= maxRestarts {
		a.fail(w, r, signInFailed("flow_lost", errNoFlow))
		return
	}
	a.begin(w, r, state{Restart: st.Restart + 1, Page: st.Page}, nil)
}

// redirectTo sends the visitor to a page of this site.
func (a *Auth[C]) redirectTo(w http.ResponseWriter, r *http.Request, page string) {
	// The page has come through the provider, so it is checked again.
	checked := middleware.Next(&http.Request{Form: url.Values{middleware.NextParameter: {page}}}, "/")
	http.Redirect(w, r, checked, http.StatusSeeOther)
}

// finish checks the provider's answer and signs the visitor in.
func (a *Auth[C]) finish(ctx context.Context, s *session.Session, key session.Once[flow], f *flow, query url.Values) error {
	if err := a.checkAnswer(query); err != nil {
		key.Delete(s)
		return err
	}
	// A second callback of the same flow, at any replica, gets the result of the first:
	// the provider accepts a code once.
	done, err := key.Replace(ctx, s, func(f flow) bool { return f.Result == nil }, func(ctx context.Context, f flow) (flow, error) {
		res, err := a.exchange(ctx, &f, query.Get("code"))
		f.Result = res
		return f, err
	})
	key.Delete(s)
	if err != nil {
		return err
	}
	acc, sid, err := a.accountOf(ctx, done.Result, f)
	if err != nil {
		return err
	}
	return a.signIn(ctx, s, acc, sid, done.Result.IDToken)
}

// checkAnswer checks the parameters of a callback.
func (a *Auth[C]) checkAnswer(query url.Values) error {
	// The issuer reveals a mix-up of providers (RFC 9207).
	if iss := query.Get("iss"); iss != a.config.Issuer && (iss != "" || a.meta.IssParameter) {
		return signInFailed("issuer_mismatch", errors.New("the answer comes from another issuer than Config.Issuer"))
	}
	if code := query.Get("error"); code != "" {
		return &SignInError{Code: codeFromBrowser(code), Description: query.Get("error_description")}
	}
	if query.Get("code") == "" {
		return signInFailed("no_code", errors.New("the answer has neither a code nor an error"))
	}
	return nil
}

// exchange exchanges the code for tokens.
func (a *Auth[C]) exchange(ctx context.Context, f *flow, code string) (*result, error) {
	got, err := a.oauth.call(ctx, a.config.HTTPClient, func(ctx context.Context, c *oauth2.Config) (*oauth2.Token, error) {
		return c.Exchange(ctx, code, oauth2.VerifierOption(f.derive(labelVerifier, 32)))
	})
	if err != nil {
		return nil, signInFailed(failureOf(err))
	}
	raw, _ := got.Extra("id_token").(string)
	if raw == "" {
		return nil, signInFailed("no_id_token", errors.New("the answer to the code has no ID token; request the scope openid"))
	}
	return &result{IDToken: raw, tokens: a.tokensOf(got)}, nil
}

// accountOf verifies the ID token of a flow and returns the visitor's account, and the
// id of the session at the provider.
func (a *Auth[C]) accountOf(ctx context.Context, res *result, f *flow) (acc account[C], sid string, err error) {
	token, err := a.verify(ctx, res.IDToken, res.Access)
	if err != nil {
		return acc, "", err
	}
	if !equal(token.Nonce, f.derive(labelNonce, 16)) {
		return acc, "", signInFailed("nonce_mismatch", errors.New("the ID token belongs to another sign-in"))
	}
	acc = account[C]{Sub: token.Subject, At: a.now(), tokens: res.tokens}
	var more struct {
		SessionID string `json:"sid"`
	}
	if err := errors.Join(token.Claims(&acc.Claims), token.Claims(&more)); err != nil {
		return acc, "", signInFailed("claims", errors.New("the claims of the ID token do not fit their type in the program"))
	}
	return acc, more.SessionID, nil
}

// verify verifies an ID token that came together with an access token.
func (a *Auth[C]) verify(ctx context.Context, raw, access string) (*oidc.IDToken, error) {
	token, err := a.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, signInFailed("id_token", safe(err))
	}
	var more struct {
		AuthorizedParty string `json:"azp"`
	}
	if err := token.Claims(&more); err != nil {
		return nil, signInFailed("claims", errors.New("the ID token has a claim azp that is not text"))
	}
	switch {
	case token.AccessTokenHash != "" && token.VerifyAccessToken(access) != nil:
		return nil, signInFailed("at_hash", errors.New("the ID token belongs to another access token"))
	case more.AuthorizedParty != "" && more.AuthorizedParty != a.config.ClientID:
		return nil, signInFailed("azp", errors.New("the ID token was issued to another client"))
	case len(token.Audience) > 1 && more.AuthorizedParty == "":
		return nil, signInFailed("azp", errors.New("the ID token has several audiences and does not say to which client it was issued"))
	case token.Subject == "":
		return nil, signInFailed("sub", errors.New("the ID token has no subject"))
	}
	return token, nil
}

// signIn puts the account into the session under a new id. The values of an anonymous
// visitor stay, and those of another user do not.
func (a *Auth[C]) signIn(ctx context.Context, s *session.Session, acc account[C], sid, idToken string) error {
	if former, ok := s.Subject(); ok && former != SubjectName(a.config.Issuer, acc.Sub) {
		s.Clear()
	}
	for _, name := range s.Names() { // a session is signed in at one provider
		if strings.HasPrefix(name, allPrefix) && !strings.HasPrefix(name, a.keys.flowPrefix()) {
			s.Delete(name)
		}
	}
	names := []string{SubjectName(a.config.Issuer, acc.Sub)}
	if sid != "" {
		names = append(names, SessionName(a.config.Issuer, sid))
	}
	s.Login(names[0], names[1:]...)
	a.keys.account.Set(s, acc)
	if a.config.IDToken != IDTokenNever {
		a.keys.idToken.Set(s, idToken)
	}
	if err := a.makeRoom(ctx, s, acc.Sub); err != nil {
		return err
	}
	a.config.Observer(ctx, Event{Kind: EventSignedIn, Subject: acc.Sub, Sizes: a.sizesOf(s)})
	return nil
}

// makeRoom drops the ID token and the flows of other tabs if the session is too large
// for its cookies. If it still is, makeRoom drops all changes of the request.
func (a *Auth[C]) makeRoom(ctx context.Context, s *session.Session, sub string) error {
	err := s.Save(ctx)
	drop := []func(){func() { a.removeFlows(s) }}
	if a.config.IDToken == IDTokenIfRoom && a.keys.idToken.GetOr(s, "") != "" {
		drop = slices.Insert(drop, 0, func() {
			a.config.Observer(ctx, Event{Kind: EventIDTokenDropped, Subject: sub, Sizes: a.sizesOf(s)})
			a.keys.idToken.Delete(s)
		})
	}
	for _, f := range drop {
		if !errors.Is(err, session.ErrTooLarge) {
			break
		}
		f()
		err = s.Save(ctx)
	}
	if err == nil {
		return nil
	}
	sizes := a.sizesOf(s)
	_ = s.Reload(ctx) // the session stays as it was
	if errors.Is(err, session.ErrTooLarge) {
		return &SignInError{Code: "session_too_large", Sizes: sizes, err: err}
	}
	return signInFailed("session", err)
}
