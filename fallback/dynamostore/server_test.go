package dynamostore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback/dynamostore"
)

// dial returns a client for an address. If l is not nil, its connections can
// be cut. The client waits long for answers, so that a slow machine does not
// fail the test.
func dial(t testing.TB, address string, l *line) *dynamodb.Client {
	t.Helper()
	return dialWith(t, address, l, dynamostore.ClientOptions, func(o *dynamodb.Options) {
		o.HTTPClient = o.HTTPClient.(*awshttp.BuildableClient).WithTransportOptions(func(tr *http.Transport) {
			tr.ResponseHeaderTimeout = time.Minute
		})
	})
}

// dialWith returns a client with the given options. An address outside this
// machine belongs to Amazon and gets your credentials.
func dialWith(t testing.TB, address string, l *line, options ...func(*dynamodb.Options)) *dynamodb.Client {
	t.Helper()
	options = append([]func(*dynamodb.Options){func(o *dynamodb.Options) { l.install(t, o, address) }}, options...)
	if !strings.Contains(address, "//127.0.0.1:") {
		cfg, err := config.LoadDefaultConfig(t.Context())
		require.NoError(t, err)
		return dynamodb.NewFromConfig(cfg, options...)
	}
	access := credentials.NewStaticCredentialsProvider("id", "secret", "")
	return dynamodb.New(dynamodb.Options{Region: "eu-central-1", Credentials: access}, options...)
}

// line is the network to a server.
type line struct {
	mu     sync.Mutex
	broken bool
	conns  []net.Conn
}

// install makes a client use the line, which is cut after the test.
func (l *line) install(t testing.TB, o *dynamodb.Options, address string) {
	o.BaseEndpoint = aws.String(address)
	if l == nil {
		l = &line{}
	}
	t.Cleanup(l.cut)
	o.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
		dial := tr.DialContext
		tr.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return l.add(conn)
		}
	})
}

func (l *line) add(conn net.Conn) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken {
		_ = conn.Close()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("the line is cut")}
	}
	l.conns = append(l.conns, conn)
	return conn, nil
}

// cut closes all connections permanently.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = true
	for _, conn := range l.conns {
		_ = conn.Close()
	}
}

// call is a request as received.
type call struct {
	op   string
	body map[string]any
}

// answer replaces the answer of the engine.
type answer struct {
	status int
	body   any
	lost   bool // the engine executes the request, but the connection breaks before the answer
}

func failed(code string) *answer {
	return &answer{status: http.StatusBadRequest, body: map[string]any{
		"__type": "com.amazonaws.dynamodb.v20120810#" + code, "message": "as the test wants it"}}
}

// server is a proxy in front of an engine, or stands alone. It records all
// requests.
type server struct {
	*httptest.Server
	engine string
	answer func(call) *answer // nil means the engine's answer

	mu   sync.Mutex
	seen []call
}

func serve(t testing.TB, engine string, f func(call) *answer) *server {
	s := &server{engine: engine, answer: f}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) calls() []call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]call(nil), s.seen...)
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	c := call{op: r.Header.Get("X-Amz-Target"), body: map[string]any{}}
	_, c.op, _ = strings.Cut(c.op, ".")
	_ = json.Unmarshal(raw, &c.body)
	s.mu.Lock()
	s.seen = append(s.seen, c)
	s.mu.Unlock()
	a := s.answer(c)
	if a == nil || a.lost {
		s.forward(w, r, raw, a != nil)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(a.body)
}

func (s *server) forward(w http.ResponseWriter, r *http.Request, body []byte, lost bool) {
	request, err := http.NewRequestWithContext(context.Background(), r.Method, s.engine, bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	request.Header = r.Header.Clone()
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	if lost {
		panic(http.ErrAbortHandler)
	}
	for name, values := range response.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(response.StatusCode)
	_, _ = w.Write(text)
}
