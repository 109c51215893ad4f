package middleware_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/codec/xchacha"
	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// broken is a request that something is wrong with, and where it is sent.
type broken struct {
	*site
	cookies []string // Cookie header lines
}

// sealedAs is a cookie whose seal is good, whatever is in it.
func sealedAs(t *testing.T, ring *keyring.Ring, b codec.Binding, plaintext string) string {
	t.Helper()
	value, err := codec.Seal(nil, ring.Active(noon), b, []byte(plaintext))
	require.NoError(t, err)
	return "__Host-session." + b.Suffix + "=" + string(value)
}

// damaged is ada's one cookie, with its value changed.
func damaged(change func(value string) string) func(t *testing.T) broken {
	return func(t *testing.T) broken {
		s, name, value := loggedIn(t, config(func(c *middleware.Config) { c.Formats = []codec.Format{xchacha.New()} }))
		return broken{s, []string{name + "=" + change(value)}}
	}
}

// piecemeal is the cookies of a session of several pieces, of which some come.
func piecemeal(keep func(name string) bool) func(t *testing.T) broken {
	return func(t *testing.T) broken {
		s := newSite(t, sized, config(wide))
		s.put(9000)
		var pairs []string
		for _, c := range s.jar.All() {
			if keep(c.Name) {
				pairs = append(pairs, c.Name+"="+c.Value)
			}
		}
		return broken{s, pairs}
	}
}

// among is a shared program of two replicas, of which the first has a visitor
// who is bound to "ada"; end ends something.
func among(size int, end func(t *testing.T, a *site, store *watched)) func(t *testing.T) broken {
	return func(t *testing.T) broken {
		sites, store := sharing(t, 2)
		a := sites[0]
		a.get("/bind?user=ada")
		a.grow("a", size)
		stolen := a.header()
		end(t, a, store)
		a.clock.advance(middleware.DefaultRevocationMaxAge)
		return broken{sites[1], []string{stolen}}
	}
}

// stored is a session in the store, whose row something is done to.
func stored(do func(t *testing.T, s *site, store *watched, id string), options ...option) func(t *testing.T) broken {
	return func(t *testing.T) broken {
		s, store := storedSite(t, options...)
		s.grow("large", 50_000)
		do(t, s, store, store.the(t))
		return broken{s, []string{s.header()}}
	}
}

func downWith(err error) func(*testing.T, *site, *watched, string) {
	return func(_ *testing.T, _ *site, store *watched, _ string) { store.fail(err) }
}

// put has the store hold other bytes in a session's row.
func put(t *testing.T, store *watched, id string, data []byte) {
	t.Helper()
	rec, err := store.Store.Load(t.Context(), id)
	require.NoError(t, err)
	old := rec.Revision
	rec.Revision, rec.Data = old.Next(), data
	require.NoError(t, store.Store.Save(t.Context(), id, old, rec))
}

// imports is a request with another library's cookie.
func imports(old *middleware.Imported, err error, options ...option) func(t *testing.T) broken {
	return func(t *testing.T) broken {
		s, library := migrating(t, options...)
		library.sessions["token"], library.down = old, err
		return broken{s, []string{"old=token"}}
	}
}

// nobody are requests without a session, by why there is none.
var nobody = []struct {
	name string
	want session.Reason
	make func(t *testing.T) broken
}{
	{"no cookie", session.Absent, func(t *testing.T) broken { return broken{site: newSite(t, app)} }},
	{"other cookies", session.Absent, func(t *testing.T) broken { return broken{newSite(t, app), []string{"a=1; b=2; session=x"}} }},
	{"our name without a suffix", session.Absent, func(t *testing.T) broken { return broken{newSite(t, app), []string{"__Host-session=x"}} }},
	{"a suffix that is none", session.Absent, func(t *testing.T) broken { return broken{newSite(t, app), []string{"__Host-session.ABC=x"}} }},
	{"a piece beyond the last", session.Absent, func(t *testing.T) broken { return broken{newSite(t, app), []string{"__Host-session.aaaaaaaaaa.64=x"}} }},

	{"a character of no alphabet", session.Malformed, damaged(func(v string) string { return v[:20] + "!" + v[21:] })},
	{"a space inside", session.Malformed, damaged(func(v string) string { return v[:20] + " " + v[21:] })},
	{"percent-encoded", session.Malformed, damaged(func(v string) string { return v[:20] + "%2D" + v[23:] })},
	{"standard base64", session.Malformed, damaged(func(v string) string { return v[:20] + "+" + v[21:] })},
	{"spare bits", session.Malformed, func(t *testing.T) broken {
		for user := "ada"; ; user += "a" { // until the length leaves some
			s := newSite(t, app)
			s.get("/login?user=" + user)
			if c := s.cookie(); len(c.Value)%4 != 0 {
				last := strings.IndexByte(alphabet, c.Value[len(c.Value)-1])
				return broken{s, []string{c.Name + "=" + c.Value[:len(c.Value)-1] + string(alphabet[last+1])}}
			}
		}
	}},
	{"sealed garbage", session.Malformed, func(t *testing.T) broken {
		ring := newRing(t)
		s := newSite(t, app, config(func(c *middleware.Config) { c.Keys = ring }))
		return broken{s, []string{sealedAs(t, ring, codec.Binding{Base: "__Host-session", Suffix: "aaaaaaaaaa"}, "\xa1\x01\x01")}}
	}},
	{"no header", session.WrongLength, damaged(func(string) string { return "AA" })},
	{"nothing but a header", session.WrongLength, damaged(func(v string) string { return v[:8] })},
	{"extended", session.Torn, damaged(func(v string) string { return v + "AAAA" })},
	{"twice in one", session.Torn, damaged(func(v string) string { return v + v })},
	{"an empty value", session.Torn, damaged(func(string) string { return "" })},
	{"cut", session.Torn, damaged(func(v string) string { return v[:len(v)-8] })},
	{"half", session.Torn, damaged(func(v string) string { return v[:len(v)/2] })},
	{"without its first piece", session.Torn, piecemeal(func(name string) bool { return strings.Count(name, ".") == 2 })},
	{"without its middle piece", session.Torn, piecemeal(func(name string) bool { return !strings.HasSuffix(name, ".1") })},
	{"without its last piece", session.Torn, piecemeal(func(name string) bool { return !strings.HasSuffix(name, ".2") })},
	{"a change without what it builds on", session.Torn, func(t *testing.T) broken {
		s := newSite(t, storedApp)
		s.grow("a", 900)
		base := s.cookie().Name
		s.grow("b", 10)
		require.True(t, s.jar.Evict(base))
		return broken{s, []string{s.header()}}
	}},
	{"a format to come", session.UnknownFormat, damaged(func(v string) string { return "B4" + v[2:] })},
	{"another key's format", session.WrongFormat, damaged(func(v string) string {
		raw, _ := base64.RawURLEncoding.DecodeString(v)
		raw[0] = 2
		return base64.RawURLEncoding.EncodeToString(raw)
	})},
	{"another ring", session.UnknownKey, func(t *testing.T) broken {
		s, _, _ := loggedIn(t)
		return broken{newSite(t, app), []string{s.header()}}
	}},
	{"a key that is made up", session.UnknownKey, damaged(func(v string) string { return v[:2] + "QUJD" + v[6:] })},
	{"a revoked key", session.DeadKey, func(t *testing.T) broken {
		old := newRing(t)
		revoked, _, err := old.Revoke(old.Active(noon).ID(), noon)
		require.NoError(t, err)
		s, _ := onReplica(t, old, revoked)
		return broken{s, []string{s.header()}}
	}},
	{"an expired key", session.DeadKey, func(t *testing.T) broken {
		old := newRing(t)
		next, _, err := old.Rotate(noon, keyring.Policy{ActivateIn: -1, Overlap: time.Hour})
		require.NoError(t, err)
		s, _ := onReplica(t, old, next, lives(0, -1, 0))
		s.clock.advance(2 * time.Hour)
		return broken{s, []string{s.header()}}
	}},
	{"changed content", session.BadSeal, damaged(func(v string) string { return v[:60] + "AAAAAAAA" + v[68:] })},
	{"changed nonce", session.BadSeal, damaged(func(v string) string { return v[:16] + "AAAAAAAA" + v[24:] })},
	{"changed signature", session.BadSeal, damaged(func(v string) string { return v[:len(v)-20] + "AAAAAAAA" + v[len(v)-12:] })},
	{"the wrong suffix", session.BadSeal, func(t *testing.T) broken {
		s, _, value := loggedIn(t)
		return broken{s, []string{"__Host-session.aaaaaaaaaa=" + value}}
	}},
	{"the wrong base name", session.BadSeal, func(t *testing.T) broken {
		ring := newRing(t)
		s, name, value := loggedIn(t, config(func(c *middleware.Config) { c.Keys = ring }))
		other := newSite(t, app, config(func(c *middleware.Config) { c.Keys, c.Name = ring, "__Host-admin" }))
		return broken{other, []string{"__Host-admin" + strings.TrimPrefix(name, s.sessions.Name) + "=" + value}}
	}},
	{"another audience", session.BadSeal, func(t *testing.T) broken {
		ring := newRing(t)
		s, _, _ := loggedIn(t, config(func(c *middleware.Config) { c.Keys, c.Audience = ring, "staging" }))
		return broken{newSite(t, app, config(func(c *middleware.Config) { c.Keys = ring })), []string{s.header()}}
	}},
	{"its time is over", session.Expired, func(t *testing.T) broken {
		s, name, value := loggedIn(t)
		s.clock.advance(24 * time.Hour)
		return broken{s, []string{name + "=" + value}}
	}},
	{"the time of its own is over", session.Expired, func(t *testing.T) broken {
		s := newSite(t, termsApp, lives(0, -1, 0))
		s.get("/remember?d=1m")
		header := s.header()
		s.clock.advance(time.Minute)
		return broken{s, []string{header}}
	}},
	{"idle", session.ExpiredIdle, func(t *testing.T) broken {
		s, name, value := loggedIn(t)
		s.clock.advance(3 * time.Hour)
		return broken{s, []string{name + "=" + value}}
	}},
	{"idle, by its own timeout", session.ExpiredIdle, func(t *testing.T) broken {
		s := newSite(t, termsApp)
		s.get("/set?user=ada")
		s.get("/idle?d=10m")
		s.clock.advance(10 * time.Minute)
		return broken{s, []string{s.header()}}
	}},
	{"logged out, and put back", session.LoggedOut, func(t *testing.T) broken {
		s, name, value := loggedIn(t)
		s.get("/logout")
		return broken{s, []string{s.header() + "; " + name + "=" + value}}
	}},
	{"a copy after the logout", session.LoggedOut, among(10, func(t *testing.T, a *site, _ *watched) { a.get("/logout") })},
	{"a copy after the renewal", session.LoggedOut, among(10, func(t *testing.T, a *site, _ *watched) { a.get("/bind?user=ada") })},
	{"a copy of a stored session after the logout", session.LoggedOut, among(60_000, func(t *testing.T, a *site, _ *watched) { a.get("/logout") })},
	{"revoked by id", session.Revoked, among(10, func(t *testing.T, a *site, _ *watched) {
		require.NoError(t, a.sessions.Revoke(t.Context(), a.get("/id").body))
	})},
	{"revoked by id, stored", session.Revoked, among(60_000, func(t *testing.T, a *site, _ *watched) {
		require.NoError(t, a.sessions.Revoke(t.Context(), a.get("/id").body))
	})},
	{"revoked by subject", session.Revoked, among(10, func(t *testing.T, a *site, _ *watched) {
		require.NoError(t, a.sessions.RevokeSubject(t.Context(), "ada"))
	})},
	{"revoked by subject, stored", session.Revoked, among(60_000, func(t *testing.T, a *site, _ *watched) {
		require.NoError(t, a.sessions.RevokeSubject(t.Context(), "ada"))
	})},
	{"too many", session.TooMany, func(t *testing.T) broken {
		s, _, value := loggedIn(t)
		var flood []string
		for i := range 600 {
			flood = append(flood, fmt.Sprintf("__Host-session.%s=%s", suffixOf(i), value[:100]))
		}
		return broken{s, []string{strings.Join(flood, "; ")}}
	}},
	{"its row is gone", session.RecordMissing, stored(func(t *testing.T, _ *site, store *watched, id string) {
		require.NoError(t, store.Delete(t.Context(), id))
	})},
	{"its row is garbage", session.RecordMissing, stored(func(t *testing.T, _ *site, store *watched, id string) {
		put(t, store, id, []byte("garbage"))
	})},
	{"its row is changed", session.RecordMissing, stored(func(t *testing.T, _ *site, store *watched, id string) {
		rec, err := store.Store.Load(t.Context(), id)
		require.NoError(t, err)
		rec.Data[len(rec.Data)/2] ^= 1
		put(t, store, id, rec.Data)
	})},
	{"the store is down", session.StoreDown, stored(downWith(errors.New("connection refused")))},
	{"the store is down, and that is absent", session.StoreDown, stored(downWith(errors.New("connection refused")),
		config(func(c *middleware.Config) { c.AbsentIfStoreDown = true }))},
	{"no store where one was", session.StoreDown, func(t *testing.T) broken {
		ring := newRing(t)
		s, _ := storedSite(t, config(func(c *middleware.Config) { c.Keys = ring }))
		s.grow("large", 50_000)
		return broken{newSite(t, app, config(func(c *middleware.Config) { c.Keys = ring })), []string{s.header()}}
	}},
	{"whether it was revoked cannot be told", session.StoreDown, func(t *testing.T) broken {
		sites, store := sharing(t, 1, config(func(c *middleware.Config) { c.RefuseIfRevocationUnknown = true }))
		sites[0].get("/set?user=ada")
		store.fail(errors.New("connection refused"))
		sites[0].clock.advance(time.Minute)
		return broken{sites[0], []string{sites[0].header()}}
	}},
}

// A request in which something is wrong beside a session that counts, and what
// is told of it.
var beside = []struct {
	name string
	want session.Reason
	make func(t *testing.T) broken
}{
	{"an older generation", session.Superseded, func(t *testing.T) broken {
		s, name, value := loggedIn(t)
		s.get("/login?user=grace")
		return broken{s, []string{s.header() + "; " + name + "=" + value}}
	}},
	{"what is known to be dead", session.Late, func(t *testing.T) broken {
		a := newAdversary(t, nil)
		now := core.Millis(noon)
		fragment := func(horizon int64, names ...string) *core.Fragment {
			f := &core.Fragment{Kind: core.Data, Root: core.Root{1}, Born: core.Stamp{At: now - 3e6, ID: 1}, Created: now - 3e6,
				End: now + 1e8, Seen: now - 1000, Horizon: horizon}
			for i, name := range names {
				f.Entries = append(f.Entries, core.Entry{Name: name, Stamp: core.Stamp{At: now - 2e6 + int64(i), ID: 1}, Value: []byte("\x63ada")})
			}
			return f
		}
		jar := a.forge(fragment(now-1e6, "user"), fragment(0, "sudo", "user"))
		return broken{newSite(t, app, config(func(c *middleware.Config) { c.Keys = a.ring })), []string{jar.header()}}
	}},
	{"a change whose ground is missing", session.Torn, func(t *testing.T) broken {
		a := newAdversary(t, nil)
		jar := a.forge(append(fork(1, 1, 0, false), chained(2)[1:]...)...)
		return broken{newSite(t, app, config(func(c *middleware.Config) { c.Keys = a.ring })), []string{jar.header()}}
	}},
	{"damage beside the good one", session.BadSeal, func(t *testing.T) broken {
		s, name, value := loggedIn(t)
		return broken{s, []string{"__Host-session.aaaaaaaaaa=" + value + "; " + name + "=" + value}}
	}},
	{"an unknown key's cookie beside the good one", session.UnknownKey, func(t *testing.T) broken {
		s, name, value := loggedIn(t)
		other, _, _ := loggedIn(t)
		return broken{s, []string{other.header() + "; " + name + "=" + value}}
	}},
	{"another's garbage", session.Malformed, func(t *testing.T) broken {
		s, name, value := loggedIn(t)
		return broken{s, []string{"__Host-session.aaaaaaaaaa=!!!" + value[:80] + "; " + name + "=" + value}}
	}},
	{"an older state in the store", session.StoreRolledBack, func(t *testing.T) broken { return rolledBack(t) }},
	{"an import that fails", session.ImportFailed, imports(nil, errors.New("no answer"), config(func(c *middleware.Config) { c.AbsentIfStoreDown = true }))},
	{"an import that cannot be", session.ImportFailed, imports(nil, fmt.Errorf("%w: a channel", middleware.ErrCannotImport))},
	{"an import of nothing", session.ImportFailed, imports(nil, nil)},
	{"an import that does not encode", session.ImportFailed, imports(&middleware.Imported{Values: map[string]any{"c": make(chan int)}}, nil)},
}

func rolledBack(t *testing.T, options ...option) broken {
	t.Helper()
	s, store := storedSite(t, options...)
	s.grow("large", 50_000)
	id := store.the(t)
	old, err := store.Store.Load(t.Context(), id)
	require.NoError(t, err)
	s.grow("large", 60_000)
	require.NoError(t, store.Delete(t.Context(), id))
	require.NoError(t, store.Store.Save(t.Context(), id, fallback.Revision{}, old))
	return broken{s, []string{s.header()}}
}

// reasonsOf lists the reasons of the events of a kind.
func reasonsOf(list []middleware.Event) (all []session.Reason) {
	for _, e := range list {
		all = append(all, e.Reason)
	}
	return all
}

// Each way in which a request can lack a session has its reason: the handler, the
// observer, the operator and the log are told the same word.
func TestEveryBrokenRequestHasItsReason(t *testing.T) {
	for _, c := range nobody {
		t.Run(c.name, func(t *testing.T) {
			b := c.make(t)
			b.events.forget()
			a := b.bare("/read", b.cookies...)
			down := c.want == session.StoreDown && !b.sessions.AbsentIfStoreDown
			if down {
				require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
			} else {
				require.Equal(t, string(c.want), a.Header.Get("X-Reason"))
			}
			loaded := b.events.of(middleware.EventLoaded)
			require.Len(t, loaded, 1)
			require.Equal(t, c.want, loaded[0].Reason)
			told := reasonsOf(append(b.events.of(middleware.EventRefused), b.events.of(middleware.EventStore)...))
			if c.want == session.Absent {
				require.Empty(t, told)
			} else {
				require.Contains(t, told, c.want)
			}
			b.requireExplained(t, c.want, c.want)
		})
	}
}

// What is wrong beside a session that counts, or beside none, is told as well.
func TestEveryRefusalBesideASession(t *testing.T) {
	for _, c := range beside {
		t.Run(c.name, func(t *testing.T) {
			b := c.make(t)
			b.events.forget()
			a := b.bare("/read", b.cookies...)
			require.Contains(t, []string{"", "absent"}, a.Header.Get("X-Reason"))
			require.Contains(t, reasonsOf(b.events.of(middleware.EventRefused)), c.want)
			b.requireExplained(t, session.Reason(a.Header.Get("X-Reason")), c.want)
		})
	}
}

// requireExplained: the operator is told the reason, and of what was refused.
func (b broken) requireExplained(t *testing.T, reason, refused session.Reason) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, b.URL, nil)
	require.NoError(t, err)
	r.Header["Cookie"] = b.cookies
	e := b.sessions.Explain(r)
	require.Equal(t, reason, e.Reason)
	var all []session.Reason
	for _, f := range e.Refused {
		all = append(all, f.Reason)
	}
	if refused == session.Absent {
		require.Empty(t, all)
		return
	}
	if down := refused == session.StoreDown && e.Err != nil; !down {
		require.Contains(t, all, refused)
	}
}

// A request that is refused when it writes has its reason in the event of the
// commit that failed.
func TestEveryFailedCommitHasItsReason(t *testing.T) {
	for _, c := range []struct {
		name string
		want session.Reason
		make func(t *testing.T) (s *site, path string)
	}{
		{"too large", session.TooLarge, func(t *testing.T) (*site, string) { return newSite(t, storedApp), "/put?name=a&size=60000" }},
		{"too large for the store", session.TooLarge, func(t *testing.T) (*site, string) {
			s, _ := storedSite(t)
			return s, "/put?name=a&size=1100000"
		}},
		{"beside an unknown key's cookies", session.UnknownKey, func(t *testing.T) (*site, string) {
			s, _ := onReplica(t, newRing(t), newRing(t))
			return s, "/set?user=eve"
		}},
		{"no key seals", session.NoKey, func(t *testing.T) (*site, string) {
			s, _ := onReplica(t, newRing(t), nil)
			return s, "/login?user=eve"
		}},
		{"the store is down", session.StoreDown, func(t *testing.T) (*site, string) {
			s, store := storedSite(t)
			store.fail(errors.New("connection refused"))
			return s, "/put?name=a&size=60000"
		}},
		{"a renewal of what was revoked", session.Revoked, func(t *testing.T) (*site, string) {
			sites, _ := sharing(t, 2)
			a, b := sites[0], sites[1]
			a.get("/bind?user=ada")
			b.with("/read", a.header())
			require.NoError(t, a.sessions.RevokeSubject(t.Context(), "ada"))
			for _, c := range a.jar.All() {
				b.jar.Put(c.Name, c.Value)
			}
			return b, "/login?user=ada"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, path := c.make(t)
			s.events.forget()
			require.GreaterOrEqual(t, s.get(path).StatusCode, 400)
			failed := s.events.of(middleware.EventFailed)
			require.Len(t, failed, 1)
			require.Equal(t, c.want, failed[0].Reason)
			require.Error(t, failed[0].Err)
		})
	}
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		user.Set(session.From(r.Context()), "late")
	})
	s.get("/")
	late := s.events.of(middleware.EventLateChange)
	require.Len(t, late, 1)
	require.Equal(t, session.LateChange, late[0].Reason)
}

// Between them the tests above have every reason that there is.
func TestEveryReasonIsTested(t *testing.T) {
	seen := []session.Reason{session.Recognised, session.TooLarge, session.NoKey, session.LateChange}
	for _, c := range nobody {
		seen = append(seen, c.want)
	}
	for _, c := range beside {
		seen = append(seen, c.want)
	}
	require.GreaterOrEqual(t, len(nobody)+len(beside), 40)
	for _, reason := range session.Reasons() {
		require.Contains(t, seen, reason)
	}
	require.Len(t, session.Reasons(), len(slices.Compact(slices.Sorted(slices.Values(session.Reasons())))))
}

// The state of a session under a retired key moves to the active one, and that
// is an event of its own.
func TestRotatedIsAnEvent(t *testing.T) {
	old := newRing(t)
	next, _, err := old.Rotate(noon, keyring.Policy{ActivateIn: -1, Overlap: 48 * time.Hour})
	require.NoError(t, err)
	s, _ := onReplica(t, old, next)
	s.clock.advance(time.Minute)
	s.events.forget()
	s.get("/set?user=grace")
	rotated := s.events.of(middleware.EventRotated)
	require.Len(t, rotated, 1)
	require.Equal(t, next.Active(s.clock.Now()).ID().String(), rotated[0].KeyID)
	require.NotEmpty(t, rotated[0].SessionID)
	s.get("/set?user=ada")
	require.Len(t, s.events.of(middleware.EventRotated), 1, "once")
}
