package playground

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

const (
	// maxBody is the limit for a value, checked before the session is read.
	maxBody = 1 << 20
	// maxDelay is the limit of ?delay=, which keeps a connection open.
	maxDelay = 30 * time.Second
)

// call makes a handler of a function that works on a session. It reads the
// body, then the session, and then waits for ?delay=. So the session does not
// contain writes of other requests during the delay, and a client that
// disconnects is noticed.
func (a *app) call(do func(w http.ResponseWriter, r *http.Request, s *session.Session, body string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		delay, ok := delayOf(r)
		if !ok {
			writeError(w, http.StatusBadRequest, "delay must be a duration from 0s to "+maxDelay.String()+", such as 200ms", "bad delay")
			return
		}
		body, ok := readBody(w, r)
		if !ok {
			return
		}
		s := session.From(r.Context())
		if s.Load(r.Context()) != nil {
			return // answerError responds
		}
		if !a.sleep(r, delay) {
			return
		}
		do(w, r, s, body)
		a.traffic.wrote(s.ID(), w.Header().Values("Set-Cookie"))
	}
}

func (a *app) getSession(w http.ResponseWriter, r *http.Request, s *session.Session, _ string) {
	writeJSON(w, http.StatusOK, a.look(r, s))
}

func putValue(w http.ResponseWriter, r *http.Request, s *session.Session, body string) {
	if !utf8.ValidString(body) {
		writeError(w, http.StatusBadRequest, "the value is not UTF-8 text", "bad value")
		return
	}
	key(r).Set(s, body)
	w.WriteHeader(http.StatusNoContent)
}

func getValue(w http.ResponseWriter, r *http.Request, s *session.Session, _ string) {
	value, err := key(r).Lookup(s)
	switch {
	case errors.Is(err, session.ErrNoValue):
		writeError(w, http.StatusNotFound, "the session has no value under this name", reasonOr(s, "no value"))
	case err != nil:
		writeError(w, http.StatusInternalServerError, err.Error(), "no text")
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, value)
	}
}

func deleteValue(w http.ResponseWriter, r *http.Request, s *session.Session, _ string) {
	key(r).Delete(s)
	w.WriteHeader(http.StatusNoContent)
}

func renew(w http.ResponseWriter, _ *http.Request, s *session.Session, _ string) {
	s.Renew()
	w.WriteHeader(http.StatusNoContent)
}

func destroy(w http.ResponseWriter, _ *http.Request, s *session.Session, _ string) {
	s.Destroy()
	w.WriteHeader(http.StatusNoContent)
}

// bind logs the visitor in as the subject in the body.
func bind(w http.ResponseWriter, _ *http.Request, s *session.Session, subject string) {
	if subject == "" || len(subject) > 255 {
		writeError(w, http.StatusBadRequest, "the subject must have 1 to 255 bytes", "bad subject")
		return
	}
	s.Login(subject)
	w.WriteHeader(http.StatusNoContent)
}

// revoke ends all sessions of the subject in the body, and revokeOne ends the
// session with the id in the body. They need no permission, because this is a
// playground.
func (a *app) revoke(do func(context.Context, string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, ok := readBody(w, r)
		if !ok {
			return
		}
		switch err := do(r.Context(), body); {
		case errors.Is(err, session.ErrStoreDown):
			writeError(w, middleware.StatusOf(err), err.Error(), reason.StoreDown.String())
		case err != nil:
			writeError(w, http.StatusBadRequest, err.Error(), "not revoked")
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}
}

// An explanation is the response of GET /api/explain.
type explanation struct {
	Reason  reason.Reason `json:"reason"` // "" if there is a session
	ID      string        `json:"id"`
	Refused []refused     `json:"refused"` // cookies and records that were refused
	Error   string        `json:"error"`   // why the session could not be loaded, or ""
}

type refused struct {
	Reason reason.Reason `json:"reason"`
	Key    string        `json:"key"` // id of the key, if the key is the reason
}

func (a *app) explain(w http.ResponseWriter, r *http.Request) {
	e := a.sessions.Explain(r)
	out := explanation{Reason: e.Reason, ID: e.SessionID, Refused: []refused{}}
	for _, f := range e.Refused {
		out.Refused = append(out.Refused, refused{f.Reason, f.KeyID})
	}
	if e.Err != nil {
		out.Error = e.Err.Error()
	}
	w.Header().Set("Cache-Control", "private, no-store")
	writeJSON(w, http.StatusOK, out)
}

// key returns the session key in the path.
func key(r *http.Request) session.Key[string] { return session.Key[string](r.PathValue("name")) }

// delayOf returns the value of ?delay=, or 0 without it.
func delayOf(r *http.Request) (time.Duration, bool) {
	text := r.URL.Query().Get("delay")
	if text == "" {
		return 0, true
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d >= 0 && d <= maxDelay
}

// sleep waits, and reports whether the client is still connected.
func sleep(r *http.Request, d time.Duration) bool {
	if d == 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

func readBody(w http.ResponseWriter, r *http.Request) (string, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		writeError(w, http.StatusRequestEntityTooLarge, "the value has more than 1 MiB", reason.TooLarge.String())
	case err != nil:
		writeError(w, http.StatusBadRequest, "the value could not be read", "bad value")
	}
	return string(body), err == nil
}

// tooLarge is the response to a write that does not fit.
type tooLarge struct {
	Error        string   `json:"error"`
	Reason       string   `json:"reason"`
	Platform     string   `json:"platform"`      // the platform of the limit, "" for the default
	Limit        string   `json:"limit"`         // name of the limit
	Max          int      `json:"max"`           // value of the limit
	Need         int      `json:"need"`          // what the write needs of it, including other cookies
	OthersBytes  int      `json:"others_bytes"`  // bytes of other cookies in the Cookie header
	SessionBytes int      `json:"session_bytes"` // before sealing
	Largest      []string `json:"largest"`       // the largest values: name (bytes)
}

// answerError responds if a session could not be loaded or written. Nothing of
// the handler's response has been sent. The library's errors contain no values.
func answerError(w http.ResponseWriter, r *http.Request, err error) {
	slog.Error("playground: cannot load or save the session", "method", r.Method, "path", r.URL.Path, "error", err)
	var large *session.TooLargeError
	switch {
	case errors.As(err, &large):
		answer := tooLarge{
			Error: err.Error(), Reason: reason.TooLarge.String(), Platform: large.Platform, Limit: string(large.Limit),
			Max: large.Max, Need: large.Need, OthersBytes: large.Others, SessionBytes: large.Session, Largest: []string{},
		}
		for _, e := range large.Largest {
			answer.Largest = append(answer.Largest, fmt.Sprintf("%s (%d)", e.Name, e.Bytes))
		}
		writeJSON(w, http.StatusRequestEntityTooLarge, answer)
	default:
		writeError(w, middleware.StatusOf(err), err.Error(), cmp.Or(reason.Of(err).String(), "failed"))
	}
}

// reasonOr returns why the visitor was not recognised, or other if the visitor
// was.
func reasonOr(s *session.Session, other string) string {
	if why := s.Reason(); why != reason.None {
		return why.String()
	}
	return other
}

func wrongMethod(allow string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allow)
		writeError(w, http.StatusMethodNotAllowed, "this address accepts only "+allow, "wrong method")
	}
}

func notFound(w http.ResponseWriter, r *http.Request) {
	writeError(w, http.StatusNotFound, "unknown API call", "not found")
}

func writeError(w http.ResponseWriter, status int, text, why string) {
	writeJSON(w, status, map[string]string{"error": text, "reason": why})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}
