// Package lambdasession runs any http.Handler, with or without sessions, as an
// AWS Lambda function. The function may be behind an API Gateway REST API, an
// API Gateway HTTP API, a function URL, an Application Load Balancer, or
// several of these. The package recognises their events, and the session's
// cookies are the same for all:
//
//	keys, err := keyring.Open(ctx, keyring.Env("CARRYON_KEYS"))
//	sessions, err := middleware.New(middleware.Config{Keys: keys, Platform: middleware.APIGateway})
//	lambdasession.Start(sessions.Handler(mux))
//
// The package uses github.com/aws/aws-lambda-go for the protocol with Lambda
// and for the types of events and answers. It converts events to requests
// itself, because each known adapter has a fault that breaks sessions (tested
// with the same events, in these versions):
//
//   - aws-lambda-go/lambdaurl 1.55.1 reads only the header "cookie". HTTP APIs
//
// send cookies in "cookies", so no request has any. It is meant for streaming
// function URLs, and a panic of the handler ends the process.
//   - aws-lambda-go-api-proxy 0.16.2, httpadapter.NewV2, delivers every cookie
//     of a function URL twice, and splits header values at commas.
//   - aws-lambda-go-api-proxy, httpadapter.NewALB, encodes query strings twice,
//     has no Host, and answers in multiValueHeaders always, so that a target
//     group in its default setting loses every header.
//   - apex/gateway v2 answers with Set-Cookie in the headers and in "cookies".
//   - akrylysov/algnhsa works for an ALB with multi-value headers only.
//
// # Requests
//
// A handler gets the same request as from net/http's server: Host, RequestURI,
// one Cookie field with every cookie once, and a decoded body. RemoteAddr has
// port 0, because no platform provides the port. TLS is nil for plain HTTP and
// empty otherwise. A request that net/http's server would refuse gets a 400.
// HTTP APIs decode the path, so an escaped slash becomes a slash. REST APIs
// decode the query string and lose the order of its names. [EventFrom] returns
// the whole event, including the authorizer's result. The context is Lambda's,
// with its request id (lambdacontext.FromContext) and trace id. It ends
// [DefaultMargin] before the function's time does.
//
// # Responses
//
// Text is sent as it is, other data in base64. A REST API decodes base64 only
// for types in its binaryMediaTypes; the other platforms always decode it.
// Unless responses stream ([Stream]), they are buffered until the handler
// returns and limited to 6 MB ([ErrTooLarge]), or 1 MB behind an ALB.
// Trailers, informational responses and hop-by-hop fields are dropped. A panic
// of the handler causes a 502; the process continues.
//
// # ALB
//
// An ALB sends only one Set-Cookie per response unless its target group's
// attribute lambda.multi_value_headers.enabled is true. Set it to true,
// because sessions need more than one. Otherwise a response with several
// Set-Cookie lines becomes a 502, a log line names the attribute, and the
// visitor's cookies are unchanged. A session with middleware.Config.Cookie.FixedName
// and a store always needs only one.
package lambdasession
