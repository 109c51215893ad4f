package oidcsession

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"github.com/carryon-go/carryon/session"
)

// tokens are the tokens with which the program calls other services for the visitor.
type tokens struct {
	Access, Refresh, Type string
	Issued, Expires       int64 // ms; Expires is 0 if the provider has not told
}

func (a *Auth[C]) tokensOf(t *oauth2.Token) tokens {
	got := tokens{Access: t.AccessToken, Refresh: t.RefreshToken, Type: t.Type(), Issued: a.now()}
	if !t.Expiry.IsZero() {
		// The lifetime counts from now by Config.Clock, whatever the time at the provider.
		got.Expires = got.Issued + time.Until(t.Expiry).Milliseconds()
	}
	return got
}

// Bounds of how early an access token is refreshed.
const (
	earliest = time.Minute // before it expires, plus up to a half of that
	fraction = 10          // at most the tenth part of the lifetime, plus up to a half of that
)

// due reports whether the access token is so close to its end that it must be
// refreshed. The time depends on the token, so that parallel requests agree and
// different visitors do not refresh at the same time.
func (t *tokens) due(now int64) bool {
	if t.Expires == 0 {
		return false
	}
	early := min((t.Expires-t.Issued)/fraction, earliest.Milliseconds())
	jitter := int64(sha256.Sum256([]byte(t.Access))[0])
	return now >= t.Expires-early-early*jitter/512
}

// valid reports whether the access token has not expired.
func (t *tokens) valid(now int64) bool { return t.Expires == 0 || now < t.Expires }

// Token returns the visitor's access token. If it is about to expire, Token refreshes
// it first: a minute to a minute and a half before its end, or a tenth of its lifetime
// if that is shorter.
//
// Parallel requests refresh a token once, as session.Once.Replace describes, and all
// get the new one. While the provider fails, Token returns the old token until that has
// expired. The errors are [ErrNotSignedIn], a [*RefreshError], an error of the session, or
// ctx.Err() (wrapped).
//
// If the provider refuses the refresh token for good, and no other request can have
// used it, Token ends the session and returns a *RefreshError of kind [Permanent].
//
// If the provider's answer is lost after it has replaced the refresh token, no one has
// the new one. Token then returns an error of kind [Transient], and the next call sends
// the old refresh token again. A provider that accepts it for a moment gives out new
// tokens; one that does not has ended the grant, and the session ends.
//
// Call Token before the response's header is written, so that the response can carry the
// new tokens. After that Token does not refresh, because a refresh token that is spent
// and not replaced would end the sign-in. It returns the old token until that has
// expired, and then an error of kind [Transient]. A stream or a WebSocket ends then, and
// the request with which the client begins another one refreshes the token.
func (a *Auth[C]) Token(ctx context.Context) (*oauth2.Token, error) {
	return a.token(ctx, func(acc account[C]) bool { return acc.due(a.now()) })
}

// Refresh is [Auth.Token] for an access token that a service has refused although it has
// not expired, or after the user's rights have changed: it refreshes the token if it
// still is the given one. Parallel calls with the same token refresh it once.
func (a *Auth[C]) Refresh(ctx context.Context, refused *oauth2.Token) (*oauth2.Token, error) {
	return a.token(ctx, func(acc account[C]) bool { return acc.Access == refused.AccessToken || acc.due(a.now()) })
}

// token returns the access token, after a refresh if the account is due for one.
func (a *Auth[C]) token(ctx context.Context, due func(account[C]) bool) (*oauth2.Token, error) {
	s := a.session(ctx)
	if err := s.Load(ctx); err != nil {
		return nil, err
	}
	before, ok := a.keys.account.Get(s)
	if !ok {
		return nil, ErrNotSignedIn
	}
	if before.Refresh == "" && !before.valid(a.now()) {
		return nil, &RefreshError{Kind: Permanent, Code: "no_refresh_token"}
	}
	acc, err := before, error(nil)
	if before.Refresh != "" && due(before) {
		acc, err = a.refreshOnce(ctx, s, due)
	}
	if err != nil && (ctx.Err() != nil || !acc.valid(a.now()) || isPermanent(err)) {
		return nil, err
	}
	token := &oauth2.Token{AccessToken: acc.Access, TokenType: acc.Type}
	if acc.Expires != 0 {
		token.Expiry = time.UnixMilli(acc.Expires)
	}
	return token, nil
}

// refreshOnce refreshes the tokens of the session together with all parallel requests.
func (a *Auth[C]) refreshOnce(ctx context.Context, s *session.Session, due func(account[C]) bool) (account[C], error) {
	acc, err := a.keys.account.Replace(ctx, s, due, a.refresh)
	switch {
	case err == nil:
		a.dropExpiredFlows(s)
		return acc, a.roomForRefresh(ctx, s, acc.Sub)
	case errors.Is(err, session.ErrSpent):
		err = &RefreshError{Kind: Permanent, Code: codeOf(err), err: err}
		a.config.Observer(ctx, Event{Kind: EventSignedOut, Subject: acc.Sub, Err: err})
		s.Destroy()
	case errors.Is(err, session.ErrReplaced):
		err = &RefreshError{Kind: LostRace, Code: codeOf(err), err: err}
	case ctx.Err() != nil, errors.Is(err, session.ErrNoValue), errors.As(err, new(*session.DecodeError)):
	default:
		err = &RefreshError{Kind: Transient, Code: codeOf(err), err: err}
	}
	return acc, err
}

// refresh exchanges the refresh token. It runs once for each state of the account.
func (a *Auth[C]) refresh(ctx context.Context, old account[C]) (account[C], error) {
	got, err := a.oauth.call(ctx, a.config.HTTPClient, func(ctx context.Context, c *oauth2.Config) (*oauth2.Token, error) {
		return c.TokenSource(ctx, &oauth2.Token{RefreshToken: old.Refresh}).Token()
	})
	if err != nil {
		code, cause := failureOf(err)
		failed := &providerError{code, cause}
		a.config.Observer(ctx, Event{Kind: EventRefreshFailed, Subject: old.Sub, Err: failed})
		if code == "invalid_grant" {
			return old, fmt.Errorf("%w: %w", session.ErrSpent, failed)
		}
		return old, failed
	}
	next := old
	next.tokens = a.tokensOf(got)
	if raw, _ := got.Extra("id_token").(string); raw != "" {
		token, err := a.verify(ctx, raw, got.AccessToken)
		switch {
		case err == nil && token.Subject == old.Sub:
			next.Claims = *new(C)
			err = token.Claims(&next.Claims)
		case err == nil:
			err = errors.New("the refresh brought the ID token of another user")
		}
		if err != nil { // the new tokens count nevertheless: the old ones are used up
			next.Claims = old.Claims
			a.config.Observer(ctx, Event{Kind: EventRefreshFailed, Subject: old.Sub, Err: err})
		}
	}
	a.config.Observer(ctx, Event{Kind: EventRefreshed, Subject: old.Sub})
	return next, nil
}

// roomForRefresh makes room for tokens that have grown.
func (a *Auth[C]) roomForRefresh(ctx context.Context, s *session.Session, sub string) error {
	err := a.makeRoom(ctx, s, sub)
	var failed *SignInError
	if errors.As(err, &failed) && failed.Code == "session_too_large" {
		return &RefreshError{Kind: Transient, Code: failed.Code, err: failed}
	}
	return err
}

// Client returns an HTTP client for calls to other services. It adds a fresh access
// token to each request; see [Auth.Token] for the errors, which are wrapped in a
// *url.Error. It sends requests with Config.HTTPClient.
//
// If the service redirects to another host, that one does not get the token.
func (a *Auth[C]) Client(ctx context.Context) *http.Client {
	client := *a.config.HTTPClient
	base := cmp.Or(client.Transport, http.DefaultTransport)
	client.Transport = authorized{&oauth2.Transport{Source: tokenSource[C]{a, ctx}, Base: base}, base}
	return &client
}

// authorized adds the token to requests, but to none that another host has caused by a
// redirect from the first one.
type authorized struct{ with, without http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	first := r
	for first.Response != nil && first.Response.Request != nil { // set by http.Client for redirects
		first = first.Response.Request
	}
	if r.URL.Scheme != first.URL.Scheme || r.URL.Host != first.URL.Host {
		return t.without.RoundTrip(r)
	}
	return t.with.RoundTrip(r)
}

// tokenSource is an oauth2.TokenSource for one request.
type tokenSource[C any] struct {
	auth *Auth[C]
	ctx  context.Context
}

func (t tokenSource[C]) Token() (*oauth2.Token, error) { return t.auth.Token(t.ctx) }
