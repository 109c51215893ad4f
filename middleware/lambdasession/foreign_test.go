package lambdasession_test

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware/lambdasession"
)

// All HTTP events of aws-lambda-go's own tests reach the handler.
func TestEventsOfAWS(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-lambda-go").Output()
	require.NoError(t, err)
	dir := strings.TrimSpace(string(out))
	tests := map[string]string{
		"events/testdata/alb-lambda-target-request-headers-only.json":                         "GET /?key=hello",
		"events/testdata/alb-lambda-target-request-multivalue-headers.json":                   "GET /?key=hello",
		"events/testdata/apigw-request.json":                                                  "POST /hello/world?name=me",
		"events/testdata/apigw-restapi-openapi-request.json":                                  "",
		"events/testdata/apigw-v2-request-iam.json":                                           "GET /my/path?parameter1=value1&parameter1=value2&parameter2=value",
		"events/testdata/apigw-v2-request-jwt-authorizer.json":                                "",
		"events/testdata/apigw-v2-request-lambda-authorizer.json":                             "",
		"events/testdata/apigw-v2-request-no-authorizer.json":                                 "GET /",
		"events/testdata/lambda-urls-request.json":                                            "",
		"lambdaurl/testdata/function-url-domain-only-get-request.json":                        "GET /",
		"lambdaurl/testdata/function-url-request-with-headers-and-cookies-and-text-body.json": "POST /hello?hello=world&foo=bar",
		"lambdaurl/testdata/function-url-domain-only-request-with-base64-encoded-body.json":   "",
	}
	for name, want := range tests {
		t.Run(filepath.Base(name), func(t *testing.T) {
			event, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			event = bytes.ReplaceAll(event, []byte("<url-id>"), []byte("url-id")) // a placeholder, not a host
			got := ""
			h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Method + " " + r.RequestURI })
			_, err = lambdasession.Handler(h)(t.Context(), event)
			require.NoError(t, err)
			require.NotEmpty(t, got, "the handler is called")
			if want != "" {
				require.Equal(t, want, got)
			}
		})
	}
	for _, name := range []string{"apigw-websocket-request.json", "apigw-websocket-request-send-message.json", "s3.json"} {
		event, err := os.ReadFile(filepath.Join(dir, "events/testdata", name))
		if os.IsNotExist(err) {
			continue
		}
		require.NoError(t, err)
		_, err = lambdasession.Handler(http.NotFoundHandler())(t.Context(), event)
		require.ErrorIs(t, err, lambdasession.ErrUnknownEvent, name)
	}
}
