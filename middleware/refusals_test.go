package middleware_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
)

// broken is a request with a fault, and the site that it is sent to.
type broken struct {
	*site
	cookies []string // Cookie header lines
}

// sealedAs returns a cookie with a valid seal around any plaintext.
func sealedAs(t *testing.T, ring *keyring.Ring, b codec.Binding, plaintext string) string {
	t.Helper()
	value, err := codec.Seal(nil, ring.Active(noon), b, []byte(plaintext))
	require.NoError(t, err)
	return "__Host-session." + b.Suffix + "=" + string(value)
}

// damaged returns a request with ada's only cookie, its value changed.
func damaged(change func(value string) string) func(t *testing.T) broken {
	return func(t *testing.T) broken {
		s, name, value := loggedIn(t, config(func(c *middleware.Config) { c.Formats = []codec.Format{second{}} }))
		return broken{s, []string{name + "=" + change(value)}}
	}
}

// second is a format that no key of the ring has.
type second struct{}

func (second) Number() byte  { return 2 }
func (second) Overhead() int { return 72 }
func (second) Sealer(func(string, int) []byte) (codec.Sealer, error) {
	return nil, errors.New("no key has this format")
}

// withPieces returns a request with some of the pieces of a chunked session.
func withPieces(keep func(name string) bool) func(t *testing.T) broken {
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

// atSecondReplica returns a request to the second of two replicas of a program. The
// visitor has logged in at the first replica, with the subject "ada". The function
// end then ends the session.
func atSecondReplica(size int, end func(t *testing.T, a *site, store *watched)) func(t *testing.T) broken {
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

// stored returns a request with a session in the store, after do has changed the
// session's row.
func stored(do func(t *testing.T, s *site, store *watched, id string), options ...option) func(t *testing.T) broken {
	return func(t *testing.T) broken {
		s, store := storedSite(t, options...)
		s.grow("large", 50_000)
		do(t, s, store, store.onlyRecord(t))
		return broken{s, []string{s.header()}}
	}
}

func downWith(err error) func(*testing.T, *site, *watched, string) {
	return func(_ *testing.T, _ *site, store *watched, _ string) { store.fail(err) }
}

// put replaces the data of a session's row.
func put(t *testing.T, store *watched, id string, data []byte) {
	t.Helper()
	rec, err := store.Store.Load(t.Context(), id)
	require.NoError(t, err)
	old := rec.Revision
	rec.Revision, rec.Data = old.Next(), data
	require.NoError(t, store.Store.Save(t.Context(), id, old, rec))
}

// imports returns a request with another library's cookie.
func imports(old *middleware.Imported, err error, options ...option) func(t *testing.T) broken {
	return func(t *testing.T) broken {
		s, library := migrating(t, options...)
		library.sessions["token"], library.down = old, err
		return broken{s, []string{"old=token"}}
	}
}

// withoutSession lists requests without a session, by the reason.
var withoutSession = []struct {
	name string
	want reason.Reason
	make func(t *testing.T) broken
}{
	{"no cookie", reason.Absent, func(t *testing.T) broken { return broken{site: newSite(t, app)} }},
	{"other cookies", reason.Absent, func(t *testing.T) broken { return broken{newSite(t, app), []string{"a=1; b=2; session=x"}} }},
	{"our name without a suffix", reason.Absent, func(t *testing.T) broken { return broken{newSite(t, app), []string{"__Host-session=x"}} }},
	{"an invalid suffix", reason.Absent, func(t *testing.T) broken { return broken{newSite(t, app), []string{"__Host-session.ABC=x"}} }},
	{"a piece beyond the last", reason.Absent, func(t *testing.T) broken { return broken{newSite(t, app), []string{"__Host-session.aaaaaaaaaa.64=x"}} }},

	{"a character that is not base64url", reason.Malformed, damaged(func(v string) string { return v[:20] + "!" + v[21:] })},
	{"a space inside", reason.Malformed, damaged(func(v string) string { return v[:20] + " " + v[21:] })},
	{"percent-encoded", reason.Malformed, damaged(func(v string) string { return v[:20] + "%2D" + v[23:] })},
	{"standard base64", reason.Malformed, damaged(func(v string) string { return v[:20] + "+" + v[21:] })},
	{"spare bits", reason.Malformed, func(t *testing.T) broken {
		for user := "ada"; ; user += "a" { // until the length leaves unused bits
			s := newSite(t, app)
			s.get("/login?user=" + user)
			if c := s.cookie(); len(c.Value)%4 != 0 {
				last := strings.IndexByte(alphabet, c.Value[len(c.Value)-1])
				return broken{s, []string{c.Name + "=" + c.Value[:len(c.Value)-1] + string(alphabet[last+1])}}
			}
		}
	}},
	{"sealed garbage", reason.Malformed, func(t *testing.T) broken {
		ring := newRing(t)
		s := newSite(t, app, config(func(c *middleware.Config) { c.Keys = ring }))
		return broken{s, []string{sealedAs(t, ring, codec.Binding{Base: "__Host-session", Suffix: "aaaaaaaaaa"}, "\xa1\x01\x01")}}
	}},
	{"no header", reason.WrongLength, damaged(func(string) string { return "AA" })},
	{"nothing but a header", reason.WrongLength, damaged(func(v string) string { return v[:8] })},
	{"extended", reason.Torn, damaged(func(v string) string { return v + "AAAA" })},
	{"twice in one", reason.Torn, damaged(func(v string) string { return v + v })},
	{"an empty value", reason.Torn, damaged(func(string) string { return "" })},
	{"cut", reason.Torn, damaged(func(v string) string { return v[:len(v)-8] })},
	{"half", reason.Torn, damaged(func(v string) string { return v[:len(v)/2] })},
	{"without its first piece", reason.Torn, withPieces(func(name string) bool { return strings.Count(name, ".") == 2 })},
	{"without its middle piece", reason.Torn, withPieces(func(name string) bool { return !strings.HasSuffix(name, ".1") })},
	{"without its last piece", reason.Torn, withPieces(func(name string) bool { return !strings.HasSuffix(name, ".2") })},
	{"a cell without its head", reason.Torn, func(t *testing.T) broken {
		s := newSite(t, storedApp)
		s.grow("a", 900)
		head := s.grow("b", 10).Cookies()[0].Name
		require.True(t, s.jar.Evict(head))
		require.Len(t, s.jar.All(), 1)
		return broken{s, []string{s.header()}}
	}},
	{"a head without the cell that it lists", reason.Torn, func(t *testing.T) broken {
		s := newSite(t, storedApp)
		s.grow("a", 1000)
		s.grow("a", 1010) // the first change moves a large value from the head to a cell
		s.jar.Evict(s.grow("a", 1020).Cookies()[0].Name)
		require.Len(t, s.jar.All(), 1)
		return broken{s, []string{s.header()}}
	}},
	{"a cell without one that its writer saw", reason.Torn, func(t *testing.T) broken {
		s := newSite(t, storedApp)
		s.grow("a", 10)
		s.clock.advance(10 * time.Minute) // more than the margin for clocks and requests in flight
		seen := s.grow("b", 10).Cookies()[1].Name
		s.clock.advance(10 * time.Minute)
		s.grow("c", 10)
		require.True(t, s.jar.Evict(seen))
		return broken{s, []string{s.header()}}
	}},
	{"a future format", reason.UnknownFormat, damaged(func(v string) string { return "B4" + v[2:] })},
	{"another key's format", reason.WrongFormat, damaged(func(v string) string {
		raw, _ := base64.RawURLEncoding.DecodeString(v)
		raw[0] = 2
		return base64.RawURLEncoding.EncodeToString(raw)
	})},
	{"another ring", reason.UnknownKey, func(t *testing.T) broken {
		s, _, _ := loggedIn(t)
		return broken{newSite(t, app), []string{s.header()}}
	}},
	{"an invented key", reason.UnknownKey, damaged(func(v string) string { return v[:2] + "QUJD" + v[6:] })},
	{"a revoked key", reason.DeadKey, func(t *testing.T) broken {
		old := newRing(t)
		revoked, _, err := old.Revoke(old.Active(noon).ID(), noon)
		require.NoError(t, err)
		s, _ := onReplica(t, old, revoked)
		return broken{s, []string{s.header()}}
	}},
	{"an expired key", reason.DeadKey, func(t *testing.T) broken {
		old := newRing(t)
		next, _, err := old.Rotate(noon, keyring.Policy{ActivateIn: -1, Overlap: time.Hour})
		require.NoError(t, err)
		s, _ := onReplica(t, old, next, lives(0, -1, 0))
		s.clock.advance(2 * time.Hour)
		return broken{s, []string{s.header()}}
	}},
	{"changed content", reason.BadSeal, damaged(func(v string) string { return v[:60] + "AAAAAAAA" + v[68:] })},
	{"changed nonce", reason.BadSeal, damaged(func(v string) string { return v[:16] + "AAAAAAAA" + v[24:] })},
	{"changed signature", reason.BadSeal, damaged(func(v string) string { return v[:len(v)-20] + "AAAAAAAA" + v[len(v)-12:] })},
	{"the wrong suffix", reason.BadSeal, func(t *testing.T) broken {
		s, _, value := loggedIn(t)
		return broken{s, []string{"__Host-session.aaaaaaaaaa=" + value}}
	}},
	{"the wrong base name", reason.BadSeal, func(t *testing.T) broken {
		ring := newRing(t)
		_, name, value := loggedIn(t, config(func(c *middleware.Config) { c.Keys = ring }))
		other := newSite(t, app, config(func(c *middleware.Config) { c.Keys, c.Cookie.Name = ring, "__Host-admin" }))
		return broken{other, []string{"__Host-admin" + strings.TrimPrefix(name, middleware.DefaultName) + "=" + value}}
	}},
	{"another audience", reason.BadSeal, func(t *testing.T) broken {
		ring := newRing(t)
		s, _, _ := loggedIn(t, config(func(c *middleware.Config) { c.Keys, c.Audience = ring, "staging" }))
		return broken{newSite(t, app, config(func(c *middleware.Config) { c.Keys = ring })), []string{s.header()}}
	}},
	{"expired", reason.Expired, func(t *testing.T) broken {
		s, name, value := loggedIn(t)
		s.clock.advance(24 * time.Hour)
		return broken{s, []string{name + "=" + value}}
	}},
	{"expired, by its own lifetime", reason.Expired, func(t *testing.T) broken {
		s := newSite(t, termsApp, lives(0, -1, 0))
		s.get("/remember?d=1m")
		header := s.header()
		s.clock.advance(time.Minute)
		return broken{s, []string{header}}
	}},
	{"idle", reason.ExpiredIdle, func(t *testing.T) broken {
		s, name, value := loggedIn(t)
		s.clock.advance(3 * time.Hour)
		return broken{s, []string{name + "=" + value}}
	}},
	{"idle, by its own timeout", reason.ExpiredIdle, func(t *testing.T) broken {
		s := newSite(t, termsApp)
		s.get("/set?user=ada")
		s.get("/idle?d=10m")
		s.clock.advance(10 * time.Minute)
		return broken{s, []string{s.header()}}
	}},
	{"a copy beside the logout marker", reason.LoggedOut, func(t *testing.T) broken {
		s, name, value := loggedIn(t)
		s.get("/logout")
		return broken{s, []string{s.header() + "; " + name + "=" + value}}
	}},
	{"a copy after the logout", reason.LoggedOut, atSecondReplica(10, func(t *testing.T, a *site, _ *watched) { a.get("/logout") })},
	{"a copy after the renewal", reason.LoggedOut, atSecondReplica(10, func(t *testing.T, a *site, _ *watched) { a.get("/bind?user=ada") })},
	{"a copy of a stored session after the logout", reason.LoggedOut, atSecondReplica(60_000, func(t *testing.T, a *site, _ *watched) { a.get("/logout") })},
	{"revoked by id", reason.Revoked, atSecondReplica(10, func(t *testing.T, a *site, _ *watched) {
		require.NoError(t, a.sessions.Revoke(t.Context(), a.get("/id").body))
	})},
	{"revoked by id, stored", reason.Revoked, atSecondReplica(60_000, func(t *testing.T, a *site, _ *watched) {
		require.NoError(t, a.sessions.Revoke(t.Context(), a.get("/id").body))
	})},
	{"revoked by subject", reason.Revoked, atSecondReplica(10, func(t *testing.T, a *site, _ *watched) {
		require.NoError(t, a.sessions.RevokeSubject(t.Context(), "ada"))
	})},
	{"revoked by subject, stored", reason.Revoked, atSecondReplica(60_000, func(t *testing.T, a *site, _ *watched) {
		require.NoError(t, a.sessions.RevokeSubject(t.Context(), "ada"))
	})},
	{"too many", reason.TooMany, func(t *testing.T) broken {
		s, _, value := loggedIn(t)
		var flood []string
		for i := range 600 {
			flood = append(flood, fmt.Sprintf("__Host-session.%s=%s", suffixOf(i), value[:100]))
		}
		return broken{s, []string{strings.Join(flood, "; ")}}
	}},
	{"its row is gone", reason.RecordMissing, stored(func(t *testing.T, _ *site, store *watched, id string) {
		require.NoError(t, store.Delete(t.Context(), id))
	})},
	{"its row is garbage", reason.RecordMissing, stored(func(t *testing.T, _ *site, store *watched, id string) {
		put(t, store, id, []byte("garbage"))
	})},
	{"its row is changed", reason.RecordMissing, stored(func(t *testing.T, _ *site, store *watched, id string) {
		rec, err := store.Store.Load(t.Context(), id)
		require.NoError(t, err)
		rec.Data[len(rec.Data)/2] ^= 1
		put(t, store, id, rec.Data)
	})},
	{"the store is down", reason.StoreDown, stored(downWith(errors.New("connection refused")))},
	{"the store is down, with OutageAbsent", reason.StoreDown, stored(downWith(errors.New("connection refused")),
		config(func(c *middleware.Config) { c.Fallback.Outage = middleware.OutageAbsent }))},
	{"the store was removed from the configuration", reason.StoreDown, func(t *testing.T) broken {
		ring := newRing(t)
		s, _ := storedSite(t, config(func(c *middleware.Config) { c.Keys = ring }))
		s.grow("large", 50_000)
		return broken{newSite(t, app, config(func(c *middleware.Config) { c.Keys = ring })), []string{s.header()}}
	}},
	{"its revocation is unknown", reason.StoreDown, func(t *testing.T) broken {
		sites, store := sharing(t, 1, config(func(c *middleware.Config) { c.Fallback.Revocation = middleware.RevocationStrict }))
		sites[0].get("/set?user=ada")
		store.fail(errors.New("connection refused"))
		sites[0].clock.advance(time.Minute)
		return broken{sites[0], []string{sites[0].header()}}
	}},
}

// besideSession lists requests that have a session and, besides, a cookie or record
// that is refused, with the reason.
var besideSession = []struct {
	name string
	want reason.Reason
	make func(t *testing.T) broken
}{
	{"an older generation", reason.Superseded, func(t *testing.T) broken {
		s, name, value := loggedIn(t)
		s.get("/login?user=grace")
		return broken{s, []string{s.header() + "; " + name + "=" + value}}
	}},
	{"a damaged cookie beside the good one", reason.BadSeal, func(t *testing.T) broken {
		s, name, value := loggedIn(t)
		return broken{s, []string{"__Host-session.aaaaaaaaaa=" + value + "; " + name + "=" + value}}
	}},
	{"an unknown key's cookie beside the good one", reason.UnknownKey, func(t *testing.T) broken {
		s, name, value := loggedIn(t)
		other, _, _ := loggedIn(t)
		other.moveToOwnTag() // two programs with one name begin their sessions at one tag
		return broken{s, []string{other.header() + "; " + name + "=" + value}}
	}},
	{"an invalid cookie beside the good one", reason.Malformed, func(t *testing.T) broken {
		s, name, value := loggedIn(t)
		return broken{s, []string{"__Host-session.aaaaaaaaaa=!!!" + value[:80] + "; " + name + "=" + value}}
	}},
	{"an older state in the store", reason.StoreRolledBack, func(t *testing.T) broken { return rolledBack(t) }},
	{"an import that fails", reason.ImportFailed, imports(nil, errors.New("no answer"), config(func(c *middleware.Config) { c.Fallback.Outage = middleware.OutageAbsent }))},
	{"an impossible import", reason.ImportFailed, imports(nil, fmt.Errorf("%w: a channel", middleware.ErrCannotImport))},
	{"an import of nothing", reason.ImportFailed, imports(nil, nil)},
	{"an import that does not encode", reason.ImportFailed, imports(&middleware.Imported{Values: map[string]any{"c": make(chan int)}}, nil)},
}

func rolledBack(t *testing.T, options ...option) broken {
	t.Helper()
	s, store := storedSite(t, options...)
	rollBack(s, store)
	return broken{s, []string{s.header()}}
}
