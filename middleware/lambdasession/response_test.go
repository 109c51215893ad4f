package lambdasession_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware/lambdasession"
	"github.com/carryon-go/carryon/middleware/lambdasession/lambdatest"
)

func TestAnswers(t *testing.T) {
	everywhere(t, func(t *testing.T, front lambdatest.Front) {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Add("Vary", "Cookie")
			w.Header().Add("Vary", "Accept")
			w.Header().Set("Set-Cookie", "a=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Secure")
			if !oneCookie(front) {
				w.Header().Add("Set-Cookie", "b=2; Path=/")
			}
			w.WriteHeader(http.StatusCreated)
			w.Header().Set("Too", "late")
			_, _ = io.WriteString(w, "你好 \"<&>\u2028")
			w.WriteHeader(http.StatusTeapot)
		})
		r := call(t, front, h, get("https://x.example/"))
		require.Equal(t, 201, r.StatusCode)
		require.Equal(t, "你好 \"<&>\u2028", text(t, r))
		require.Equal(t, "Cookie, Accept", strings.Join(r.Header["Vary"], ", "))
		require.Equal(t, "text/plain; charset=utf-8", r.Header.Get("Content-Type"))
		require.NotContains(t, r.Header, "Too")
		want := []string{"a=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Secure", "b=2; Path=/"}
		if oneCookie(front) {
			want = want[:1]
		}
		require.Equal(t, want, r.Header["Set-Cookie"])
	})
}

// Data that JSON cannot hold is sent in base64. Its type is detected as in
// net/http.
func TestTypes(t *testing.T) {
	png := "\x89PNG\r\n\x1a\n\x00\x00"
	tests := []struct {
		body, set, want string
	}{
		{"<!doctype html><p>hello", "", "text/html; charset=utf-8"},
		{"hello", "", "text/plain; charset=utf-8"},
		{png, "", "image/png"},
		{png, "application/x-own", "application/x-own"},
		{"", "", ""},
	}
	everywhere(t, func(t *testing.T, front lambdatest.Front) {
		for _, test := range tests {
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if test.set != "" {
					w.Header().Set("Content-Type", test.set)
				}
				_, _ = io.WriteString(w, test.body)
			})
			r := call(t, front, h, get("https://x.example/"))
			require.Equal(t, test.body, text(t, r))
			require.Equal(t, test.want, r.Header.Get("Content-Type"))
		}
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, "hello")
		})
		require.NotContains(t, call(t, front, h, get("https://x.example/")).Header, "Content-Type")
	})
}

func TestHead(t *testing.T) {
	everywhere(t, func(t *testing.T, front lambdatest.Front) {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "9000000")
			n, err := w.Write(bytes.Repeat([]byte("<html>"), 1_500_000))
			require.NoError(t, err)
			require.Equal(t, 9_000_000, n)
		})
		request := get("https://x.example/")
		request.Method = "HEAD"
		r := call(t, front, h, request)
		require.Equal(t, 200, r.StatusCode)
		require.Empty(t, text(t, r))
		require.Equal(t, "9000000", r.Header.Get("Content-Length"))
		require.Equal(t, "text/html; charset=utf-8", r.Header.Get("Content-Type"))
	})
}

func TestStatusesWithoutBody(t *testing.T) {
	everywhere(t, func(t *testing.T, front lambdatest.Front) {
		for _, status := range []int{204, 304} {
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusEarlyHints)
				w.Header().Set("Etag", `"1"`)
				w.WriteHeader(status)
				_, err := w.Write([]byte("x"))
				require.ErrorIs(t, err, http.ErrBodyNotAllowed)
			})
			r := call(t, front, h, get("https://x.example/"))
			require.Equal(t, status, r.StatusCode)
			require.Empty(t, text(t, r))
			require.NotContains(t, r.Header, "Content-Type")
			require.Equal(t, `"1"`, r.Header.Get("Etag"))
		}
	})
}

// Fields about the connection are dropped, and no value can end its field.
func TestFieldsLeftOut(t *testing.T) {
	everywhere(t, func(t *testing.T, front lambdatest.Front) {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Connection", "X-Kept")
			h.Set("Transfer-Encoding", "chunked")
			h.Set("Content-Length", "3")
			h.Set("Trailer", "X-Sum, X-Other")
			h.Set("X-Sum", "1")
			h.Set(http.TrailerPrefix+"X-More", "1")
			h["bad name"] = []string{"x"}
			h["X-Split"] = []string{"a\r\nSet-Cookie: evil=1"}
			h.Set("X-Kept", "yes")
			_, _ = io.WriteString(w, "abc")
		})
		got := call(t, front, h, get("https://x.example/")).Header
		require.Equal(t, http.Header{"X-Kept": {"yes"}, "X-Split": {"a  Set-Cookie: evil=1"}, "Content-Type": {"text/plain; charset=utf-8"}}, got)
	})
}

func TestOneSetCookieAtTheLoadBalancer(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Set-Cookie", "a=secret")
		w.Header().Add("Set-Cookie", "b=secret")
		_, _ = io.WriteString(w, "hello")
	})
	log, lines := logged()
	r := call(t, lambdatest.ALB, h, get("https://x.example/"), log)
	require.Equal(t, 502, r.StatusCode)
	require.NotContains(t, r.Header, "Set-Cookie")
	require.Contains(t, lines.String(), "lambda.multi_value_headers.enabled")
	require.NotContains(t, lines.String(), "secret")

	r = call(t, lambdatest.ALBMulti, h, get("https://x.example/"), log)
	require.Equal(t, []string{"a=secret", "b=secret"}, r.Header["Set-Cookie"])
}

func TestStatusDescription(t *testing.T) {
	for _, front := range []lambdatest.Front{lambdatest.ALB, lambdatest.ALBMulti} {
		out, err := lambdasession.Handler(http.NotFoundHandler())(t.Context(), front.Event())
		require.NoError(t, err)
		require.Equal(t, "404 Not Found", out.(events.ALBTargetGroupResponse).StatusDescription)
	}
}

func TestPanics(t *testing.T) {
	type own struct{ password string }
	tests := map[string]struct {
		fail   func()
		logged string
	}{
		"text":    {func() { panic("secret") }, "a string, not logged"},
		"error":   {func() { panic(errors.New("secret")) }, "a *errors.errorString, not logged"},
		"own":     {func() { panic(own{"secret"}) }, "own, not logged"},
		"runtime": {func() { _ = []int{}[len("secret")] }, "index out of range [6] with length 0"},
		"abort":   {func() { panic(http.ErrAbortHandler) }, ""},
		"status":  {nil, "a string, not logged"},
	}
	everywhere(t, func(t *testing.T, front lambdatest.Front) {
		for name, test := range tests {
			log, lines := logged()
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Set-Cookie", "a=secret")
				if test.fail == nil {
					w.WriteHeader(42)
				}
				_, _ = io.WriteString(w, "secret")
				test.fail()
			})
			r := call(t, front, h, get("https://x.example/?secret"), log)
			require.Equal(t, 502, r.StatusCode, name)
			require.Equal(t, "Bad Gateway\n", text(t, r))
			require.NotContains(t, r.Header, "Set-Cookie")
			require.NotContains(t, lines.String(), "secret")
			if test.logged == "" {
				require.Empty(t, lines.String())
			} else {
				require.Contains(t, lines.String(), test.logged)
				require.Contains(t, lines.String(), "response_test.go", "the place of the panic")
			}
		}
	})
}

func TestTooLarge(t *testing.T) {
	body := func(n int, of byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(bytes.Repeat([]byte{of}, n))
		}
	}
	tests := []struct {
		front lambdatest.Front
		h     http.HandlerFunc
		want  int
	}{
		{lambdatest.URL, body(6<<20-4096, 'x'), 200},
		{lambdatest.URL, body(6<<20, 'x'), 502},
		{lambdatest.URL, body(7<<20, 'x'), 502},
		{lambdatest.URL, body(4<<20, 0xff), 200},
		{lambdatest.URL, body(5<<20, 0xff), 502},
		{lambdatest.URL, body(2<<20, '"'), 200},
		{lambdatest.URL, body(4<<20, '"'), 200}, // in base64
		{lambdatest.URL, body(5<<20, '"'), 502},
		{lambdatest.URLStream, body(30<<20, 0xff), 200},
		{lambdatest.ALB, body(1<<20-4096, 'x'), 200},
		{lambdatest.ALBMulti, body(1<<20, 'x'), 502},
		{lambdatest.REST, body(100, 'x'), 200},
	}
	for _, test := range tests {
		log, lines := logged()
		r := call(t, test.front, test.h, get("https://x.example/"), log)
		require.Equal(t, test.want, r.StatusCode, "%+v", test)
		require.Equal(t, test.want == 502, strings.Contains(lines.String(), "more than Lambda takes"))
		require.NotContains(t, text(t, r), "front:", "the platform accepts it")
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := w.Write(make([]byte, 7<<20))
		require.ErrorIs(t, err, lambdasession.ErrTooLarge)
		_, err = w.Write([]byte("x"))
		require.ErrorIs(t, err, lambdasession.ErrTooLarge, "no incomplete answer")
	})
	log, _ := logged()
	call(t, lambdatest.HTTPAPI, h, get("https://x.example/"), log)
}

// A program may configure aws-lambda-go to escape HTML, which takes six bytes
// per character.
func TestAnswersWhoseHTMLIsEscaped(t *testing.T) {
	const most = 6 << 20
	length := func(out any) int {
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(true)
		require.NoError(t, e.Encode(out))
		return text.Len()
	}
	body := func(n int, of string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, strings.Repeat(of, n/len(of))) }
	}
	header := func(n int, of string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Link", strings.Repeat(of, n/len(of))) }
	}
	tests := []struct {
		h      http.HandlerFunc
		status int
		coded  bool
	}{
		{body(1<<20, "<&>"), 200, true}, // escaped, it has exactly the maximum size
		{body(1<<20-4096, "<&>"), 200, false},
		{body(4<<20, "<"), 200, true},
		{body(5<<20, "<"), 502, false},
		{body(5<<20, "x"), 200, false},
		{body(6<<20-4096, "x"), 200, false},
		{body(6<<20-4096, "<"+strings.Repeat("x", 1<<20-1)), 200, false},
		{header(1<<20, "<"), 502, false},
		{header(1<<20-4096, "<"), 200, false},
		{header(1<<20-4096, "\xff"), 502, false},
	}
	for i, test := range tests {
		log, _ := logged()
		out, err := lambdasession.Handler(test.h, log, lambdasession.EscapesHTML())(t.Context(), lambdatest.URL.Event())
		require.NoError(t, err)
		a := out.(events.LambdaFunctionURLResponse)
		require.Equal(t, test.status, a.StatusCode, i)
		require.Equal(t, test.coded, a.IsBase64Encoded, i)
		require.LessOrEqual(t, length(out), most, i)
	}

	// Both forms are possible with or without the option.
	out, err := lambdasession.Handler(body(4<<20, "<"))(t.Context(), lambdatest.URL.Event())
	require.NoError(t, err)
	require.LessOrEqual(t, length(out), most)
	out, err = lambdasession.Handler(body(5<<20, "<"))(t.Context(), lambdatest.URL.Event())
	require.NoError(t, err)
	require.Equal(t, 200, out.(events.LambdaFunctionURLResponse).StatusCode, "Lambda accepts it, because it does not escape by itself")
}

// The context ends before the function's time does.
func TestDeadline(t *testing.T) {
	tests := []struct{ left, margin, want time.Duration }{
		{time.Hour, 0, time.Hour - lambdasession.DefaultMargin},
		{time.Hour, time.Minute, 59 * time.Minute},
		{time.Hour, -1, time.Hour},
		{time.Hour, 3 * time.Hour, 30 * time.Minute},
	}
	for _, test := range tests {
		ctx, cancel := context.WithTimeout(t.Context(), test.left)
		deadline, _ := ctx.Deadline()
		var got time.Time
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got, _ = r.Context().Deadline() })
		_, err := lambdasession.Handler(h, lambdasession.Margin(test.margin))(ctx, lambdatest.URL.Event())
		require.NoError(t, err)
		require.WithinDuration(t, deadline.Add(test.want-test.left), got, time.Minute/2)
		cancel()
	}
	var ctx context.Context
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { ctx = r.Context() })
	_, err := lambdasession.Handler(h)(t.Context(), lambdatest.URL.Event())
	require.NoError(t, err)
	require.ErrorIs(t, ctx.Err(), context.Canceled, "like net/http's, it ends with the request")
}

// Some platforms refuse answers with members that are null or missing.
func TestAnswersAreComplete(t *testing.T) {
	for _, front := range []lambdatest.Front{lambdatest.REST, lambdatest.HTTPAPI, lambdatest.URL} {
		out, err := lambdasession.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))(t.Context(), front.Event())
		require.NoError(t, err)
		members, err := json.Marshal(out)
		require.NoError(t, err)
		require.Contains(t, string(members), `"headers":{}`)
		require.NotContains(t, string(members), `"cookies":null`)
	}
}

func TestDefaultServeMux(t *testing.T) {
	http.HandleFunc("/only-here", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "mux") })
	require.Equal(t, "mux", text(t, call(t, lambdatest.URL, nil, get("https://x.example/only-here"))))
}

// Form files of one request must not fill /tmp for later requests.
func TestFormFilesAreRemoved(t *testing.T) {
	body := "--x\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n" + strings.Repeat("x", 2<<20) + "\r\n--x--\r\n"
	r := get("https://x.example/")
	r.Method, r.Body = "POST", io.NopCloser(strings.NewReader(body))
	r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	for _, name := range []string{"TMPDIR", "TMP"} { // the second on Windows
		t.Setenv(name, t.TempDir())
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.NoError(t, r.ParseMultipartForm(1))
		file, _, err := r.FormFile("f")
		require.NoError(t, err)
		require.NoError(t, file.Close())
		require.Len(t, files(t), 1)
	})
	call(t, lambdatest.URL, h, r)
	require.Empty(t, files(t))
}
