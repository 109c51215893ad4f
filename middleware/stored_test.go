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

// watched is a store that records its calls, and that a test can make fail or
// interrupt.
type watched struct {
	fallback.Store
	mu     sync.Mutex
	calls  []string
	ids    map[string]bool
	down   error
	before func(call string) // called without the lock
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

// since returns the calls since it was last called.
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

// first returns a function that calls f only the first time, also if f calls it
// again.
func first(f func()) func() {
	var done atomic.Bool
	return func() {
		if done.CompareAndSwap(false, true) {
			f()
		}
	}
}

// onlyRecord returns the id of the only record that the store was asked for.
func (w *watched) onlyRecord(t *testing.T) string {
	t.Helper()
	require.Len(t, w.ids, 1)
	for id := range w.ids {
		return id
	}
	return ""
}

// storedSite is a site with a store. /put?name=&size= sets a value of the given
// size, /get?name= returns its length, and /names lists the entries.
func storedSite(t *testing.T, options ...option) (*site, *watched) {
	t.Helper()
	w := &watched{ids: map[string]bool{}}
	s := newSite(t, nil, append([]option{asProgram(storedApp), func(s *setup) {
		memory, err := fallback.NewMemory(fallback.MemoryConfig{Clock: s.Clock})
		require.NoError(t, err)
		w.Store = memory
		s.Fallback.Store, s.Fallback.Revocation = w, middleware.RevocationOff // revoke_test.go tests the calls of revocations
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

// text returns text of the given size that compresses badly.
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

// header returns the Cookie header of the visitor's browser.
func (s *site) header() string { return s.jar.Header("") }

// forget removes all cookies from the browser.
func (s *site) forget() {
	for _, name := range s.jar.Names() {
		s.jar.Evict(name)
	}
}

// receive applies to the browser a response to a request that bare has sent.
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
	require.Equal(t, http.StatusServiceUnavailable, s.grow("large", 50_000).StatusCode, "the session cannot grow now")
	require.Equal(t, "200", s.length("small"), "the failed write has lost nothing")
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
	require.Len(t, s.jar.All(), 1, "the cookie is kept")
	store.fail(nil)
	require.Equal(t, "50000", s.length("large"))
}

func TestStoreDownMayBeAbsent(t *testing.T) {
	s, store := storedSite(t, config(func(c *middleware.Config) { c.Fallback.Outage = middleware.OutageAbsent }))
	s.get("/login?user=zhang")
	s.grow("large", 50_000)
	store.fail(errors.New("down"))
	got := s.get("/read")
	require.Equal(t, http.StatusNotFound, got.StatusCode)
	require.Equal(t, reason.StoreDown.String(), got.Header.Get("X-Reason"))
	require.Equal(t, 503, s.grow("other", 10).StatusCode, "a session that cannot be read cannot be written")
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
	require.Equal(t, "50000", s.bare("/get?name=large", stolen).body, "the store was down, so the copy is still valid")
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

// The marker of an ended session is written at the revision that was loaded,
// without another load.
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
	require.NoError(t, store.Delete(t.Context(), store.onlyRecord(t)))
	got := s.get("/read")
	require.Equal(t, reason.RecordMissing.String(), got.Header.Get("X-Reason"))
	require.Len(t, s.jar.All(), 1, "a read expires nothing")
	require.Equal(t, 200, s.grow("small", 10).StatusCode, "the visitor begins a new session")
	require.Equal(t, "10", s.length("small"))
	require.Equal(t, "0", s.length("large"))
	require.Len(t, s.jar.All(), 1)
}

// rollBack stores a session twice, and then restores the first record.
func rollBack(s *site, store *watched) {
	s.t.Helper()
	s.grow("large", 50_000)
	id := store.onlyRecord(s.t)
	old, err := store.Store.Load(s.t.Context(), id)
	require.NoError(s.t, err)
	s.grow("large", 60_000)
	require.NoError(s.t, store.Delete(s.t.Context(), id))
	require.NoError(s.t, store.Store.Save(s.t.Context(), id, fallback.Revision{}, old))
}

func TestRollbackHasAName(t *testing.T) {
	for outage, refuse := range map[middleware.Outage]bool{
		middleware.OutageRefuse: false, middleware.OutageAbsent: false, middleware.OutageStrict: true,
	} {
		s, store := storedSite(t, config(func(c *middleware.Config) { c.Fallback.Outage = outage }))
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
		require.Empty(t, s.events.of(middleware.EventRefused), "a write gets a revision above the cookie's")
	}
}

// A writer of the database can destroy records, restore old ones and swap them,
// but not forge one.
func TestForeignRecordsDoNotOpen(t *testing.T) {
	s, store := storedSite(t)
	s.grow("large", 50_000)
	id := store.onlyRecord(t)
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
		"a touch only when the cookie's last-seen time is due")
	s.clock.advance(2*time.Hour + time.Minute)
	require.Equal(t, "0", s.length("large"))
	require.Empty(t, store.since(), "an idle session ends without a store call")
}

// The last-seen time in the cookies decides when a session is touched, not the one
// in the record. The record has a newer time if a response was lost.
func TestTouchAfterALostResponse(t *testing.T) {
	s, _ := storedSite(t)
	s.grow("large", 50_000)
	s.clock.advance(80 * time.Minute)
	require.Equal(t, 200, s.bare("/put?name=a&size=10", s.header()).StatusCode)
	s.clock.advance(30 * time.Minute)
	require.Equal(t, "50000", s.length("large"))
	s.clock.advance(20 * time.Minute)
	require.Equal(t, "50000", s.length("large"), "last used 20 minutes ago, with an idle timeout of two hours")
}

// Obsolete cookies in the request do not prevent a touch. If they did, the next
// request could come too late.
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
	s, store := storedSite(t, config(func(c *middleware.Config) { c.Fallback.Mode = middleware.AlwaysStored }))
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
	bare := newSite(t, storedApp, config(func(c *middleware.Config) { c.Keys = s.config.Keys }))
	require.Equal(t, 503, bare.bare("/get?name=large", s.header()).StatusCode)
	require.ErrorContains(t, bare.events.of(middleware.EventFailed)[0].Err, "Config.Fallback.Store is nil")
}

func TestEarlySave(t *testing.T) {
	s, store := storedSite(t)
	s.grow("large", 50_000)
	store.since()
	require.Equal(t, "false", s.get("/save?name=a").body)
	require.Equal(t, []string{"load", "save"}, store.since(), "the commit adds only the reference")
	require.Equal(t, "5", s.length("a"))
	require.Len(t, s.jar.All(), 1)
	s.forget()
	require.Equal(t, "true", s.get("/save?name=a").body, "Save begins the session")
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
	require.Equal(t, "0", s.length("b"), "a late change in cookies is lost and reported")
	require.NotEmpty(t, s.events.of(middleware.EventLateChange))
}

func TestTooLargeForTheStore(t *testing.T) {
	s, _ := storedSite(t)
	s.grow("small", 10)
	require.Equal(t, http.StatusInternalServerError, s.grow("huge", 1_500_000).StatusCode)
	require.ErrorIs(t, s.events.of(middleware.EventFailed)[0].Err, session.ErrTooLarge)
	require.Equal(t, "10", s.length("small"))
}

// The database and the key ring together open no record, because the record's key
// is in the cookies.
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
