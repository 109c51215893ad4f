package lambdasession_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware/lambdasession/lambdatest"
)

// start runs the function of internal/probe.
func start(t *testing.T, env ...string) *lambdatest.Function {
	if testing.Short() {
		t.Skip("builds a function")
	}
	probe := filepath.Join(built, "bootstrap")
	once.Do(func() { require.NoError(t, os.Rename(lambdatest.Build(t, "./internal/probe"), probe)) })
	return lambdatest.Start(t, probe, env...)
}

var (
	once  sync.Once
	built string // folder of the function, which is built once
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if built, err = os.MkdirTemp("", "lambdasession-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(built)
	return m.Run()
}

// ask sends a request through a front to the function's process.
func ask(t *testing.T, f *lambdatest.Function, front lambdatest.Front, target string) (*http.Response, string) {
	t.Helper()
	r, err := lambdatest.Visitor{Front: front, Function: f}.RoundTrip(get("https://x.example" + target))
	require.NoError(t, err)
	return r, text(t, r)
}

func TestBootstrap(t *testing.T) {
	f := start(t)
	for _, front := range lambdatest.Fronts()[:6] {
		r, body := ask(t, f, front, "/hello")
		require.Equal(t, 200, r.StatusCode, body)
		require.Regexp(t, `^[0-9a-f-]{36} true \n$`, body)
		require.Equal(t, []string{"a=1"}, r.Header["Set-Cookie"])

		r, _ = ask(t, f, front, "/panic")
		require.Equal(t, 502, r.StatusCode)
	}
	f.Logs("the handler panicked", 6)
	require.NotContains(t, f.Log(), "secret")

	// An event without a request fails with a clear error, and the process
	// continues.
	a := f.Invoke([]byte(`{"Records":[{"body":"hidden"}]}`))
	require.Equal(t, "error", a.Kind)
	require.Contains(t, string(a.Body), "the option Others")
	require.NotContains(t, f.Log(), "hidden")
	r, _ := ask(t, f, lambdatest.URL, "/hello")
	require.Equal(t, 200, r.StatusCode)
}

// The handler's context ends before its time does, so that it can still
// respond.
func TestBootstrapDeadline(t *testing.T) {
	f := start(t)
	f.Budget = 2 * time.Second
	r, body := ask(t, f, lambdatest.HTTPAPI, "/slow")
	require.Equal(t, 503, r.StatusCode)
	require.Equal(t, "context deadline exceeded\n", body)
}

// The wire form of a stream: a prelude in JSON, eight NULs, and the body.
func TestBootstrapStreams(t *testing.T) {
	f := start(t, "STREAM=1")
	var mu sync.Mutex
	var seen bytes.Buffer
	begun := make(chan struct{})
	f.OnChunk = func(chunk []byte) {
		mu.Lock()
		defer mu.Unlock()
		was := bytes.Contains(seen.Bytes(), []byte("first "))
		seen.Write(chunk)
		if !was && bytes.Contains(seen.Bytes(), []byte("first ")) {
			close(begun)
		}
	}
	// The page that the handler waits for is sent after the first part has
	// arrived.
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-begun:
			_, _ = io.WriteString(w, "second")
		case <-r.Context().Done():
		}
	}))
	defer gate.Close()
	target := "/gate?url=" + url.QueryEscape(gate.URL)
	event, err := lambdatest.URLStream.EventOf(get("https://x.example" + target))
	require.NoError(t, err)
	a := f.Invoke(event)
	require.Equal(t, "application/vnd.awslambda.http-integration-response", a.ContentType)
	require.Empty(t, a.ErrorType)
	require.Equal(t, `{"statusCode":200,"headers":{"Content-Type":"text/plain; charset=utf-8"},"cookies":["a=1","b=2"]}`+
		strings.Repeat("\x00", 8)+"first second", string(a.Body))

	f.OnChunk = nil
	r, body := ask(t, f, lambdatest.RESTStream, target)
	require.Equal(t, "first second", body)
	require.Equal(t, []string{"a=1", "b=2"}, r.Header["Set-Cookie"])

	// Other shapes are not configured to stream, and do not.
	r, body = ask(t, f, lambdatest.HTTPAPI, target)
	require.Equal(t, "first second", body)
	require.Equal(t, []string{"a=1", "b=2"}, r.Header["Set-Cookie"])

	r, _ = ask(t, f, lambdatest.URLStream, "/panic")
	require.Equal(t, 502, r.StatusCode)
	a = f.Invoke(eventOf(t, "/cut"))
	require.True(t, bytes.HasSuffix(a.Body, []byte("\x00begun")), "%q", a.Body)
	require.NotEmpty(t, a.ErrorType, "the platform learns that the answer is incomplete")
	require.NotContains(t, f.Log(), "secret")
	r, _ = ask(t, f, lambdatest.URLStream, "/hello")
	require.Equal(t, 200, r.StatusCode, "the process continues")
}

func eventOf(t *testing.T, target string) []byte {
	t.Helper()
	event, err := lambdatest.URLStream.EventOf(get("https://x.example" + target))
	require.NoError(t, err)
	return event
}

// A deadline also ends a stream.
func TestBootstrapStreamDeadline(t *testing.T) {
	f := start(t, "STREAM=1")
	f.Budget = 2 * time.Second
	r, body := ask(t, f, lambdatest.URLStream, "/patient")
	require.Equal(t, 200, r.StatusCode)
	require.Equal(t, "half whole", body)
}
