package lambdasession

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// errOneCookie is logged if a load balancer would send only one of several
// cookies.
var errOneCookie = errors.New("the response has more than one Set-Cookie, and the load balancer sends one only; answered 502: " +
	"set the target group's attribute lambda.multi_value_headers.enabled to true, " +
	"or use middleware.Config.Cookie.FixedName with a store, and set no other cookies")

// answer converts a response to the type that the event's platform expects.
func (f *function) answer(ctx context.Context, p *parts, r *response) any {
	if p.single && len(r.cookies) > 1 {
		f.logError(ctx, p, errOneCookie)
		r = plain(http.StatusBadGateway)
	}
	body, coded, fits := f.encode(r, mostBytes(p.shape))
	if !fits {
		f.logError(ctx, p, ErrTooLarge)
		r = plain(http.StatusBadGateway)
		body, coded, _ = f.encode(r, mostBytes(p.shape))
	}
	switch p.shape {
	case REST:
		return events.APIGatewayProxyResponse{StatusCode: r.status, Headers: map[string]string{}, MultiValueHeaders: multi(r), Body: body, IsBase64Encoded: coded}
	case HTTPAPI:
		return events.APIGatewayV2HTTPResponse{StatusCode: r.status, Headers: joined(r.header), Body: body, IsBase64Encoded: coded, Cookies: list(r.cookies)}
	case FunctionURL:
		return events.LambdaFunctionURLResponse{StatusCode: r.status, Headers: joined(r.header), Body: body, IsBase64Encoded: coded, Cookies: list(r.cookies)}
	}
	a := events.ALBTargetGroupResponse{StatusCode: r.status, StatusDescription: description(r.status), Body: body, IsBase64Encoded: coded}
	if !p.single {
		a.MultiValueHeaders = multi(r)
		return a
	}
	a.Headers = joined(r.header)
	for _, line := range r.cookies {
		a.Headers["Set-Cookie"] = line
	}
	return a
}

// list returns a slice that is never null in JSON.
func list(lines []string) []string { return append([]string{}, lines...) }

func description(status int) string {
	return fmt.Sprintf("%d %s", status, http.StatusText(status))
}

// encode converts the body of a response to a JSON string. It sends text as it
// is, and other data in base64. It also uses base64 if the escaped text would
// exceed most bytes, because JSON does not escape base64.
func (o *options) encode(r *response, most int) (text string, coded, fits bool) {
	rest := size(r)
	if utf8.Valid(r.body) {
		// The program's JSON encoder may escape HTML; only the option
		// EscapesHTML makes that certain.
		worst := rest+cost(r.body, true) > most
		if !worst || !o.escapes && rest+base64.StdEncoding.EncodedLen(len(r.body)) > most {
			return string(r.body), false, !worst || rest+cost(r.body, false) <= most
		}
	}
	text = base64.StdEncoding.EncodeToString(r.body)
	return text, true, rest+len(text) <= most
}

// cost returns the length of the text in JSON.
func cost[T string | []byte](text T, html bool) int {
	n := len(text)
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"', c == '\\', c == '\n', c == '\r', c == '\t', c == '\b', c == '\f':
			n++
		case c < ' ', html && (c == '<' || c == '>' || c == '&'):
			n += len(`\u0000`) - 1
		case c == 0xe2: // possible start of U+2028
			n += len(`\u2028`) - len("\u2028")
		}
	}
	return n
}

// size returns an upper estimate of the length of the answer without its body.
func size(r *response) int {
	n := 1024
	for name, values := range multi(r) {
		for _, v := range values {
			n += cost(name, true) + cost(v, true) + 16
			if !utf8.ValidString(v) {
				n += len(v) * len(`\ufffd`) // JSON writes U+FFFD for each byte that is not UTF-8
			}
		}
	}
	return n
}
