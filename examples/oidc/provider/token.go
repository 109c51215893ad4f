package provider

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
)

// token exchanges a code or a refresh token for tokens.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	if subtle.ConstantTimeCompare([]byte(id+":"+secret), []byte(p.config.ClientID+":"+p.config.ClientSecret)) != 1 {
		writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var g *grant
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		g = p.exchangeCode(r.PostFormValue("code"), r.PostFormValue("code_verifier"))
	case "refresh_token":
		g = p.useRefreshToken(r.PostFormValue("refresh_token"))
	}
	if g == nil {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	answer, err := p.issue(g)
	if err != nil {
		writeJSON(w, http.StatusInternalServerError, map[string]any{"error": "server_error"})
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

// exchangeCode returns the grant of a code, which is accepted once, or nil.
func (p *Provider) exchangeCode(code, verifier string) *grant {
	request := p.codes[code]
	delete(p.codes, code)
	sum := sha256.Sum256([]byte(verifier))
	if request == nil || base64.RawURLEncoding.EncodeToString(sum[:]) != request.challenge {
		return nil
	}
	p.counts.Codes++
	return &grant{request: request}
}

// useRefreshToken returns the grant of a refresh token, or nil. A token that comes
// twice may be stolen: its grant ends.
func (p *Provider) useRefreshToken(token string) *grant {
	g := p.grants[token]
	switch {
	case g == nil || g.ended || g.login.ended:
		return nil
	case g.current != token:
		g.ended = true
		p.counts.Reused++
		return nil
	}
	p.counts.Refreshes++
	return g
}

// issue returns a token response with a new refresh token.
func (p *Provider) issue(g *grant) (map[string]any, error) {
	now := time.Now()
	standard := jwt.Claims{Issuer: p.config.Issuer, Subject: g.login.User, IssuedAt: jwt.NewNumericDate(now)}
	access := standard
	access.Audience, access.Expiry, access.ID = jwt.Audience{p.config.Issuer}, jwt.NewNumericDate(now.Add(p.config.Lifetime)), rand.Text()
	accessToken, err := p.sign(access, map[string]any{"sid": g.login.SID, "roles": p.roles()})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(accessToken))
	id := standard
	id.Audience, id.Expiry = jwt.Audience{p.config.ClientID}, jwt.NewNumericDate(now.Add(time.Hour))
	more := map[string]any{"sid": g.login.SID, "nonce": g.nonce, "at_hash": base64.RawURLEncoding.EncodeToString(sum[:16])}
	idToken, err := p.sign(id, more, users[g.login.User])
	if err != nil {
		return nil, err
	}
	g.current = rand.Text()
	p.grants[g.current] = g
	return map[string]any{"access_token": accessToken, "token_type": "Bearer", "expires_in": int(p.config.Lifetime.Seconds()),
		"refresh_token": g.current, "id_token": idToken}, nil
}

// roles are what makes real access tokens long.
func (p *Provider) roles() (all []string) {
	const fixed = 600 // of the token without roles
	for n := fixed; n < p.config.TokenBytes; n += 39 {
		all = append(all, rand.Text())
	}
	return all
}

func (p *Provider) sign(claims ...any) (string, error) {
	builder := jwt.Signed(p.signer)
	for _, c := range claims {
		builder = builder.Claims(c)
	}
	return builder.Serialize()
}
