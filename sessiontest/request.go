package sessiontest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
)

// OtherSite is the origin of requests from CrossSite.
const OtherSite = "https://other.example"

// Request returns a request from one of the site's own pages, with the jar's
// cookies. A target without a host ("/login") refers to the jar's own host. Do
// not send the request with a client that uses this jar, or every cookie is
// sent twice. Request panics if target is not an address.
func (j *Jar) Request(method, target string, body io.Reader) *http.Request {
	r := j.request(method, target, body, sameSite)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if !safeMethod(method) {
		r.Header.Set("Origin", r.URL.Scheme+"://"+r.URL.Host)
	}
	return r
}

// CrossSite returns a request that a page of another site caused. If topLevel
// is true, the visitor followed a link or submitted a form. If it is false,
// the page made a fetch or loaded an image or a frame. Lax cookies are sent
// only with a top-level GET, Strict cookies never, SameSite=None cookies
// always. The request has the Sec-Fetch and Origin fields that browsers send.
func (j *Jar) CrossSite(method, target string, body io.Reader, topLevel bool) *http.Request {
	from, mode, dest := subresource, "no-cors", "empty"
	if topLevel {
		from, mode, dest = navigation, "navigate", "document"
	}
	r := j.request(method, target, body, from)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Sec-Fetch-Mode", mode)
	r.Header.Set("Sec-Fetch-Dest", dest)
	if !safeMethod(method) {
		r.Header.Set("Origin", OtherSite)
	}
	return r
}

// Receive stores the Set-Cookie lines of header, the response to r. If a page
// of another site caused r, and not at top level, SameSite cookies are refused
// in the response as well.
func (j *Jar) Receive(r *http.Request, header http.Header) {
	foreign := r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate"
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, line := range header.Values("Set-Cookie") {
		j.store(j.resolve(r.URL.String()), line, foreign)
	}
}

// Do lets h handle r, a request from Request or CrossSite, and stores the
// cookies of the response. It does not follow redirects.
func (j *Jar) Do(h http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	response := w.Result()
	j.Receive(r, response.Header)
	return response
}

// request returns a request as a server sees it. A client can send it too,
// because RequestURI is empty.
func (j *Jar) request(method, target string, body io.Reader, from origin) *http.Request {
	u := j.resolve(target)
	r, err := http.NewRequest(method, u.String(), body)
	if err != nil {
		panic("sessiontest: the request cannot be built: " + err.Error())
	}
	r.RemoteAddr = "192.0.2.1:1234"
	if cookies := line(j.send(u, from, method)); cookies != "" {
		r.Header.Set("Cookie", cookies)
	}
	return r
}

// resolve resolves target relative to the jar's own page.
func (j *Jar) resolve(target string) *url.URL {
	u, err := mustURL(j.home()).Parse(target)
	if err != nil {
		panic("sessiontest: " + target + " is not an address")
	}
	return mustURL(u.String())
}

func safeMethod(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}
