package lambdasession_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware/lambdasession"
	"github.com/carryon-go/carryon/middleware/lambdasession/lambdatest"
)

// streams enables streaming for all fronts that support it.
var streams = lambdasession.Stream(lambdasession.FunctionURL, lambdasession.REST)

// call sends a request through a front to a handler.
func call(t *testing.T, front lambdatest.Front, h http.Handler, r *http.Request, list ...lambdasession.Option) *http.Response {
	t.Helper()
	event, err := front.EventOf(r)
	require.NoError(t, err)
	return answer(t, front, h, r, event, list...)
}

// answer sends an event to a handler, and reads the answer as the front does.
func answer(t *testing.T, front lambdatest.Front, h http.Handler, r *http.Request, event []byte, list ...lambdasession.Option) *http.Response {
	t.Helper()
	if strings.HasSuffix(string(front), "-stream") {
		list = append(list, streams)
	}
	out, err := lambdasession.Handler(h, list...)(t.Context(), event)
	require.NoError(t, err)
	return front.Response(r, sent(t, out))
}

// sent returns an answer in the form in which aws-lambda-go sends it.
func sent(t *testing.T, out any) lambdatest.Answer {
	t.Helper()
	reader, ok := out.(io.Reader)
	if !ok {
		text, err := json.Marshal(out)
		require.NoError(t, err)
		return lambdatest.Answer{Kind: "response", ContentType: "application/json", Body: text}
	}
	text, err := io.ReadAll(reader)
	require.NoError(t, err)
	return lambdatest.Answer{Kind: "response", ContentType: out.(interface{ ContentType() string }).ContentType(), Body: text}
}

// text returns the body of a response.
func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(b)
}

func get(target string) *http.Request {
	return httptest.NewRequestWithContext(context.Background(), "GET", target, nil)
}

// everywhere runs a test for each front.
func everywhere(t *testing.T, test func(t *testing.T, front lambdatest.Front)) {
	for _, front := range lambdatest.Fronts() {
		t.Run(string(front), func(t *testing.T) { test(t, front) })
	}
}

// logged returns an option that writes the log to a string.
func logged() (lambdasession.Option, *strings.Builder) {
	var out strings.Builder
	return lambdasession.Logger(slog.New(slog.NewJSONHandler(&out, nil))), &out
}

// oneCookie reports whether a front sends only one Set-Cookie.
func oneCookie(front lambdatest.Front) bool { return front == lambdatest.ALB }

// files returns the files in the temporary folder.
func files(t *testing.T) []os.DirEntry {
	t.Helper()
	list, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	return list
}
