package frameworks_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// greet is an RPC of Connect that counts its calls in the session.
func greet(ctx context.Context, name *wrapperspb.StringValue) (string, error) {
	s := session.From(ctx)
	if name.GetValue() == "" {
		return "", connect.NewError(connect.CodeUnauthenticated, nil)
	}
	user.Set(s, name.GetValue())
	return "Hello " + name.GetValue(), nil
}

// withSessions serves a handler with sessions, for a visitor with a jar.
func withSessions(t *testing.T, h http.Handler) (url string, client *http.Client, sessions *middleware.Sessions) {
	t.Helper()
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	sessions, err = middleware.New(middleware.Config{Keys: ring})
	require.NoError(t, err)
	server := httptest.NewServer(sessions.Handler(h))
	t.Cleanup(server.Close)
	return server.URL, &http.Client{Jar: &sessiontest.Jar{URL: server.URL}}, sessions
}

func TestConnect(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/greet", connect.NewUnaryHandler("/greet",
		func(ctx context.Context, r *connect.Request[wrapperspb.StringValue]) (*connect.Response[wrapperspb.StringValue], error) {
			text, err := greet(ctx, r.Msg)
			return connect.NewResponse(wrapperspb.String(text)), err
		}))
	mux.Handle("/who", connect.NewUnaryHandler("/who",
		func(ctx context.Context, _ *connect.Request[emptypb.Empty]) (*connect.Response[wrapperspb.StringValue], error) {
			name, ok := user.Get(session.From(ctx))
			if !ok {
				return nil, connect.NewError(connect.CodeUnauthenticated, nil)
			}
			return connect.NewResponse(wrapperspb.String(name)), nil
		}))
	url, client, _ := withSessions(t, mux)
	who := connect.NewClient[emptypb.Empty, wrapperspb.StringValue](client, url+"/who")
	_, err := who.CallUnary(t.Context(), connect.NewRequest(&emptypb.Empty{}))
	require.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err))
	_, err = connect.NewClient[wrapperspb.StringValue, wrapperspb.StringValue](client, url+"/greet").
		CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("ada")))
	require.NoError(t, err)
	got, err := who.CallUnary(t.Context(), connect.NewRequest(&emptypb.Empty{}))
	require.NoError(t, err)
	require.Equal(t, "ada", got.Msg.GetValue())
}

// whoOutput is an answer of Huma.
type whoOutput struct {
	Body struct {
		Name string `json:"name"`
	}
}

func TestHuma(t *testing.T) {
	mux := http.NewServeMux()
	api := humago.New(mux, huma.DefaultConfig("test", "1"))
	huma.Post(api, "/login/{name}", func(ctx context.Context, in *struct {
		Name string `path:"name"`
	}) (*struct{}, error) {
		s := session.From(ctx)
		s.Login(in.Name)
		user.Set(s, in.Name)
		return nil, nil
	})
	huma.Get(api, "/who", func(ctx context.Context, _ *struct{}) (*whoOutput, error) {
		name, ok := user.Get(session.From(ctx))
		if !ok {
			return nil, huma.Error401Unauthorized("login required")
		}
		out := &whoOutput{}
		out.Body.Name = name
		return out, nil
	})
	url, client, _ := withSessions(t, mux)
	status := func(method, path string) int {
		r, err := http.NewRequest(method, url+path, nil)
		require.NoError(t, err)
		response, err := client.Do(r)
		require.NoError(t, err)
		response.Body.Close()
		return response.StatusCode
	}
	require.Equal(t, 401, status(http.MethodGet, "/who"))
	require.Equal(t, 204, status(http.MethodPost, "/login/ada"))
	require.Equal(t, 200, status(http.MethodGet, "/who"))
}

// members is a guard for pages with htmx, which follows a redirect inside of the page.
func members(next http.Handler) http.Handler {
	guard := middleware.Guard{Login: "/login"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, ok := user.Get(session.From(r.Context()))
		switch {
		case ok:
			next.ServeHTTP(w, r)
		case r.Header.Get("HX-Request") == "true":
			w.Header().Set("HX-Redirect", "/login") // htmx leaves the page
			w.WriteHeader(http.StatusUnauthorized)
		default:
			guard.Refuse(w, r)
		}
	})
}

func TestHTMX(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("GET /inbox", members(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })))
	mux.HandleFunc("POST /login", func(_ http.ResponseWriter, r *http.Request) { user.Set(session.From(r.Context()), "ada") })
	url, client, _ := withSessions(t, mux)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	send := func(method, path, header, value string) *http.Response {
		r, err := http.NewRequest(method, url+path, nil)
		require.NoError(t, err)
		r.Header.Set(header, value)
		response, err := client.Do(r)
		require.NoError(t, err)
		response.Body.Close()
		return response
	}
	part := send(http.MethodGet, "/inbox", "HX-Request", "true")
	require.Equal(t, 401, part.StatusCode)
	require.Equal(t, "/login", part.Header.Get("HX-Redirect"))
	page := send(http.MethodGet, "/inbox", "Accept", "text/html")
	require.Equal(t, "/login?next=%2Finbox", page.Header.Get("Location"))
	send(http.MethodPost, "/login", "HX-Request", "true")
	require.Equal(t, 200, send(http.MethodGet, "/inbox", "HX-Request", "true").StatusCode)
}
