// Package lambdasession runs any http.Handler, with sessions or without, as an
// AWS Lambda function behind an API Gateway REST API, an API Gateway HTTP API,
// a function URL or an Application Load Balancer. It tells their events apart
// by itself, one function may stand behind several of them, and the session's
// cookies are the same behind all:
//
//	keys, err := keyring.Open(ctx, keyring.Env("CARRYON_KEYS"))
//	sessions, err := middleware.New(middleware.Config{Keys: keys, Platform: middleware.APIGateway})
//	lambdasession.Start(sessions.Handler(mux))
//
// The protocol with Lambda, and the types of events and answers, are those of
// github.com/aws/aws-lambda-go. The way between an event and a request is this
// package's own, since each of the known adapters is wrong somewhere that
// sessions need (as of the versions named, run against the same events):
//
//   - aws-lambda-go/lambdaurl 1.55.1 reads the header "cookie" only: behind an
//     HTTP API, whose cookies are in "cookies", no request has any. It is for
//     function URLs that stream, and a panic of the handler ends the process.
//   - aws-lambda-go-api-proxy 0.16.2, httpadapter.NewV2, delivers every cookie
//     of a function URL twice, and splits header values at commas.
//   - aws-lambda-go-api-proxy, httpadapter.NewALB, encodes query strings twice,
//     has no Host, and answers in multiValueHeaders always, so that a target
//     group in its default setting loses every header.
//   - apex/gateway v2 answers with Set-Cookie in the headers and in "cookies".
//   - akrylysov/algnhsa is right where an ALB sends multi-value headers, and
//     refuses the others.
//
// # What arrives
//
// A request as net/http's server makes it: Host, RemoteAddr (with port 0, for
// no platform tells it), RequestURI, TLS (its details empty; nil where the
// visitor used plain HTTP), one Cookie field with every cookie once, and a
// body that was decoded. What net/http's server would refuse is answered by
// 400. HTTP APIs decode the path before they send it, so an escaped slash is a
// slash there; REST APIs decode the query string, and deliver its names in no
// order. [EventFrom] gives the whole event, for what an authorizer said. The
// context is Lambda's, with its request id (lambdacontext.FromContext) and its
// trace id, and ends [DefaultMargin] before the function's time does.
//
// # What leaves
//
// Text as it is, anything else in base64. A REST API passes that on decoded
// only if its binaryMediaTypes name the type; the others always decode it.
// Answers are held back until the handler returns and may have 6 MB
// ([ErrTooLarge]), 1 MB behind an ALB, unless they stream ([Stream]).
// Trailers, informational responses and hop-by-hop fields are left out. A
// handler that panics is a 502, and the process goes on.
//
// # ALB
//
// An ALB sends one Set-Cookie per response unless its target group's attribute
// lambda.multi_value_headers.enabled is true. Sessions need more than one, so
// turn it on. Where it is off, a response with more than one Set-Cookie is
// answered by 502 and a line in the log that names the attribute; the visitor's
// cookies stay as they were. What always fits one is a session with
// middleware.Config.FixedName and a store.
package lambdasession
