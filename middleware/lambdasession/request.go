package lambdasession

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// What is answered by 400.
var (
	errMethod = errors.New("the event's method is none; answered 400")
	errPath   = errors.New("the event's path is not well escaped; answered 400")
	errHeader = errors.New("the event has a header field that HTTP does not allow; answered 400")
	errBody   = errors.New("the event's body is not the base64 that it is said to be; answered 400")
)

// request makes what net/http's server would have made. It refuses what that
// would have refused: an event may carry bytes that no connection would.
func (f *function) request(ctx context.Context, p *parts) (*http.Request, error) {
	body, err := p.content()
	if err != nil {
		return nil, err
	}
	u, err := p.url(f.strip(p.path, p.stage))
	if err != nil {
		return nil, err
	}
	if !isToken(p.method) {
		return nil, errMethod
	}
	h := http.Header(p.header)
	p.mergeCookies(h)
	if err := check(h); err != nil {
		return nil, err
	}
	r := &http.Request{
		Method: p.method, URL: u, RequestURI: u.RequestURI(), Header: h, Host: cmp.Or(h.Get("Host"), p.host),
		RemoteAddr: address(p.source), ContentLength: int64(len(body)), Body: http.NoBody,
	}
	if !isHost(r.Host) {
		return nil, errHeader
	}
	if body != "" {
		r.Body = io.NopCloser(strings.NewReader(body))
	}
	r.Proto = cmp.Or(p.protocol, "HTTP/1.1")
	var ok bool
	if r.ProtoMajor, r.ProtoMinor, ok = http.ParseHTTPVersion(r.Proto); !ok {
		r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	}
	if p.secure() {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true, ServerName: hostname(r.Host)}
	}
	p.tidy(ctx, h, len(body))
	return r.WithContext(context.WithValue(ctx, eventKey{}, p.event)), nil
}

// content is the body as the visitor sent it.
func (p *parts) content() (string, error) {
	if !p.base64 {
		return p.body, nil
	}
	body, err := base64.StdEncoding.DecodeString(p.body)
	if err != nil {
		return "", errBody
	}
	return string(body), nil
}

// url is of the server's form: path and query only.
func (p *parts) url(path string) (*url.URL, error) {
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	u := &url.URL{Path: path, RawQuery: escape(p.query, "")}
	if p.decoded {
		return u, nil
	}
	var err error
	if u.Path, err = url.PathUnescape(path); err != nil {
		return nil, errPath
	}
	if u.EscapedPath() != path {
		u.RawPath = path // used only where it is a form of Path
	}
	return u, nil
}

// tidy makes the header one of a request that has arrived: net/http's server
// takes Host out, and has undone the transfer's coding.
func (p *parts) tidy(ctx context.Context, h http.Header, length int) {
	h.Del("Host")
	h.Del("Transfer-Encoding")
	h.Del("Trailer")
	if h.Get("Content-Length") != "" {
		h.Set("Content-Length", strconv.Itoa(length))
	}
	if id, _ := ctx.Value("x-amzn-trace-id").(string); id != "" && h.Get("X-Amzn-Trace-Id") == "" && isValue(id) {
		h.Set("X-Amzn-Trace-Id", id)
	}
}

// mergeCookies makes one Cookie field: every cookie once, where it stood
// first. Function URLs send all of them twice, in "cookies" and in the header.
func (p *parts) mergeCookies(h http.Header) {
	lines := p.cookies
	if len(lines) == 0 {
		lines = h["Cookie"]
	}
	var all []string
	seen := map[string]bool{}
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			if pair = strings.Trim(pair, " \t"); pair != "" && !seen[pair] {
				seen[pair] = true
				all = append(all, pair)
			}
		}
	}
	if h.Del("Cookie"); len(all) > 0 {
		h["Cookie"] = []string{strings.Join(all, "; ")}
	}
}

// secure tells whether the visitor came over HTTPS. API Gateway and function
// URLs have nothing else; a load balancer writes the field itself.
func (p *parts) secure() bool {
	scheme := last(p.header["X-Forwarded-Proto"])
	return strings.EqualFold(scheme, "https") || scheme == "" && !p.plain
}

// last is the last element of a list in a field: the one that the platform
// has added.
func last(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	line := lines[len(lines)-1]
	return strings.Trim(line[strings.LastIndexByte(line, ',')+1:], " \t")
}

// address is a RemoteAddr, which handlers split into host and port; "" where
// the platform gave no address. An ALB may be set to add the port.
func address(source string) string {
	if a, err := netip.ParseAddrPort(source); err == nil {
		return a.String()
	}
	a, err := netip.ParseAddr(source)
	if err != nil {
		return ""
	}
	return netip.AddrPortFrom(a, 0).String()
}

func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

func isFunctionURL(domain string) bool { return strings.Contains(domain, ".lambda-url.") }
