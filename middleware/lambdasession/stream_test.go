package lambdasession_test

import (
	"errors"
	"io"
	"net/http"
	"runtime"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware/lambdasession"
	"github.com/carryon-go/carryon/middleware/lambdasession/lambdatest"
)

// open starts a streamed answer.
func open(t *testing.T, h http.HandlerFunc, list ...lambdasession.Option) *events.LambdaFunctionURLStreamingResponse {
	t.Helper()
	out, err := lambdasession.Handler(h, append(list, streams)...)(t.Context(), lambdatest.URL.Event())
	require.NoError(t, err)
	return out.(*events.LambdaFunctionURLStreamingResponse)
}

// When Lambda stops reading, the handler's writes fail and its context ends.
func TestStreamClosed(t *testing.T) {
	failed := make(chan error)
	r := open(t, func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write([]byte("more")); err != nil {
				<-r.Context().Done()
				failed <- err
				return
			}
		}
	})
	_, err := r.Read(make([]byte, 10))
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.ErrorIs(t, <-failed, io.ErrClosedPipe)
}

func TestStreamCut(t *testing.T) {
	log, lines := logged()
	r := open(t, func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		panic(errors.New("secret"))
	}, log)
	_, err := io.ReadAll(r)
	require.ErrorContains(t, err, "after its answer had begun")
	require.NotContains(t, err.Error()+lines.String(), "secret")
}

// A handler may call runtime.Goexit, as tests do; the answer must still end.
func TestStreamGoexit(t *testing.T) {
	r := open(t, func(http.ResponseWriter, *http.Request) { runtime.Goexit() })
	require.Equal(t, 502, r.StatusCode)
	_, err := io.ReadAll(r)
	require.NoError(t, err)
}

// Only shapes that support it stream.
func TestStreamOnlyWhereItCan(t *testing.T) {
	out, err := lambdasession.Handler(http.NotFoundHandler(), lambdasession.Stream(lambdasession.ALB, lambdasession.HTTPAPI))(t.Context(), lambdatest.ALB.Event())
	require.NoError(t, err)
	require.IsType(t, events.ALBTargetGroupResponse{}, out)
	for _, front := range []lambdatest.Front{lambdatest.HTTPAPI, lambdatest.HTTPAPI1, lambdatest.ALBMulti} {
		require.Equal(t, 404, call(t, front, http.NotFoundHandler(), get("https://x.example/"), streams).StatusCode, "%s", front)
	}
}
