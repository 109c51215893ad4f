package lambdasession

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/aws/aws-lambda-go/events"
)

// Shape is one of the kinds of event that carry an HTTP request.
type Shape string

// The shapes.
const (
	// REST is an API Gateway REST API, or an HTTP API whose payload format is 1.0.
	REST Shape = "API Gateway REST API"
	// HTTPAPI is an API Gateway HTTP API with payload format 2.0, its default.
	HTTPAPI Shape = "API Gateway HTTP API"
	// FunctionURL is a Lambda function URL.
	FunctionURL Shape = "function URL"
	// ALB is an Application Load Balancer whose target is the function.
	ALB Shape = "Application Load Balancer"
)

// ErrUnknownEvent is returned for an event that carries no HTTP request.
var ErrUnknownEvent = errors.New("lambdasession: the event is of no API Gateway REST or HTTP API, no function URL and no load balancer; " +
	"see to what invokes this function, or answer such events with the option Others")

// ErrWebSocket is returned for the events of an API Gateway WebSocket API. It
// is an ErrUnknownEvent.
var ErrWebSocket error = webSocketError{}

type webSocketError struct{}

func (webSocketError) Error() string {
	return "lambdasession: the event is of a WebSocket API, whose connections API Gateway keeps, not the function; " +
		"an http.Handler cannot answer it, the option Others can"
}

func (webSocketError) Is(target error) bool { return target == ErrUnknownEvent }

// errMalformed hides what is wrong: the decoder's error may quote the event.
var errMalformed = errors.New("lambdasession: the event has the fields of an HTTP request, but some are not of the type that aws-lambda-go/events gives them")

// parts is what an event says of its request, in the terms of HTTP.
type parts struct {
	shape    Shape
	event    any // for EventFrom
	method   string
	protocol string // "" for HTTP/1.1
	path     string
	decoded  bool   // the platform has undone the path's escapes
	stage    string // of an API
	query    string // escaped
	header   map[string][]string
	cookies  []string // those of the header, and all of them, where there are any
	host     string   // where the header has none
	source   string   // the visitor's address
	plain    bool     // over plain HTTP, unless the header says https
	body     string
	base64   bool // the body is
	single   bool // the answer may have no field twice
}

// kind is what tells the shapes apart.
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

// EventFrom is the event that a request came in, as one of
// *events.APIGatewayProxyRequest, *events.APIGatewayV2HTTPRequest,
// *events.LambdaFunctionURLRequest and *events.ALBTargetGroupRequest of
// aws-lambda-go; nil where the request came from elsewhere. What an authorizer
// said is in it. It must not be changed.
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
