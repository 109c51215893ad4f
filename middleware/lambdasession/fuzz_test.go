package lambdasession_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware/lambdasession"
	"github.com/carryon-go/carryon/middleware/lambdasession/lambdatest"
)

// FuzzEvents checks that every event gets an answer or an error, and that a
// handler only sees requests that net/http's server would accept.
func FuzzEvents(f *testing.F) {
	for _, front := range lambdatest.Fronts() {
		f.Add(front.Event())
	}
	f.Add([]byte(`{"version":"2.0","requestContext":{"http":{"method":"GET"}},"rawPath":"//evil.example/%zz","rawQueryString":"a b#c"}`))
	f.Add([]byte(`{"httpMethod":"GET","path":"?#","headers":{"Host":"a","host":"b"},"requestContext":{"elb":{}}}`))
	f.Fuzz(func(t *testing.T, event []byte) {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			require.True(t, strings.HasPrefix(r.URL.Path, "/"))
			require.Equal(t, r.RequestURI, r.URL.RequestURI())
			require.NotContains(t, r.RequestURI, " ")
			require.LessOrEqual(t, len(r.Header["Cookie"]), 1)
			require.NotContains(t, r.Header, "Host")
			if r.RemoteAddr != "" {
				_, _, err := net.SplitHostPort(r.RemoteAddr)
				require.NoError(t, err)
			}
			for _, values := range r.Header {
				for _, v := range values {
					require.NotContains(t, v, "\n")
				}
			}
			n, err := io.Copy(w, r.Body)
			require.NoError(t, err)
			require.Equal(t, r.ContentLength, n)
			require.LessOrEqual(t, n, int64(3*len(event)))
		})
		out, err := lambdasession.Handler(h, lambdasession.Logger(slog.New(slog.DiscardHandler)))(t.Context(), event)
		if err != nil {
			require.Nil(t, out)
			return
		}
		_, err = json.Marshal(out)
		require.NoError(t, err)
	})
}
