package providers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Proxy stands between a program and its provider. It counts, and it fails where a
// test wants it to.
type Proxy struct {
	URL     string // the issuer
	t       testing.TB
	token   string // path of the token endpoint
	backend func() string
	forward http.Handler

	mu        sync.Mutex
	server    *http.Server
	faults    map[string]Fault
	calls     map[string]int
	refreshes int
	used      map[string]bool // the refresh tokens that have passed
	reused    int
}

// Fault answers a request in place of the proxy. forward passes it on to the provider.
type Fault func(w http.ResponseWriter, r *http.Request, forward http.Handler)

// newProxy returns a proxy that listens, in front of the provider at the address that
// backend returns.
func newProxy(t testing.TB, token string, backend func() string) *Proxy {
	p := &Proxy{t: t, token: token, backend: backend, faults: map[string]Fault{}, calls: map[string]int{}, used: map[string]bool{}}
	p.forward = &httputil.ReverseProxy{Rewrite: p.rewrite, ErrorHandler: cut, ErrorLog: log.New(io.Discard, "", 0),
		Transport: &http.Transport{DisableKeepAlives: true}} // a killed provider must not leave connections
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	p.URL = "http://localhost:" + port // another site than the program at 127.0.0.1
	p.serve(listener)
	t.Cleanup(p.Down)
	return p
}

func (p *Proxy) serve(l net.Listener) {
	p.server = &http.Server{Handler: p, ErrorLog: log.New(io.Discard, "", 0)}
	go p.server.Serve(l)
}

// Down refuses all connections, and cuts those that there are, until Up is called.
func (p *Proxy) Down() {
	p.mu.Lock()
	server := p.server
	p.mu.Unlock()
	_ = server.Close()
}

// Up accepts connections again.
func (p *Proxy) Up() {
	p.t.Helper()
	u, err := url.Parse(p.URL)
	require.NoError(p.t, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		l, err := net.Listen("tcp", "127.0.0.1:"+u.Port())
		if err == nil {
			p.serve(l)
			return
		}
		require.Less(p.t, time.Since(began), patience, "the port is in use: %v", err)
	}
}

// Break makes a path fail, until Repair is called.
func (p *Proxy) Break(path string, f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults[path] = f
}

// BreakToken makes the token endpoint fail.
func (p *Proxy) BreakToken(f Fault) { p.Break(p.token, f) }

// Repair ends all faults.
func (p *Proxy) Repair() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.faults)
}

// Calls returns how many requests a path has received.
func (p *Proxy) Calls(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[path]
}

// Refreshes returns how many refreshes the token endpoint has received, and how many of
// them had a refresh token that had come before.
func (p *Proxy) Refreshes() (all, reused int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refreshes, p.reused
}

// ServeHTTP counts a request, and passes it on or fails.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == p.token && r.Method == http.MethodPost {
		p.countRefresh(r)
	}
	p.mu.Lock()
	p.calls[r.URL.Path]++
	fault := p.faults[r.URL.Path]
	p.mu.Unlock()
	if fault != nil {
		fault(w, r, p.forward)
		return
	}
	p.forward.ServeHTTP(w, r)
}

func (p *Proxy) countRefresh(r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, err := url.ParseQuery(string(body))
	token := form.Get("refresh_token")
	if err != nil || token == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refreshes++
	if p.used[token] {
		p.reused++
	}
	p.used[token] = true
}

func (p *Proxy) rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme, r.Out.URL.Host = "http", p.backend()
	r.Out.Host = r.In.Host // the provider makes its addresses of it
	r.SetXForwarded()
}

// cut ends the connection without an answer.
func cut(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }

// Status answers with a status, without asking the provider.
func Status(code int) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(code) }
}

// Lose lets the provider do what it is asked, and loses its answer.
func Lose(_ http.ResponseWriter, r *http.Request, forward http.Handler) {
	forward.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
	panic(http.ErrAbortHandler)
}

// Gate is a [Fault] that holds requests up until it is opened.
type Gate struct {
	arrived chan bool
	open    chan struct{}
	once    sync.Once
}

// NewGate returns a gate that is closed.
func NewGate() *Gate { return &Gate{arrived: make(chan bool, 1000), open: make(chan struct{})} }

// Hold is the gate's Fault. A request whose client gives up is not passed on.
func (g *Gate) Hold(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	g.arrived <- true
	select {
	case <-g.open:
		forward.ServeHTTP(w, r)
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	}
}

// Open lets the requests pass, now and later.
func (g *Gate) Open() { g.once.Do(func() { close(g.open) }) }

// Wait waits until the next request is at the gate.
func (g *Gate) Wait(t testing.TB) {
	t.Helper()
	select {
	case <-g.arrived:
	case <-time.After(patience):
		t.Fatal("no request has come to the gate")
	}
}

// Rewrite changes the body of each answer that has the status 200.
func Rewrite(change func(body []byte) ([]byte, error)) Fault {
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		rec := httptest.NewRecorder()
		forward.ServeHTTP(rec, r)
		body := rec.Body.Bytes()
		if rec.Code == http.StatusOK {
			var err error
			if body, err = change(body); err != nil {
				panic(errors.Join(http.ErrAbortHandler, err))
			}
		}
		w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
		w.WriteHeader(rec.Code)
		_, _ = w.Write(body)
	}
}
