package http_test

import (
	"bufio"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// proxySite sets the room in the session, and then forwards the request to the
// backend.
func proxySite(t *testing.T, backend http.HandlerFunc) *site {
	server := httptest.NewServer(backend)
	t.Cleanup(server.Close)
	target, err := url.Parse(server.URL)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorLog: log.New(io.Discard, "", 0),
	}
	return newSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		room.Set(session.From(r.Context()), "lobby")
		proxy.ServeHTTP(w, r)
	}))
}

func TestProxiedResponseCarriesTheCookie(t *testing.T) {
	s := proxySite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "theme=dark")
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header().Set("Vary", "Accept-Encoding")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "backend")
	})
	s.get("/login")
	response, body := s.get("/")
	require.Equal(t, http.StatusTeapot, response.StatusCode)
	require.Equal(t, "backend", body)
	require.Equal(t, "theme=dark", response.Header["Set-Cookie"][0])
	require.Equal(t, []string{"private, no-store"}, response.Header["Cache-Control"])
	require.Equal(t, []string{"Accept-Encoding", "Cookie"}, response.Header["Vary"])
	require.Equal(t, 1, s.count(middleware.EventUncached))
	require.Equal(t, "ada lobby", s.read())
	require.Contains(t, s.jar.Names(), "theme")
}

func TestProxiedHintsAndTrailers(t *testing.T) {
	s := proxySite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "backend")
		w.Header().Set("X-Sum", "42")
	})
	var hints []string
	trace := httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		hints = append(hints, h.Get("Link"))
		return nil
	}}
	r, err := http.NewRequest(http.MethodGet, s.URL, nil)
	require.NoError(t, err)
	response, err := s.client.Do(r.WithContext(httptrace.WithClientTrace(r.Context(), &trace)))
	require.NoError(t, err)
	_, err = io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, []string{"</style.css>; rel=preload"}, hints)
	require.Equal(t, "42", response.Trailer.Get("X-Sum"))
	require.Equal(t, " lobby", s.read())
}

func TestProxiedStreamIsFlushed(t *testing.T) {
	arrived := make(chan bool)
	s := proxySite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 2 {
			_, _ = io.WriteString(w, "data: x\n\n")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-arrived:
			case <-time.After(patience):
			}
		}
	})
	response, err := s.client.Get(s.URL)
	require.NoError(t, err)
	defer response.Body.Close()
	require.NotEmpty(t, response.Header["Set-Cookie"])
	lines := bufio.NewReader(response.Body)
	for range 2 {
		for _, want := range []string{"data: x\n", "\n"} {
			line, err := lines.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, want, line)
		}
		arrived <- true
	}
}

// The proxy hijacks the connection and writes the 101 with the header map,
// which contains the cookie.
func TestProxiedUpgradeCarriesTheCookie(t *testing.T) {
	s := proxySite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		line, _ := buf.ReadString('\n')
		_, _ = io.WriteString(conn, "echo "+line)
	})
	r, err := http.NewRequest(http.MethodGet, s.URL, nil)
	require.NoError(t, err)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "echo")
	response, err := s.client.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	require.Len(t, response.Header["Set-Cookie"], 1)
	stream := response.Body.(io.ReadWriter)
	_, err = io.WriteString(stream, "hello\n")
	require.NoError(t, err)
	answer, err := io.ReadAll(stream)
	require.NoError(t, err)
	require.Equal(t, "echo hello\n", string(answer))
	require.Equal(t, 1, s.count(middleware.EventHijacked))
	require.Equal(t, " lobby", s.read())
}

// If the backend closes the connection during a response, the proxy panics with
// http.ErrAbortHandler. The visitor must see a broken response, not a complete
// one.
func TestProxiedResponseThatBreaksOff(t *testing.T) {
	s := proxySite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	response, err := s.client.Get(s.URL)
	if err == nil { // the header was sent before
		_, err = io.ReadAll(response.Body)
		require.NoError(t, response.Body.Close())
	}
	require.Error(t, err)
}

// If the backend is unreachable, the proxy responds with 502, and the session
// is kept.
func TestProxyWithoutBackend(t *testing.T) {
	s := proxySite(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	s.get("/login")
	response, _ := s.get("/")
	require.Equal(t, http.StatusBadGateway, response.StatusCode)
	require.Equal(t, "ada lobby", s.read())
}
