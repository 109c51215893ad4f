package lambdasession_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware/lambdasession/lambdatest"
)

// arrive calls a handler with an event in which some words are replaced.
func arrive(t *testing.T, front lambdatest.Front, words []string, look http.HandlerFunc) (status int) {
	t.Helper()
	event := string(front.Event())
	for i := 0; i < len(words); i += 2 {
		require.Contains(t, event, words[i])
		event = strings.Replace(event, words[i], words[i+1], 1)
	}
	log, _ := logged()
	return answer(t, front, look, get("https://x.example/"), []byte(event), log).StatusCode
}

// The last element of X-Forwarded-Proto counts, because the proxy next to the
// function has added it. Without the field, a load balancer means plain HTTP,
// and any other front HTTPS.
func TestSchemeOfTheVisitor(t *testing.T) {
	const one, many = `"x-forwarded-proto": "https"`, `"x-forwarded-proto": ["https"]`
	tests := []struct {
		front  lambdatest.Front
		words  []string
		secure bool
	}{
		{lambdatest.ALB, []string{one, `"x-forwarded-proto": "http, https"`}, true},
		{lambdatest.ALB, []string{one, `"x-forwarded-proto": "https, http"`}, false},
		{lambdatest.ALB, []string{one, `"x-forwarded-proto": "https,http"`}, false},
		{lambdatest.ALB, []string{one, `"x-forwarded-proto": "HTTPS"`}, true},
		{lambdatest.ALB, []string{one, `"x-other": "https"`}, false},
		{lambdatest.ALBMulti, []string{many, `"x-forwarded-proto": ["https", "http"]`}, false},
		{lambdatest.ALBMulti, []string{many, `"x-forwarded-proto": ["http", "https"]`}, true},
		{lambdatest.ALBMulti, []string{many, `"x-forwarded-proto": []`}, false},
		{lambdatest.URL, []string{one, `"x-other": "https"`}, true},
		{lambdatest.URL, []string{one, `"x-forwarded-proto": "http"`}, false},
	}
	for _, test := range tests {
		status := arrive(t, test.front, test.words, func(w http.ResponseWriter, r *http.Request) {
			require.Equal(t, test.secure, r.TLS != nil, "%s %v", test.front, test.words)
		})
		require.Equal(t, http.StatusOK, status)
	}
}

// The body has been decoded: the handler does not see the transfer coding, and
// the length is that of the body.
func TestTransferOfTheBody(t *testing.T) {
	const length = `"content-length": "7"`
	for _, front := range []lambdatest.Front{lambdatest.URL, lambdatest.HTTPAPI, lambdatest.ALB} {
		arrive(t, front, []string{length, `"content-length": "7000", "transfer-encoding": "chunked", "trailer": "x-sum"`},
			func(w http.ResponseWriter, r *http.Request) {
				require.Equal(t, "7", r.Header.Get("Content-Length"), "the length of the body")
				require.EqualValues(t, 7, r.ContentLength)
				require.NotContains(t, r.Header, "Transfer-Encoding")
				require.NotContains(t, r.Header, "Trailer")
			})
		arrive(t, front, []string{length, `"transfer-encoding": "chunked"`}, func(w http.ResponseWriter, r *http.Request) {
			require.NotContains(t, r.Header, "Content-Length", "the same as after a chunked transfer")
			require.EqualValues(t, 7, r.ContentLength)
		})
	}
}

// An invalid host could inject text into a log or a link.
func TestHostsThatAreNone(t *testing.T) {
	const host = `"host": "abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-central-1.on.aws"`
	for _, bad := range []string{
		"a b", `a\tb`, `a\u007fb`, `a\u0000b`, "user@a", "a/b", `a\\b`, "a?b", "a#b", "<a>", `a\"b`, "a^b", "a{b}", "a|b", "a`b", "张.example", `a\u0080`,
	} {
		status := arrive(t, lambdatest.URL, []string{host, `"host": "` + bad + `"`}, func(http.ResponseWriter, *http.Request) {
			t.Errorf("the handler was called for the host %s", bad)
		})
		require.Equal(t, http.StatusBadRequest, status, bad)
	}
	for _, good := range []string{"a.example", "a.example:8080", "[::1]:80", "xn--55qx5d.example", "a_b.example", "a!$&'()*+,;=~%b"} {
		status := arrive(t, lambdatest.URL, []string{host, `"host": "` + good + `"`}, func(w http.ResponseWriter, r *http.Request) {
			require.Equal(t, good, r.Host)
		})
		require.Equal(t, http.StatusOK, status, good)
	}
}
