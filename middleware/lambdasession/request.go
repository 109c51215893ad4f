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

// Errors that cause a 400.
var (
	errMethod = errors.New("the event's method is invalid; answered 400")
	errPath   = errors.New("the event's path has an invalid escape; answered 400")
	errHeader = errors.New("the event has a header field that HTTP does not allow; answered 400")
	errBody   = errors.New("the event's body is not valid base64; answered 400")
)

// request builds the request that net/http's server would build. It refuses
// requests that the server would refuse, because an event may contain bytes
// that no connection can carry.
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
	p.normalize(ctx, h, len(body))
	return r.WithContext(context.WithValue(ctx, eventKey{}, p.event)), nil
}

// content returns the body as the visitor sent it.
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

// url returns a URL in the server's form: only path and query.
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
		u.RawPath = path // used only if it is a valid encoding of Path
	}
	return u, nil
}

// normalize adjusts the header like net/http's server, which removes Host and
// decodes the transfer coding.
func (p *parts) normalize(ctx context.Context, h http.Header, length int) {
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

// mergeCookies builds one Cookie field with every cookie once, in the order of
// first occurrence. Function URLs send all cookies twice, in "cookies" and in
// the header.
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

// secure reports whether the visitor used HTTPS. API Gateway and function URLs
// support only HTTPS; a load balancer sets the field itself.
func (p *parts) secure() bool {
	scheme := last(p.header["X-Forwarded-Proto"])
	return strings.EqualFold(scheme, "https") || scheme == "" && !p.plain
}

// last returns the last element of a list in a field, which the platform has
// added.
func last(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	line := lines[len(lines)-1]
	return strings.Trim(line[strings.LastIndexByte(line, ',')+1:], " \t")
}

// address returns a RemoteAddr with host and port, or "" if the platform sent
// no address. An ALB can be configured to add the port.
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
