package middleware_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// recorder records everything that an operator can see: events, log lines at every
// level, explanations and errors.
type recorder struct {
	mu    sync.Mutex
	text  strings.Builder
	kinds map[middleware.EventKind]bool
	log   func(context.Context, middleware.Event)
}

func newRecorder() *recorder {
	e := &recorder{kinds: map[middleware.EventKind]bool{}}
	e.log = middleware.Log(slog.New(slog.NewTextHandler(e, &slog.HandlerOptions{Level: slog.LevelDebug})))
	return e
}

func (e *recorder) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.text.Write(p)
}

func (e *recorder) observe(ctx context.Context, event middleware.Event) {
	fmt.Fprintf(e, "%+v %#v %v\n", event, event, event.Err)
	e.log(ctx, event)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.kinds[event.Kind] = true
}

func (e *recorder) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.text.String()
}

// secretsOf returns the secrets of a ring: its keys, as they are stored and in
// other encodings.
func secretsOf(t *testing.T, ring *keyring.Ring) (all []string) {
	t.Helper()
	text, err := ring.Marshal()
	require.NoError(t, err)
	var file struct{ Keys []struct{ Secret string } }
	require.NoError(t, json.Unmarshal(text, &file))
	for _, k := range file.Keys {
		require.NotEmpty(t, k.Secret)
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(k.Secret, "="))
		require.NoError(t, err)
		all = append(all, k.Secret[:16], hex.EncodeToString(raw)[:20], fmt.Sprintf("%v", raw[:8]), string(raw[:8]))
	}
	return all
}

// rootsOf returns the secrets of the sessions in cookies.
func rootsOf(t *testing.T, ring *keyring.Ring, now time.Time, name, value string) (all []string) {
	t.Helper()
	_, suffix, _ := strings.Cut(name, ".")
	plaintext, _, err := codec.Open(nil, ring, now, codec.Binding{Base: "__Host-session", Suffix: suffix}, value)
	if err != nil {
		return nil
	}
	f, err := state.Decode(plaintext)
	require.NoError(t, err)
	if f.Root == (state.Root{}) {
		return nil // a cell has its session's id and no secret
	}
	for _, secret := range [][]byte{f.Root[:], f.Root.RecordKey()} {
		all = append(all, base64.RawURLEncoding.EncodeToString(secret)[:16], hex.EncodeToString(secret)[:20], fmt.Sprintf("%v", secret[:8]), string(secret[:8]))
	}
	return all
}

// A program runs through its whole life with all possible faults. Nothing that it
// reports contains a value, a cookie, a subject or a key.
func TestNothingThatIsToldIsSecret(t *testing.T) {
	const value, subject = "geheimnis-8472", "subjekt-5591"
	old := newRing(t)
	ring, _, err := old.Rotate(noon, keyring.Policy{ActivateIn: -1, Overlap: 48 * time.Hour})
	require.NoError(t, err)
	keys, e := &replica{ring: old}, newRecorder()
	sites, store := sharing(t, 2, config(func(c *middleware.Config) {
		c.Keys, c.Observer = keys, e.observe
		c.Migration.From, c.Migration.Until = []middleware.Importer{&oldLibrary{path: "/", down: fmt.Errorf("%w: x", middleware.ErrCannotImport),
			sessions: map[string]*middleware.Imported{}}}, noon.Add(time.Hour)
	}))
	a, b := sites[0], sites[1]
	secrets := append(secretsOf(t, old), secretsOf(t, ring)...)
	secrets = append(secrets, value, subject, text(80_000)[:40])
	note := func(s *site) {
		for _, c := range s.jar.All() {
			if strings.HasPrefix(c.Name, "__Host-session.") && len(c.Value) > 60 {
				secrets = append(secrets, c.Value[16:56], c.Value[len(c.Value)-30:])
				secrets = append(secrets, rootsOf(t, ring, a.clock.Now(), c.Name, c.Value)...)
			}
		}
	}
	visit := func(s *site, paths ...string) {
		for _, path := range paths {
			s.get(path)
			note(s)
			fmt.Fprintf(e, "%+v\n", s.explain(s.header()))
		}
	}
	visit(a, "/set?user="+value, "/bind?user="+subject, "/put?name=a&size=80000", "/get?name=a", "/save?name=b", "/put?name=a&size=5", "/login?user="+value)
	keys.set(ring, nil)
	a.clock.advance(time.Minute)
	visit(a, "/set?user="+value+"2", "/put?name=a&size=80000", "/put?name=big&size=2000000", "/late?name="+value)
	stolen := a.stealJar()
	for _, c := range stolen.jar.All() {
		for i, damage := range []string{c.Value[:60] + "AAAA" + c.Value[64:], c.Value[:40], "!" + c.Value, c.Value + c.Value, value} {
			b.bare("/set?user="+value, "__Host-session."+suffixOf(i)+"="+damage)
		}
	}
	store.fail(errors.New("connection refused"))
	visit(a, "/read", "/logout")
	store.fail(nil)
	a.clock.advance(time.Minute)
	stolen.visits(b, "/put?name=c&size=10")
	require.NoError(t, a.sessions.RevokeSubject(t.Context(), subject))
	a.clock.advance(time.Minute)
	stolen.visits(b, "/put?name=c&size=10")
	visit(b, "/set?user="+value)
	b.jar.Put("old", value)
	b.forget()
	b.jar.Put("old", value)
	visit(b, "/read")
	keys.set(nil, nil)
	visit(a, "/set?user="+value)
	fmt.Fprintf(e, "%s%s", a.log, b.log)

	text := e.String()
	require.Greater(t, len(text), 20_000)
	for _, kind := range []middleware.EventKind{middleware.EventLoaded, middleware.EventRefused, middleware.EventCommitted, middleware.EventSpilled,
		middleware.EventReturned, middleware.EventRotated, middleware.EventStore, middleware.EventFailed} {
		require.True(t, e.kinds[kind], "the program has caused no %q event", kind)
	}
	require.Greater(t, len(secrets), 60)
	for _, secret := range secrets {
		require.NotContains(t, text, secret)
	}
}

// The events of store calls, moves and commits have sizes and durations.
func TestEventsTellSizesAndDurations(t *testing.T) {
	s, _ := storedSite(t)
	s.grow("a", 60_000)
	s.grow("a", 5)
	for kind, least := range map[middleware.EventKind]int{middleware.EventSpilled: 45_000, middleware.EventCommitted: 200} {
		all := s.events.of(kind)
		require.NotEmpty(t, all, kind)
		require.Greater(t, all[0].Bytes, least, kind)
		require.NotEmpty(t, all[0].SessionID, kind)
	}
	require.Len(t, s.events.of(middleware.EventReturned), 1)

	// The clock moves each time it is read, so that durations are not zero.
	tick := &clock{now: noon}
	slow, _ := storedSite(t, config(func(c *middleware.Config) {
		c.Clock = func() time.Time { tick.advance(time.Millisecond); return tick.Now() }
	}))
	slow.grow("a", 60_000)
	slow.length("a")
	for _, e := range slow.events.of(middleware.EventStore) {
		require.Positive(t, e.Duration)
		require.Contains(t, []string{"load", "save", "touch"}, e.Detail)
	}
	for _, e := range slow.events.of(middleware.EventLoaded) {
		require.Positive(t, e.Duration)
	}
}

// A client that sends endless garbage causes one log line of each kind and reason
// in ten seconds.
func TestGarbageDoesNotFloodTheLog(t *testing.T) {
	var lines lineCounter
	s, name, value := loggedIn(t, config(func(c *middleware.Config) {
		c.Observer = middleware.Log(slog.New(slog.NewTextHandler(&lines, nil)))
		c.Platform = middleware.Nginx
	}))
	other := newRing(t)
	for i := range 1500 {
		key := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "\x01%04d", i))
		garbage := []string{
			name + "=" + value[:50] + suffixOf(i) + value[60:],
			name + "=" + key[:6] + value[6:],
			name + "=!" + suffixOf(i) + value,
			"__Host-session." + suffixOf(i) + "=B" + value[1:],
			sealedAs(t, other, codec.Binding{Base: "__Host-session", Suffix: suffixOf(i)}, "\xa0"),
		}
		_, x := s.sessions.Begin(t.Context(), middleware.Request{Method: http.MethodPost, Cookies: []string{garbage[i%len(garbage)]}})
		user.Set(session.From(x), suffixOf(i))
		_, _ = x.Commit(t.Context(), middleware.Response{Status: 200})
	}
	reasons := 12 // an upper bound for the kinds and reasons that are warnings here
	require.LessOrEqual(t, lines.n(), reasons*2, "a slow machine may take more than ten seconds")
	require.Positive(t, lines.n())
}

type lineCounter struct {
	mu   sync.Mutex
	seen int
}

func (l *lineCounter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen += strings.Count(string(p), "\n")
	return len(p), nil
}

func (l *lineCounter) n() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen
}
