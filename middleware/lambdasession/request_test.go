package lambdasession_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware/lambdasession"
	"github.com/carryon-go/carryon/middleware/lambdasession/lambdatest"
)

// A visitor's request is the same for every front.
func TestEventsOfEveryShape(t *testing.T) {
	everywhere(t, func(t *testing.T, front lambdatest.Front) {
		var got *http.Request
		var body string
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			got, body = r, string(b)
		})
		answer(t, front, h, get("https://x.example/"), front.Event())
		require.Equal(t, "POST", got.Method)
		require.Equal(t, "/hello/world", got.URL.Path)
		tags := []string{"a", "b"}
		if front == lambdatest.ALB {
			tags = tags[1:] // the load balancer sends only the last one
		}
		require.Equal(t, tags, got.URL.Query()["tag"])
		require.Equal(t, "two words", got.URL.Query().Get("name"))
		require.Equal(t, got.URL.RequestURI(), got.RequestURI)
		require.Equal(t, []string{"theme=dark; lang=de"}, got.Header["Cookie"], "each cookie once, in one field")
		require.Equal(t, `{"a":1}`, body)
		require.EqualValues(t, len(body), got.ContentLength)
		require.Regexp(t, `\.amazonaws\.com$|\.on\.aws$`, got.Host)
		require.NotContains(t, got.Header, "Host")
		require.Equal(t, "203.0.113.7:0", got.RemoteAddr)
		require.NotNil(t, got.TLS)
		require.Equal(t, got.Host, got.TLS.ServerName)
		require.Equal(t, "HTTP/1.1", got.Proto)
		require.Equal(t, 1, got.ProtoMajor)
		require.Equal(t, "text/html,application/xhtml+xml", got.Header.Get("Accept"), "no value is split at its commas")
		require.Equal(t, "Root=1-65a1b2c3-0123456789abcdef01234567", got.Header.Get("X-Amzn-Trace-Id"))
		require.IsType(t, map[lambdatest.Front]any{
			lambdatest.REST: &events.APIGatewayProxyRequest{}, lambdatest.RESTStream: &events.APIGatewayProxyRequest{},
			lambdatest.HTTPAPI1: &events.APIGatewayProxyRequest{}, lambdatest.HTTPAPI: &events.APIGatewayV2HTTPRequest{},
			lambdatest.URL: &events.LambdaFunctionURLRequest{}, lambdatest.URLStream: &events.LambdaFunctionURLRequest{},
			lambdatest.ALB: &events.ALBTargetGroupRequest{}, lambdatest.ALBMulti: &events.ALBTargetGroupRequest{},
		}[front], lambdasession.EventFrom(got.Context()))
	})
}

// echo writes the URL that a handler sees.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	_ = json.NewEncoder(w).Encode([]any{r.URL.Path, r.URL.Query()})
})

func TestPathsAndQueries(t *testing.T) {
	tests := []struct{ target, path, query string }{
		{"/", "/", "{}"},
		{"/a%20b/%E5%BC%A0", "/a b/张", "{}"},
		{"/a%3Fb%23c", "/a?b#c", "{}"},
		{"/100%25", "/100%", "{}"},
		{"/q?a=1&b=%26%3D%3F%23&c=%E5%BC%A0+%2B", "/q", `{"a":["1"],"b":["&=?#"],"c":["张 +"]}`},
		{"/q?a%5B%5D=x", "/q", `{"a[]":["x"]}`},
		{"/q?empty=&flag=", "/q", `{"empty":[""],"flag":[""]}`},
	}
	everywhere(t, func(t *testing.T, front lambdatest.Front) {
		for _, test := range tests {
			r := call(t, front, echo, get("https://x.example"+test.target))
			require.JSONEq(t, `["`+test.path+`",`+test.query+`]`, text(t, r), test.target)
		}
	})
}

// Only HTTP APIs decode the path, so only they lose %2F.
func TestEscapedSlash(t *testing.T) {
	everywhere(t, func(t *testing.T, front lambdatest.Front) {
		mux := http.NewServeMux()
		mux.HandleFunc("/v/{name}", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.PathValue("name")) })
		r := call(t, front, mux, get("https://x.example/v/a%2Fb"))
		if front == lambdatest.HTTPAPI || front == lambdatest.HTTPAPI1 {
			require.Equal(t, 404, r.StatusCode)
			return
		}
		require.Equal(t, "a/b", text(t, r))
	})
}

func TestBinaryBodies(t *testing.T) {
	everywhere(t, func(t *testing.T, front lambdatest.Front) {
		want := []byte{0, 1, 0xff, '\r', '\n', 0xfe}
		r := httptest.NewRequest("POST", "https://x.example/", bytes.NewReader(want))
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			require.EqualValues(t, len(want), r.ContentLength)
			_, _ = io.Copy(w, r.Body)
		})
		require.Equal(t, string(want), text(t, call(t, front, h, r)))
	})
}

func TestStages(t *testing.T) {
	tests := []struct {
		path, want string
		options    []lambdasession.Option
	}{
		{"/dev/hello", "/dev/hello", nil},
		{"/dev/hello", "/hello", []lambdasession.Option{lambdasession.StripStage()}},
		{"/dev", "/", []lambdasession.Option{lambdasession.StripStage()}},
		{"/developers", "/developers", []lambdasession.Option{lambdasession.StripStage()}},
		{"/hello/dev", "/hello/dev", []lambdasession.Option{lambdasession.StripStage()}},
		{"/base/hello", "/hello", []lambdasession.Option{lambdasession.StripPrefix("base/")}},
		{"/dev/base/x", "/x", []lambdasession.Option{lambdasession.StripStage(), lambdasession.StripPrefix("/base")}},
		{"/hello", "/hello", []lambdasession.Option{lambdasession.StripPrefix("")}},
	}
	for _, test := range tests {
		event, err := lambdatest.HTTPAPI.EventOf(get("https://x.example" + test.path))
		require.NoError(t, err)
		event = bytes.Replace(event, []byte(`"stage":"$default"`), []byte(`"stage":"dev"`), 1)
		r := answer(t, lambdatest.HTTPAPI, echo, get("https://x.example/"), event, test.options...)
		require.JSONEq(t, `["`+test.want+`",{}]`, text(t, r), test.path)
	}
	// $default is not part of any path.
	r := call(t, lambdatest.HTTPAPI, echo, get("https://x.example/$default/x"), lambdasession.StripStage())
	require.JSONEq(t, `["/$default/x",{}]`, text(t, r))
}

// The address that the load balancer has added counts.
func TestALBSource(t *testing.T) {
	tests := map[string]string{
		"203.0.113.7": "203.0.113.7:0", "6.6.6.6, 203.0.113.7": "203.0.113.7:0", "203.0.113.7:4711": "203.0.113.7:4711",
		"2001:db8::1": "[2001:db8::1]:0", "[2001:db8::1]:4711": "[2001:db8::1]:4711", "": "", "unknown": "",
	}
	for field, want := range tests {
		event := bytes.Replace(lambdatest.ALB.Event(), []byte("198.51.100.1, 203.0.113.7"), []byte(field), 1)
		var got string
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got = r.RemoteAddr })
		answer(t, lambdatest.ALB, h, get("https://x.example/"), event)
		require.Equal(t, want, got, field)
	}
}

func TestPlainHTTPAtTheLoadBalancer(t *testing.T) {
	event := bytes.Replace(lambdatest.ALB.Event(), []byte(`"x-forwarded-proto": "https"`), []byte(`"x-forwarded-proto": "http"`), 1)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { require.Nil(t, r.TLS) })
	answer(t, lambdatest.ALB, h, get("http://x.example/"), event)
}

func TestCookiesOnce(t *testing.T) {
	tests := map[string][]string{
		"a=1; b=2":      {"a=1; b=2"},
		"b=2; a=1":      {"b=2; a=1", "b=2"},
		"a=1; a=2; c=3": {"a=1;a=2; c=3 ;a=1"},
		"a=\"x y\"":     {"a=\"x y\"; ; "},
	}
	for want, lines := range tests {
		for _, front := range []lambdatest.Front{lambdatest.URL, lambdatest.HTTPAPI, lambdatest.ALBMulti, lambdatest.REST} {
			r := get("https://x.example/")
			r.Header["Cookie"] = lines
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				require.Equal(t, []string{want}, r.Header["Cookie"], string(front))
			})
			if len(lines) > 1 && front == lambdatest.REST {
				continue
			}
			require.Equal(t, 200, call(t, front, h, r).StatusCode)
		}
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { require.NotContains(t, r.Header, "Cookie") })
	everywhere(t, func(t *testing.T, front lambdatest.Front) { call(t, front, h, get("https://x.example/")) })
}

// An event may contain more than a connection can carry.
func TestWhatNoServerTakes(t *testing.T) {
	tests := map[string][2]string{
		"line break in a field":    {`"user-agent": "Mozilla/5.0 (X11; Linux x86_64)"`, `"user-agent": "a\r\nx-admin: 1"`},
		"NUL in a cookie":          {`"theme=dark"`, `"theme=\u0000"`},
		"space in a name":          {`"accept":`, `"acc ept":`},
		"no method":                {`"method": "POST"`, `"method": ""`},
		"two lines of a method":    {`"method": "POST"`, `"method": "GET / HTTP/1.1\r\n"`},
		"a path in the host":       {`"host": "abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-central-1.on.aws"`, `"host": "a/b"`},
		"half an escape":           {`"rawPath": "/hello/world"`, `"rawPath": "/%2"`},
		"invalid base64":           {`"isBase64Encoded": false`, `"isBase64Encoded": true`},
		"a host of two identities": {`"accept":`, `"Host": "evil.example", "accept":`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			event := strings.Replace(string(lambdatest.URL.Event()), test[0], test[1], 1)
			require.NotEqual(t, event, string(lambdatest.URL.Event()))
			log, lines := logged()
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.Error("the handler was called") })
			r := answer(t, lambdatest.URL, h, get("https://x.example/"), []byte(event), log)
			require.Equal(t, 400, r.StatusCode)
			require.Contains(t, lines.String(), "answered 400")
			require.NotContains(t, lines.String(), "admin")
			require.NotContains(t, lines.String(), "evil")
		})
	}
}

func TestRequestID(t *testing.T) {
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "8476a536"})
	var id string
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := lambdacontext.FromContext(r.Context())
		require.True(t, ok)
		id = c.AwsRequestID
	})
	_, err := lambdasession.Handler(h)(ctx, lambdatest.REST.Event())
	require.NoError(t, err)
	require.Equal(t, "8476a536", id)
}

// The trace id of the invocation is used if the front sent none.
func TestTraceID(t *testing.T) {
	//lint:ignore SA1029 aws-lambda-go does so
	ctx := context.WithValue(t.Context(), "x-amzn-trace-id", "Root=1-invocation")
	tests := map[string]string{`"x-amzn-trace-id":`: "Root=1-65a1b2c3-0123456789abcdef01234567", `"x-other":`: "Root=1-invocation"}
	for name, want := range tests {
		event := bytes.Replace(lambdatest.URL.Event(), []byte(`"x-amzn-trace-id":`), []byte(name), 1)
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			require.Equal(t, want, r.Header.Get("X-Amzn-Trace-Id"))
		})
		_, err := lambdasession.Handler(h)(ctx, event)
		require.NoError(t, err)
	}
}

func TestOtherEvents(t *testing.T) {
	tests := map[string]string{
		"schedule":  `{"version":"0","id":"53dc4d37","detail-type":"Scheduled Event","source":"aws.events","account":"111122223333","time":"2024-01-12T00:00:00Z","region":"eu-central-1","resources":["arn:aws:events:eu-central-1:111122223333:rule/warm"],"detail":{}}`,
		"queue":     `{"Records":[{"messageId":"059f36b4","receiptHandle":"AQEB","body":"secret","attributes":{},"eventSource":"aws:sqs"}]}`,
		"lattice":   `{"version":"2.0","path":"/","method":"GET","headers":{"host":["x"]},"isBase64Encoded":false,"requestContext":{"serviceNetworkArn":"arn"}}`,
		"websocket": `{"requestContext":{"routeKey":"$connect","eventType":"CONNECT","connectionId":"L0SM9cOFvHcCIhw="},"headers":{},"isBase64Encoded":false}`,
		"warmer":    `{"warmer":true,"concurrency":3}`,
		"null":      `null`, "text": `"secret"`, "list": `[1]`, "number": `7`, "empty": ``, "half": `{"version":`,
		"wrong type": `{"httpMethod":7}`,
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.Error("the handler was called") })
	for name, event := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := lambdasession.Handler(h)(t.Context(), json.RawMessage(event))
			require.ErrorIs(t, err, lambdasession.ErrUnknownEvent)
			require.NotContains(t, err.Error(), "secret")
			require.Equal(t, name == "websocket", err == lambdasession.ErrWebSocket)
		})
	}
	_, err := lambdasession.Handler(h)(t.Context(), json.RawMessage(`{"httpMethod":"GET","path":7}`))
	require.ErrorContains(t, err, "not of the type")
}
