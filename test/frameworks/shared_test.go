package frameworks_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/session"
)

// serve runs a net/http handler.
func serve(t *testing.T, h http.Handler) string {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func serveBackend(t *testing.T) string {
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "theme=dark")
		w.Header().Set("Vary", "Accept-Encoding")
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "backend")
	}))
}

func writeFile(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "file.txt")
	require.NoError(t, os.WriteFile(path, []byte("a file"), 0o600))
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	require.NoError(t, os.Chtimes(path, at, at))
	return path
}

// proxy changes the session and then forwards the request.
func (p *program) proxy(w http.ResponseWriter, r *http.Request) {
	do(session.From(r.Context()), "count", "")
	target, err := url.Parse(p.backend)
	if err != nil {
		panic(err)
	}
	proxy := httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	proxy.ServeHTTP(w, r)
}

// socket upgrades the connection, and tries to change the session before and
// after.
func (p *program) socket(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	do(s, "count", "")
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // the upgrade has responded
	}
	defer conn.CloseNow()
	for {
		_, message, err := conn.Read(context.Background())
		if err != nil {
			p.ended <- s.Err()
			return
		}
		if conn.Write(context.Background(), websocket.MessageText, append(message, " "+do(s, "count", "")...)) != nil {
			return
		}
	}
}

// parts writes a stream of two parts. It writes the second after the first has
// arrived.
func (p *program) parts(write func(string)) {
	for range 2 {
		write("data: x\n\n")
		select {
		case <-p.arrived:
		case <-time.After(patience):
		}
	}
}
