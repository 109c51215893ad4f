package lambdatest

import (
	"bytes"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Front is the service between a visitor and a function, with its rules for
// events and answers as AWS documents them. Its value is the name of the file
// with its event ([Front.Event]).
type Front string

// The fronts. The streaming ones send the same events as the others.
const (
	REST       Front = "rest"        // API Gateway REST API
	HTTPAPI    Front = "httpapi"     // API Gateway HTTP API, payload format 2.0
	HTTPAPI1   Front = "httpapi-1.0" // API Gateway HTTP API, payload format 1.0
	URL        Front = "url"         // function URL, BUFFERED
	ALB        Front = "alb"         // load balancer, lambda.multi_value_headers.enabled false
	ALBMulti   Front = "alb-multi"   // load balancer, lambda.multi_value_headers.enabled true
	RESTStream Front = "rest-stream" // REST API, response transfer mode STREAM
	URLStream  Front = "url-stream"  // function URL, RESPONSE_STREAM
)

// Fronts returns all fronts.
func Fronts() []Front {
	return []Front{REST, HTTPAPI, HTTPAPI1, URL, ALB, ALBMulti, RESTStream, URLStream}
}

//go:embed events
var files embed.FS

// Event returns an event of this front with every field of a real one.
func (f Front) Event() []byte {
	text, err := files.ReadFile("events/" + strings.TrimSuffix(string(f), "-stream") + ".json")
	if err != nil {
		panic(err)
	}
	return text
}

// object is a JSON object.
type object = map[string]any

// EventOf returns the event that this front makes from a visitor's request.
func (f Front) EventOf(r *http.Request) ([]byte, error) {
	var e object
	if err := json.Unmarshal(f.Event(), &e); err != nil {
		return nil, err
	}
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	e["isBase64Encoded"] = !utf8.Valid(body)
	e["body"] = string(body)
	if !utf8.Valid(body) {
		e["body"] = base64.StdEncoding.EncodeToString(body)
	}
	h := fields(r, len(body))
	switch f {
	case HTTPAPI, URL, URLStream:
		f.format2(e, r, h)
	default:
		f.format1(e, r, h)
	}
	return json.Marshal(e)
}

// fields returns the header fields of an event: names in lower case, as in
// HTTP/2.
func fields(r *http.Request, length int) map[string][]string {
	h := map[string][]string{
		"host": {r.URL.Host}, "x-forwarded-for": {"203.0.113.7"}, "x-forwarded-port": {"443"}, "x-forwarded-proto": {"https"},
		"x-amzn-trace-id": {"Root=1-65a1b2c3-0123456789abcdef01234567"},
	}
	if length > 0 {
		h["content-length"] = []string{fmt.Sprint(length)}
	}
	for name, values := range r.Header {
		h[strings.ToLower(name)] = values
	}
	return h
}

// format1 fills in an event of a REST API or a load balancer: maps with single
// values and maps with multiple values. A load balancer sends only one of the
// two kinds, and does not decode the query.
func (f Front) format1(e object, r *http.Request, h map[string][]string) {
	e["httpMethod"], e["path"] = r.Method, r.URL.EscapedPath()
	if f == HTTPAPI1 {
		e["path"] = r.URL.Path
	}
	query := split(r.URL.RawQuery, f == REST || f == RESTStream || f == HTTPAPI1)
	e["headers"], e["queryStringParameters"] = lasts(h), lasts(query)
	e["multiValueHeaders"], e["multiValueQueryStringParameters"] = h, query
	switch f {
	case ALB:
		delete(e, "multiValueHeaders")
		delete(e, "multiValueQueryStringParameters")
	case ALBMulti:
		delete(e, "headers")
		delete(e, "queryStringParameters")
	default:
		c := e["requestContext"].(object)
		c["httpMethod"], c["path"], c["domainName"] = r.Method, e["path"], r.URL.Host
		if len(query) == 0 {
			e["queryStringParameters"], e["multiValueQueryStringParameters"] = nil, nil
		}
		if e["body"] == "" {
			e["body"] = nil
		}
	}
}

// format2 fills in an event of an HTTP API, which decodes the path and moves
// the cookies out of the header, or of a function URL, which does neither.
func (f Front) format2(e object, r *http.Request, h map[string][]string) {
	e["rawPath"], e["rawQueryString"] = r.URL.EscapedPath(), r.URL.RawQuery
	if f == HTTPAPI {
		e["rawPath"] = r.URL.Path
	}
	delete(e, "cookies")
	if lines := h["cookie"]; len(lines) > 0 {
		e["cookies"] = strings.Split(strings.Join(lines, "; "), "; ")
		if f == HTTPAPI {
			delete(h, "cookie")
		}
	}
	headers := map[string]string{}
	for name, values := range h {
		headers[name] = strings.Join(values, ",")
	}
	e["headers"] = headers
	c := e["requestContext"].(object)["http"].(object)
	c["method"], c["path"] = r.Method, e["rawPath"]
	if f == HTTPAPI {
		e["requestContext"].(object)["domainName"] = r.URL.Host
	}
	if e["body"] == "" {
		delete(e, "body")
	}
}

// split parses a query string, and decodes it if requested.
func split(query string, decode bool) map[string][]string {
	all := map[string][]string{}
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		if decode {
			name, _ = url.QueryUnescape(name)
			value, _ = url.QueryUnescape(value)
		}
		all[name] = append(all[name], value)
	}
	return all
}

// lasts keeps the last of several values, as API Gateway and ALB do.
func lasts(h map[string][]string) map[string]string {
	one := map[string]string{}
	for name, values := range h {
		one[name] = values[len(values)-1]
	}
	return one
}

// answer has all fields that any front accepts in an answer.
type answer struct {
	StatusCode        int
	StatusDescription string
	Headers           map[string]string
	MultiValueHeaders map[string][]string
	Cookies           []string
	Body              string
	IsBase64Encoded   bool
}

// Response returns what this front sends the visitor for a function's answer.
// An invalid answer becomes a 502.
func (f Front) Response(r *http.Request, a Answer) *http.Response {
	head, body, err := f.read(a)
	if err != nil {
		head, body = answer{StatusCode: http.StatusBadGateway}, []byte("front: "+err.Error())
	}
	h := http.Header{}
	for name, value := range head.Headers {
		h.Set(name, value)
	}
	for name, values := range head.MultiValueHeaders {
		h[http.CanonicalHeaderKey(name)] = values
	}
	for _, line := range head.Cookies {
		h.Add("Set-Cookie", line)
	}
	return &http.Response{
		StatusCode: head.StatusCode, Status: fmt.Sprint(head.StatusCode, " ", http.StatusText(head.StatusCode)), Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
	}
}

// takes returns the members of an answer that the front accepts. A REST API
// refuses an answer with any other member.
func (f Front) takes() []string {
	switch f {
	case URL, HTTPAPI:
		return []string{"statusCode", "headers", "cookies", "body", "isBase64Encoded", "multiValueHeaders"}
	case ALB, ALBMulti:
		return []string{"statusCode", "statusDescription", "headers", "multiValueHeaders", "body", "isBase64Encoded"}
	case URLStream:
		return []string{"statusCode", "headers", "cookies"}
	case RESTStream:
		return []string{"statusCode", "headers", "multiValueHeaders", "cookies"}
	}
	return []string{"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"}
}

// most returns the maximum size of an answer in bytes.
func (f Front) most() int {
	switch f {
	case ALB, ALBMulti:
		return 1 << 20
	case RESTStream, URLStream:
		return 200 << 20
	}
	return 6 << 20
}

func (f Front) read(a Answer) (head answer, body []byte, err error) {
	text, streams := a.Body, f == URLStream || f == RESTStream
	switch {
	case a.Kind != "response":
		return head, nil, fmt.Errorf("the function failed: %s", a.Body)
	case len(text) > f.most():
		return head, nil, fmt.Errorf("an answer of %d bytes", len(text))
	case streams != (a.ContentType == "application/vnd.awslambda.http-integration-response"):
		return head, nil, fmt.Errorf("the answer has the type %s", a.ContentType)
	case streams:
		var found bool
		if text, body, found = bytes.Cut(text, make([]byte, 8)); !found {
			return head, nil, fmt.Errorf("the answer has no prelude")
		}
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return head, nil, err
	}
	for name := range members {
		if !slices.Contains(f.takes(), name) {
			return head, nil, fmt.Errorf("malformed proxy response: %s", name)
		}
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return head, nil, err
	}
	f.ignore(&head)
	if streams {
		return head, body, nil
	}
	if body = []byte(head.Body); head.IsBase64Encoded {
		body, err = base64.StdEncoding.DecodeString(head.Body)
	}
	return head, body, err
}

// ignore drops the fields that this front does not read.
func (f Front) ignore(a *answer) {
	switch f {
	case ALB, URL, URLStream, HTTPAPI:
		a.MultiValueHeaders = nil
	case ALBMulti:
		a.Headers = nil
	}
}

// Visitor is an http.RoundTripper that sends requests through a front to a
// function. The function handles one request at a time.
type Visitor struct {
	Front    Front
	Function *Function
}

// RoundTrip creates the event, invokes the function, and reads the answer. A
// request or response that is too large for the front is an error, because it
// would lock the visitor out.
func (v Visitor) RoundTrip(r *http.Request) (*http.Response, error) {
	if n, most := headerSize(r.Method+r.URL.RequestURI(), r.Header, !v.Front.balancer()), v.Front.mostHeader(); n > most {
		return nil, fmt.Errorf("front %s: a request header of %d bytes, more than %d", v.Front, n, most)
	}
	event, err := v.Front.EventOf(r)
	if err != nil {
		return nil, err
	}
	answer := v.Front.Response(r, v.Function.Invoke(event))
	if n := headerSize("", answer.Header, false); v.Front.balancer() && n > 32<<10 {
		return nil, fmt.Errorf("front %s: a response header of %d bytes", v.Front, n)
	}
	return answer, nil
}

func (f Front) balancer() bool { return f == ALB || f == ALBMulti }

// mostHeader returns the documented limit of a request's header. For function
// URLs none is documented, so it returns that of API Gateway.
func (f Front) mostHeader() int {
	if f.balancer() {
		return 64 << 10
	}
	return 10_240
}

// headerSize returns the length of the request line and of all header values,
// including their names unless values is true.
func headerSize(line string, h http.Header, values bool) int {
	n := len(line)
	for name, all := range h {
		for _, v := range all {
			if n += len(v); !values {
				n += len(name) + len(": \r\n")
			}
		}
	}
	return n
}
