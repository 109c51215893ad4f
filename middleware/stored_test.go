package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// watched is a store that counts its calls, can fail, and can be interrupted.
type watched struct {
	fallback.Store
	mu     sync.Mutex
	calls  []string
	ids    map[string]bool
	down   error
	before func(call string) // outside of the lock
}

func (w *watched) note(call, id string) error {
	w.mu.Lock()
	before := w.before
	w.calls = append(w.calls, call)
	w.ids[id] = true
	down := w.down
	w.mu.Unlock()
	if before != nil {
		before(call)
	}
	return down
}

func (w *watched) Load(ctx context.Context, id string) (fallback.Record, error) {
	if err := w.note("load", id); err != nil {
		return fallback.Record{}, err
	}
	return w.Store.Load(ctx, id)
}

func (w *watched) Save(ctx context.Context, id string, old fallback.Revision, new fallback.Record) error {
	if err := w.note("save", id); err != nil {
		return err
	}
	return w.Store.Save(ctx, id, old, new)
}

func (w *watched) Touch(ctx context.Context, id string, expires time.Time) error {
	if err := w.note("touch", id); err != nil {
		return err
	}
	return w.Store.Touch(ctx, id, expires)
}

// since lists the calls since it was last asked.
func (w *watched) since() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := w.calls
	w.calls = nil
	return calls
}

func (w *watched) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = err
}

func (w *watched) interrupt(f func(call string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before = f
}

// first calls f at the first call, also when f leads back to it.
func first(f func()) func() {
	var done atomic.Bool
	return func() {
		if done.CompareAndSwap(false, true) {
			f()
		}
	}
}

// the is the one record that the store was ever asked for.
func (w *watched) the(t *testing.T) string {
	t.Helper()
	require.Len(t, w.ids, 1)
	for id := range w.ids {
		return id
	}
	return ""
}

// storedSite is a site with a store: /put?name=&size= sets a value of so many
// bytes, /get?name= tells its length, /names lists what there is.
func storedSite(t *testing.T, options ...option) (*site, *watched) {
	t.Helper()
	w := &watched{ids: map[string]bool{}}
	s := newSite(t, nil, append([]option{asProgram(storedApp), func(s *setup) {
		memory, err := fallback.NewMemory(fallback.MemoryConfig{Clock: s.Clock})
		require.NoError(t, err)
		w.Store = memory
		s.Fallback, s.WithoutRevocation = w, true // revoke_test.go has its calls
	}}, options...)...)
	return s, w
}

func storedApp(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	key := session.Key[string](r.FormValue("name"))
	switch r.URL.Path {
	case "/put":
		var size int
		_, _ = fmt.Sscan(r.FormValue("size"), &size)
		key.Set(s, text(size))
	case "/get":
		value, _ := key.Get(s)
		_, _ = fmt.Fprint(w, len(value))
	case "/drop":
		key.Delete(s)
	case "/names":
		_, _ = io.WriteString(w, strings.Join(s.Names(), " "))
	case "/save":
		key.Set(s, "saved")
		if err := s.Save(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
		_, _ = fmt.Fprint(w, s.IsNew())
	case "/late":
		_, _ = io.WriteString(w, "header")
		key.Set(s, "late")
	default:
		app(w, r)
	}
}

// text is so many bytes that compress badly.
func text(size int) string {
	var b strings.Builder
	for i := uint32(1); b.Len() < size; i++ {
		fmt.Fprintf(&b, "%08x", i*2654435761)
	}
	return b.String()[:size]
}

func (s *site) grow(name string, size int) answer {
	s.t.Helper()
	return s.get(fmt.Sprintf("/put?name=%s&size=%d", name, size))
}

// header is the Cookie header of the visitor's browser.
func (s *site) header() string { return s.jar.Header("") }

// forget empties the browser.
func (s *site) forget() {
	for _, name := range s.jar.Names() {
		s.jar.Evict(name)
	}
}

// receive hands the browser a response that was asked for without it.
func (s *site) receive(a answer) {
	for _, line := range a.Header.Values("Set-Cookie") {
		require.True(s.t, s.jar.Set(line))
	}
}

func (s *site) length(name string) string {
	s.t.Helper()
	return s.get("/get?name=" + name).body
}

func TestLosingTheStoreLosesNoSmallSession(t *testing.T) {
	s, store := storedSite(t)
	s.grow("small", 100)
	store.fail(errors.New("down"))
	require.Equal(t, "100", s.length("small"))
	require.Equal(t, 200, s.grow("small", 200).StatusCode)
	require.Equal(t, http.StatusServiceUnavailable, s.grow("large", 50_000).StatusCode, "it cannot grow now")
	require.Equal(t, "200", s.length("small"), "and has lost nothing by trying")
	store.fail(nil)
	require.Equal(t, 200, s.grow("large", 50_000).StatusCode)
	require.Equal(t, "200", s.length("small"))
}

func TestStoreDownIsNotLoggedOut(t *testing.T) {
	s, store := storedSite(t)
	s.grow("large", 50_000)
	store.fail(errors.New("down"))
	got := s.get("/get?name=large")
	require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
	require.NotContains(t, got.body, "down")
	require.Equal(t, reason.StoreDown, s.events.of(middleware.EventFailed)[0].Reason)
	require.Equal(t, 503, s.grow("other", 10).StatusCode)
	require.Len(t, s.jar.All(), 1, "the cookie stays")
	store.fail(nil)
	require.Equal(t, "50000", s.length("large"))
}

func TestStoreDownMayBeAbsent(t *testing.T) {
	s, store := storedSite(t, config(func(c *middleware.Config) { c.AbsentIfStoreDown = true }))
	s.get("/login?user=zhang")
	s.grow("large", 50_000)
	store.fail(errors.New("down"))
	got := s.get("/read")
	require.Equal(t, http.StatusNotFound, got.StatusCode)
	require.Equal(t, reason.StoreDown.String(), got.Header.Get("X-Reason"))
	require.Equal(t, 503, s.grow("other", 10).StatusCode, "nothing may be written beside what cannot be read")
	require.Len(t, s.jar.All(), 1)
	store.fail(nil)
	require.Equal(t, "zhang", s.who())
}

func TestLogoutNeedsNoStore(t *testing.T) {
	s, store := storedSite(t)
	s.grow("large", 50_000)
	stolen := s.header()
	store.fail(errors.New("down"))
	require.Equal(t, 200, s.get("/logout").StatusCode)
	require.Equal(t, "0", s.length("large"), "this browser is logged out")
	store.fail(nil)
	require.Equal(t, "50000", s.bare("/get?name=large", stolen).body, "the store could not be told")
}

func TestLogoutEndsStolenCopies(t *testing.T) {
	for _, path := range []string{"/logout", "/login?user=li"} {
		s, store := storedSite(t)
		s.grow("large", 50_000)
		stolen := s.header()
		require.Equal(t, 200, s.get(path).StatusCode)
		require.Contains(t, store.since(), "save")
		require.Equal(t, "0", s.bare("/get?name=large", stolen).body)
		got := s.bare("/read", stolen)
		require.Equal(t, reason.LoggedOut.String(), got.Header.Get("X-Reason"))
		require.Equal(t, 200, s.bare("/put?name=x&size=9", stolen).StatusCode)
	}
}

// The marker is put where the row was seen to stand, without asking again.
func TestRoundTripsOfEndings(t *testing.T) {
	for path, want := range map[string][]string{
		"/logout":        {"load", "save"},
		"/login?user=li": {"load", "save", "save"},
	} {
		s, store := storedSite(t)
		s.grow("large", 50_000)
		store.since()
		require.Equal(t, 200, s.get(path).StatusCode)
		require.Equal(t, want, store.since(), path)
	}
}

func TestRecordMissing(t *testing.T) {
	s, store := storedSite(t)
	s.grow("large", 50_000)
	require.NoError(t, store.Delete(t.Context(), store.the(t)))
	got := s.get("/read")
	require.Equal(t, reason.RecordMissing.String(), got.Header.Get("X-Reason"))
	require.Len(t, s.jar.All(), 1, "a read expires nothing")
	require.Equal(t, 200, s.grow("small", 10).StatusCode, "the visitor begins anew")
	require.Equal(t, "10", s.length("small"))
	require.Equal(t, "0", s.length("large"))
	require.Len(t, s.jar.All(), 1)
}

// rollBack stores a session twice, and puts its record back to the first time.
func rollBack(s *site, store *watched) {
	s.t.Helper()
	s.grow("large", 50_000)
	id := store.the(s.t)
	old, err := store.Store.Load(s.t.Context(), id)
	require.NoError(s.t, err)
	s.grow("large", 60_000)
	require.NoError(s.t, store.Delete(s.t.Context(), id))
	require.NoError(s.t, store.Store.Save(s.t.Context(), id, fallback.Revision{}, old))
}

func TestRollbackHasAName(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		s, store := storedSite(t, config(func(c *middleware.Config) { c.RefuseRolledBack = refuse }))
		rollBack(s, store)
		got := s.get("/get?name=large")
		refused := s.events.of(middleware.EventRefused)
		require.Len(t, refused, 1)
		require.Equal(t, reason.StoreRolledBack, refused[0].Reason)
		if refuse {
			require.Equal(t, 503, got.StatusCode)
			continue
		}
		require.Equal(t, "50000", got.body)
		s.grow("large", 70_000)
		s.events.forget()
		require.Equal(t, "70000", s.length("large"))
		require.Empty(t, s.events.of(middleware.EventRefused), "a write goes on above what the cookie has seen")
	}
}

// Who can write to the database can destroy, put back and swap: never forge.
func TestForeignRecordsDoNotOpen(t *testing.T) {
	s, store := storedSite(t)
	s.grow("large", 50_000)
	id := store.the(t)
	mine, err := store.Store.Load(t.Context(), id)
	require.NoError(t, err)
	s.forget()
	s.grow("large", 70_000)
	for other := range store.ids {
		if other != id {
			theirs, err := store.Store.Load(t.Context(), other)
			require.NoError(t, err)
			mine.Revision = fallback.Revision{Number: theirs.Revision.Number + 1, Tag: mine.Revision.Tag}
			require.NoError(t, store.Store.Save(t.Context(), other, theirs.Revision, mine))
		}
	}
	require.Equal(t, "0", s.length("large"))
	refused := s.events.of(middleware.EventRefused)
	require.Equal(t, []reason.Reason{reason.UnknownKey, reason.RecordMissing}, reasonsOf(refused))
}

func TestTouchProlongsTheRecord(t *testing.T) {
	s, store := storedSite(t)
	s.grow("large", 50_000)
	store.since()
	for range 6 {
		s.clock.advance(50 * time.Minute)
		require.Equal(t, "50000", s.length("large"))
	}
	require.Equal(t, []string{"load", "load", "touch", "load", "load", "touch", "load", "load", "touch"}, store.since(),
		"a touch where the cookie's time is due, and only then")
	s.clock.advance(2*time.Hour + time.Minute)
	require.Equal(t, "0", s.length("large"))
	require.Empty(t, store.since(), "an idle session is over without the store being asked")
}

// What the row knows of the visitor is not asked once the cookies are idle: a write
// whose response was lost is no reason not to touch them.
func TestTouchAfterALostResponse(t *testing.T) {
	s, _ := storedSite(t)
	s.grow("large", 50_000)
	s.clock.advance(80 * time.Minute)
	require.Equal(t, 200, s.bare("/put?name=a&size=10", s.header()).StatusCode)
	s.clock.advance(30 * time.Minute)
	require.Equal(t, "50000", s.length("large"))
	s.clock.advance(20 * time.Minute)
	require.Equal(t, "50000", s.length("large"), "used 20 minutes ago, of two hours")
}

// Leftovers are no reason to miss a touch: the next use may come too late.
func TestTouchBesideLeftovers(t *testing.T) {
	s, store := storedSite(t)
	var old []string
	for i := range 3 {
		old = append(old, s.grow("small", 10+i).Header.Values("Set-Cookie")[0])
	}
	s.grow("large", 50_000)
	for _, line := range old {
		require.True(t, s.jar.Set(line))
	}
	require.Len(t, s.jar.All(), 4)
	s.clock.advance(100 * time.Minute)
	store.since()
	require.Equal(t, "50000", s.length("large"))
	require.Equal(t, []string{"load", "touch"}, store.since())
	s.clock.advance(100 * time.Minute)
	require.Equal(t, "50000", s.length("large"))
}

func TestAlwaysStored(t *testing.T) {
	s, store := storedSite(t, config(func(c *middleware.Config) { c.Mode = middleware.AlwaysStored }))
	s.get("/login?user=zhang")
	require.Equal(t, []string{"save"}, store.since())
	require.Equal(t, "zhang", s.who())
	require.Equal(t, []string{"load"}, store.since())
	require.Equal(t, 200, s.get("/logout").StatusCode)
	require.Empty(t, s.who())
}

func TestReferenceWithoutAStore(t *testing.T) {
	s, _ := storedSite(t)
	s.grow("large", 50_000)
	bare := newSite(t, storedApp, config(func(c *middleware.Config) { c.Keys = s.sessions.Keys }))
	require.Equal(t, 503, bare.bare("/get?name=large", s.header()).StatusCode)
	require.ErrorContains(t, bare.events.of(middleware.EventFailed)[0].Err, "Config.Fallback is nil")
}

func TestEarlySave(t *testing.T) {
	s, store := storedSite(t)
	s.grow("large", 50_000)
	store.since()
	require.Equal(t, "false", s.get("/save?name=a").body)
	require.Equal(t, []string{"load", "save"}, store.since(), "the commit has nothing to add but the reference")
	require.Equal(t, "5", s.length("a"))
	require.Len(t, s.jar.All(), 1)
	s.forget()
	require.Equal(t, "true", s.get("/save?name=a").body, "of a session that begins with it")
}

func TestLateChangeOfAStoredSessionLands(t *testing.T) {
	s, store := storedSite(t)
	s.grow("large", 50_000)
	store.since()
	require.Equal(t, "header", s.get("/late?name=a").body)
	require.Equal(t, []string{"load", "save"}, store.since())
	require.Equal(t, "4", s.length("a"))
	require.Empty(t, s.events.of(middleware.EventLateChange))
	s.get("/drop?name=large")
	s.get("/late?name=b")
	require.Equal(t, "0", s.length("b"), "in cookies it is lost, by name")
	require.NotEmpty(t, s.events.of(middleware.EventLateChange))
}

func TestTooLargeForTheStore(t *testing.T) {
	s, _ := storedSite(t)
	s.grow("small", 10)
	require.Equal(t, http.StatusInternalServerError, s.grow("huge", 1_500_000).StatusCode)
	require.ErrorIs(t, s.events.of(middleware.EventFailed)[0].Err, session.ErrTooLarge)
	require.Equal(t, "10", s.length("small"))
}

// A database and the key ring together open nothing: the key is in the cookies.
func TestDumpAndRingOpenNothing(t *testing.T) {
	s, store := storedSite(t)
	s.get("/login?user=SECRET-NAME")
	s.grow("large", 50_000)
	for id := range store.ids {
		rec, err := store.Store.Load(t.Context(), id)
		if err != nil {
			continue
		}
		require.NotContains(t, string(rec.Data), "SECRET")
		require.NotContains(t, string(rec.Data), text(16))
	}
	s.forget()
	require.Empty(t, s.who())
}
