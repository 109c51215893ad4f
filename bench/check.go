package bench

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

// check runs a visitor through a site. It returns the cookies after a login and
// c.Changes changes. It returns an error if a page is wrong, and
// [ErrDoesNotFit] if a cookie of the login is too long.
func check(site *Site, d Data, c Contestant) (cookies string, err error) {
	v, err := newVisitor()
	if err != nil {
		return "", err
	}
	v.visit(site.Login, Change)
	if v.tooLong && !c.Wide {
		return "", ErrDoesNotFit
	}
	for range c.Changes {
		d.CSRF = v.visit(site.Change, Change)
	}
	if cookies = v.cookies(); cookies == "" && v.err == nil {
		return "", fmt.Errorf("bench: the login set no cookie")
	}
	v.expect("the session after login", v.visit(site.Dump, Read), asJSON(d))
	v.expect("read", v.visit(site.Read, Read), d.User.Name)
	v.expect("untouched", v.visit(site.Untouched, Untouched), "ok")
	v.expect("the cookies after reading", v.cookies(), cookies)

	for range 3 {
		d.CSRF = v.visit(site.Change, Change)
		v.expect("the session after a change", v.visit(site.Dump, Read), asJSON(d))
	}
	v.expect("read after changes", v.visit(site.Read, Read), d.User.Name)
	v.expectDead(site.Read, cookies)
	return cookies, v.err
}

// expectDead reads without a cookie and with each value damaged. The page must
// show no user in either case.
func (v *visitor) expectDead(read http.Handler, cookies string) {
	damaged := ""
	for pair := range strings.SplitSeq(cookies, "; ") {
		middle := (strings.IndexByte(pair, '=') + len(pair)) / 2
		other := byte('A')
		if pair[middle] == other {
			other = 'B'
		}
		damaged += pair[:middle] + string(other) + pair[middle+1:] + "; "
	}
	for what, brought := range map[string]string{"no cookie": "", "a damaged cookie": damaged} {
		w := serve(read, Read, strings.TrimSuffix(brought, "; "))
		v.expect("the user with "+what, string(w.body), "")
	}
}

// A visitor has a cookie jar, and requests pages until one is wrong.
type visitor struct {
	jar     *cookiejar.Jar
	url     *url.URL
	err     error
	tooLong bool // a cookie was too long for a browser or for the library
	set     int  // number of cookies set by the last page
}

// tooLongText matches the errors of securecookie and Carryon for sessions that
// are too large.
var tooLongText = regexp.MustCompile("value is too long|the session .* needs")

// cookieBytes is the limit of browsers for the name and value of a cookie.
const cookieBytes = 4096

func newVisitor() (*visitor, error) {
	jar, err := cookiejar.New(nil)
	return &visitor{jar: jar, url: &url.URL{Scheme: "https", Host: "shop.example", Path: "/news"}}, err
}

func (v *visitor) visit(h http.Handler, scenario Scenario) string {
	w := serve(h, scenario, v.cookies())
	if w.status >= 400 && v.err == nil {
		v.err = fmt.Errorf("bench: a page returned status %d: %s", w.status, w.body)
		v.tooLong = tooLongText.Match(w.body)
	}
	set := (&http.Response{Header: w.header}).Cookies()
	v.set = len(set)
	for _, c := range set {
		v.tooLong = v.tooLong || len(c.Name)+1+len(c.Value) > cookieBytes
	}
	v.jar.SetCookies(v.url, set)
	return string(w.body)
}

func (v *visitor) cookies() string {
	var pairs []string
	for _, c := range v.jar.Cookies(v.url) {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
}

func (v *visitor) expect(what, got, want string) {
	if got != want && v.err == nil {
		v.err = fmt.Errorf("bench: %s: got %.200q, want %.200q", what, got, want)
	}
}

func serve(h http.Handler, scenario Scenario, cookies string) *sink {
	w := new(sink)
	w.reset()
	h.ServeHTTP(w, newRequest(scenario, cookies))
	return w
}

func asJSON(d Data) string {
	b, err := json.Marshal(d)
	if err != nil {
		panic(err) // the cookie was encoded by this process
	}
	return string(b)
}
