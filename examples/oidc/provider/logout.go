package provider

import (
	"crypto/rand"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

var pages = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Demonstration provider</title>
<body style="font: 1rem/1.5 system-ui; max-width: 36rem; margin: 2rem auto; padding: 0 1rem; background: #f4f1ea; color: #222">
<main>
<h1>Demonstration provider</h1>
{{if .Ask}}<p>An identity provider would ask for a password here. This one lets you choose.</p>
<form method="post" action="/authorize?{{.Query}}">
<p><button name="user" value="ada">Sign in as Ada</button> <button name="user" value="grace">Sign in as Grace</button></p>
</form>
{{else}}<p>Sessions at this provider. To end one tells the site, which ends its own session.</p>
{{range .Logins}}<form method="post" action="/end"><p>{{.User}}, since {{.Since.Format "15:04:05"}}
<button name="sid" value="{{.SID}}">End this session</button> <button name="sub" value="{{.User}}">End all of {{.User}}</button></p></form>
{{else}}<p>There is none.</p>{{end}}{{end}}
</main>
`))

// askUser asks the user for consent.
func (p *Provider) askUser(w http.ResponseWriter, r *http.Request) {
	show(w, map[string]any{"Ask": true, "Query": template.URL(r.URL.Query().Encode())}) //nolint:gosec // Encode has escaped it
}

func show(w http.ResponseWriter, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = pages.Execute(w, data)
}

// sessions shows the sessions at this provider.
func (p *Provider) sessions(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	var all []login
	for _, l := range p.logins {
		if !l.ended {
			all = append(all, *l)
		}
	}
	p.mu.Unlock()
	slices.SortFunc(all, func(a, b login) int { return a.Since.Compare(b.Since) })
	show(w, map[string]any{"Logins": all})
}

// end ends one session or all of a user, and tells the client.
func (p *Provider) end(w http.ResponseWriter, r *http.Request) {
	if err := p.EndSessions(r.PostFormValue("sid"), r.PostFormValue("sub")); err != nil {
		http.Error(w, "the client has not confirmed the logout", http.StatusBadGateway)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// logout ends the session of an ID token and sends the user back (RP-Initiated Logout).
func (p *Provider) logout(w http.ResponseWriter, r *http.Request) {
	token, err := jwt.ParseSigned(r.FormValue("id_token_hint"), []jose.SignatureAlgorithm{jose.RS256})
	var claims struct {
		SID string `json:"sid"`
	}
	if err == nil {
		err = token.Claims(p.key.Public(), &claims)
	}
	back, parseErr := url.Parse(r.FormValue("post_logout_redirect_uri"))
	client, _ := url.Parse(p.config.Redirect)
	if err != nil || parseErr != nil || back.Scheme != client.Scheme || back.Host != client.Host {
		http.Error(w, "id_token_hint or post_logout_redirect_uri is not valid", http.StatusBadRequest)
		return
	}
	_ = p.EndSessions(claims.SID, "") // the client has ended its session already
	http.Redirect(w, r, back.String(), http.StatusSeeOther)
}

var errRefused = errors.New("the client has refused the logout token")

// EndSessions ends the session with the given sid, or all of a user, and tells the
// client by a logout token (Back-Channel Logout).
func (p *Provider) EndSessions(sid, user string) error {
	p.mu.Lock()
	for _, l := range p.logins {
		l.ended = l.ended || l.SID == sid || l.User == user
	}
	p.mu.Unlock()
	now := time.Now()
	claims := jwt.Claims{Issuer: p.config.Issuer, Subject: user, Audience: jwt.Audience{p.config.ClientID}, ID: rand.Text(),
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(2 * time.Minute))}
	more := map[string]any{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": struct{}{}}}
	if sid != "" {
		more["sid"] = sid
	}
	token, err := p.sign(claims, more)
	if err != nil {
		return err
	}
	body := strings.NewReader(url.Values{"logout_token": {token}}.Encode())
	response, err := (&http.Client{Timeout: 5 * time.Second}).Post(p.config.BackChannel, "application/x-www-form-urlencoded", body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errRefused
	}
	return nil
}
