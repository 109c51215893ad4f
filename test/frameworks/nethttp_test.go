package frameworks_test

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

func serveNetHTTP(t *testing.T, p *program) string {
	mux := http.NewServeMux()
	routes(p, func(pattern string, h http.HandlerFunc) { mux.HandleFunc(pattern, h) }, (*http.Request).PathValue)
	mux.HandleFunc("GET /proxy/", p.proxy)
	mux.Handle("GET /guarded", middleware.Require(user, middleware.Guard{})(http.HandlerFunc(guarded)))
	mux.Handle("/admin/", p.admin.Handler(http.HandlerFunc(admin))) // nested: a group with its own sessions
	return serve(t, p.sessions.Handler(recovered(mux)))
}

func serveChi(t *testing.T, p *program) string {
	r := chi.NewRouter()
	r.Use(chimiddleware.Recoverer)
	routes(p, func(pattern string, h http.HandlerFunc) { r.HandleFunc(pattern, h) }, chi.URLParam)
	r.Get("/proxy/*", p.proxy)
	r.With(middleware.Require(user, middleware.Guard{})).Get("/guarded", guarded)
	r.Route("/admin", func(r chi.Router) {
		r.Use(p.admin.Handler)
		r.Get("/", admin)
	})
	return serve(t, p.sessions.Handler(r))
}

// routes registers the handlers that net/http and chi share.
func routes(p *program, handle func(pattern string, h http.HandlerFunc), parameter func(*http.Request, string) string) {
	handle("POST /do/{step}/{arg}", func(w http.ResponseWriter, r *http.Request) {
		text := do(session.From(r.Context()), parameter(r, "step"), parameter(r, "arg"))
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer{text})
	})
	handle("GET /moved", func(w http.ResponseWriter, r *http.Request) {
		do(session.From(r.Context()), "count", "")
		http.Redirect(w, r, "/elsewhere", http.StatusSeeOther)
	})
	handle("GET /fails", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "sorry, "+do(session.From(r.Context()), "count", ""), http.StatusConflict)
	})
	handle("GET /panics", func(w http.ResponseWriter, r *http.Request) {
		do(session.From(r.Context()), "count", "")
		panic("the handler has panicked")
	})
	handle("GET /file", func(w http.ResponseWriter, r *http.Request) {
		do(session.From(r.Context()), "count", "")
		http.ServeFile(w, r, p.file)
	})
	handle("GET /stream", func(w http.ResponseWriter, r *http.Request) {
		do(session.From(r.Context()), "count", "")
		w.Header().Set("Content-Type", "text/event-stream")
		p.parts(func(part string) {
			_, _ = io.WriteString(w, part)
			_ = http.NewResponseController(w).Flush()
		})
	})
	handle("GET /socket", p.socket)
}

func guarded(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, do(session.From(r.Context()), "count", ""))
}

func admin(_ http.ResponseWriter, r *http.Request) {
	do(session.From(r.Context()), "login", "root")
}

// recovered recovers panics, as programs without a framework do.
func recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}
