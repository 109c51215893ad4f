package lambdasession

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/aws/aws-lambda-go/events"
)

// Shape is a kind of event that carries an HTTP request.
type Shape string

// The shapes.
const (
	// REST is an API Gateway REST API, or an HTTP API with payload format 1.0.
	REST Shape = "API Gateway REST API"
	// HTTPAPI is an API Gateway HTTP API with payload format 2.0, its default.
	HTTPAPI Shape = "API Gateway HTTP API"
	// FunctionURL is a Lambda function URL.
	FunctionURL Shape = "function URL"
	// ALB is an Application Load Balancer with the function as a target.
	ALB Shape = "Application Load Balancer"
)

// ErrUnknownEvent is returned for an event without an HTTP request.
var ErrUnknownEvent = errors.New("lambdasession: the event is not from an API Gateway REST or HTTP API, a function URL or a load balancer; " +
	"check what invokes this function, or handle such events with the option Others")

// ErrWebSocket is returned for events of an API Gateway WebSocket API.
// errors.Is also matches ErrUnknownEvent.
var ErrWebSocket error = webSocketError{}

type webSocketError struct{}

func (webSocketError) Error() string {
	return "lambdasession: the event is from a WebSocket API, whose connections end at API Gateway; " +
		"handle it with the option Others, because an http.Handler cannot"
}

func (webSocketError) Is(target error) bool { return target == ErrUnknownEvent }

// errMalformed omits the decoder's error, which may quote the event.
var errMalformed = errors.New("lambdasession: the event has the fields of an HTTP request, but some are not of the type that aws-lambda-go/events gives them")

// parts is the HTTP request in an event.
type parts struct {
	shape    Shape
	event    any // for EventFrom
	method   string
	protocol string // "" for HTTP/1.1
	path     string
	decoded  bool   // the platform has decoded the path
	stage    string // stage of an API
	query    string // escaped
	header   map[string][]string
	cookies  []string // all cookies, if the event lists them outside of the header
	host     string   // used if the header has none
	source   string   // the visitor's address
	plain    bool     // plain HTTP, unless the header says https
	body     string
	base64   bool // the body is in base64
	single   bool // the answer must not repeat a field
}

// kind has the members that distinguish the shapes.
type kind struct {
	Version        string `json:"version"`
	HTTPMethod     string `json:"httpMethod"`
	RequestContext struct {
		ELB          *struct{} `json:"elb"`
		HTTP         *struct{} `json:"http"`
		ConnectionID string    `json:"connectionId"`
		DomainName   string    `json:"domainName"`
	} `json:"requestContext"`
}

// decode reads an event of any shape.
func decode(event []byte) (*parts, error) {
	var k kind
	if json.Unmarshal(event, &k) != nil {
		return nil, ErrUnknownEvent
	}
	c := &k.RequestContext
	switch {
	case c.ELB != nil && k.HTTPMethod != "":
		return decodeALB(event)
	case c.ConnectionID != "":
		return nil, ErrWebSocket
	case c.HTTP != nil && k.Version == "2.0" && isFunctionURL(c.DomainName):
		return decodeURL(event)
	case c.HTTP != nil && k.Version == "2.0":
		return decodeV2(event)
	case k.HTTPMethod != "" && (k.Version == "" || k.Version == "1.0"):
		return decodeV1(event, k.Version == "1.0")
	}
	return nil, ErrUnknownEvent
}

type eventKey struct{}

// EventFrom returns the event of a request, as *events.APIGatewayProxyRequest,
// *events.APIGatewayV2HTTPRequest, *events.LambdaFunctionURLRequest or
// *events.ALBTargetGroupRequest of aws-lambda-go. It contains, for example,
// the authorizer's result, and must not be changed. EventFrom returns nil if
// the request did not come from an event.
func EventFrom(ctx context.Context) any { return ctx.Value(eventKey{}) }

func decodeV1(event []byte, httpAPI bool) (*parts, error) {
	e := new(events.APIGatewayProxyRequest)
	if json.Unmarshal(event, e) != nil {
		return nil, errMalformed
	}
	c := &e.RequestContext
	return &parts{
		shape: REST, event: e, method: e.HTTPMethod, protocol: c.Protocol,
		path: e.Path, decoded: httpAPI, stage: c.Stage,
		query:  decodedQuery(e.QueryStringParameters, e.MultiValueQueryStringParameters),
		header: headerOf(e.Headers, e.MultiValueHeaders), host: c.DomainName, source: c.Identity.SourceIP,
		body: e.Body, base64: e.IsBase64Encoded,
	}, nil
}

func decodeV2(event []byte) (*parts, error) {
	e := new(events.APIGatewayV2HTTPRequest)
	if json.Unmarshal(event, e) != nil {
		return nil, errMalformed
	}
	c := &e.RequestContext
	return &parts{
		shape: HTTPAPI, event: e, method: c.HTTP.Method, protocol: c.HTTP.Protocol,
		path: e.RawPath, decoded: true, stage: c.Stage, query: e.RawQueryString,
		header: headerOf(e.Headers, nil), cookies: e.Cookies, host: c.DomainName, source: c.HTTP.SourceIP,
		body: e.Body, base64: e.IsBase64Encoded,
	}, nil
}

func decodeURL(event []byte) (*parts, error) {
	e := new(events.LambdaFunctionURLRequest)
	if json.Unmarshal(event, e) != nil {
		return nil, errMalformed
	}
	c := &e.RequestContext
	return &parts{
		shape: FunctionURL, event: e, method: c.HTTP.Method, protocol: c.HTTP.Protocol,
		path: e.RawPath, query: e.RawQueryString,
		header: headerOf(e.Headers, nil), cookies: e.Cookies, host: c.DomainName, source: c.HTTP.SourceIP,
		body: e.Body, base64: e.IsBase64Encoded,
	}, nil
}

func decodeALB(event []byte) (*parts, error) {
	e := new(events.ALBTargetGroupRequest)
	if json.Unmarshal(event, e) != nil {
		return nil, errMalformed
	}
	h := http.Header(headerOf(e.Headers, e.MultiValueHeaders))
	return &parts{
		shape: ALB, event: e, method: e.HTTPMethod, path: e.Path,
		query:  escapedQuery(e.QueryStringParameters, e.MultiValueQueryStringParameters),
		header: h, source: last(h["X-Forwarded-For"]), plain: true,
		body: e.Body, base64: e.IsBase64Encoded, single: e.MultiValueHeaders == nil,
	}, nil
}
