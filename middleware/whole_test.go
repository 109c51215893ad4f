package middleware_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// many begins a session with 40 entries, which have no room for a cookie each.
func many(t *testing.T, change func(*middleware.Config)) (a *adversary, jar cookies, told *events) {
	told = &events{}
	a = newAdversary(t, func(c *middleware.Config) {
		c.Platform, c.Observer = middleware.Nginx, told.observe
		if change != nil {
			change(c)
		}
	})
	jar = cookies{}
	a.ask(jar, func(s *session.Session) {
		s.Renew()
		for i := range 40 {
			set(fmt.Sprint("entry", i), "as it began")(s)
		}
	})
	told.forget()
	return a, jar, told
}

// withStore gives a configuration a store of its own.
func withStore(t *testing.T, mode middleware.Mode) func(*middleware.Config) {
	return func(c *middleware.Config) {
		memory, err := fallback.NewMemory(fallback.MemoryConfig{Clock: c.Clock})
		require.NoError(t, err)
		c.Fallback.Store, c.Fallback.Mode, c.Fallback.Revocation = memory, mode, middleware.RevocationOff
	}
}

// A session whose entries have no room for a cookie each is written whole: one
// after another nothing is lost, and each time an event tells of it.
func TestSessionOfManyEntriesIsWrittenWhole(t *testing.T) {
	for _, change := range []func(*middleware.Config){nil, withStore(t, middleware.AlwaysCookies)} {
		a, jar, told := many(t, change)
		for i := range 40 {
			a.ask(jar, set(fmt.Sprint("entry", i), "changed"))
			require.LessOrEqual(t, len(jar), 2)
			require.LessOrEqual(t, len(jar.header()), a.sessions.Limits().RequestBytes)
		}
		seen, _ := a.sees(jar)
		require.Len(t, seen, 40)
		for name, value := range seen {
			require.Equal(t, "changed", value, name)
		}
		whole := told.of(middleware.EventWhole)
		require.Len(t, whole, 40)
		for _, e := range whole {
			require.Len(t, e.SessionID, 22)
			require.Positive(t, e.Bytes)
		}
		require.Empty(t, told.of(middleware.EventSpilled))
	}
}

// Of writes of the whole that overlap, the last response counts, all of it and
// nothing of the other.
func TestLastOfOverlappingWritesOfTheWholeCounts(t *testing.T) {
	for _, order := range [][2]int{{0, 1}, {1, 0}} {
		a, jar, _ := many(t, nil)
		var landing [2][]string
		for i := range landing {
			lines, err := open(a.sessions, jar, func(s *session.Session) {
				set("entry0", fmt.Sprint("by ", i))(s)
				set("entry1", fmt.Sprint("by ", i))(s)
			})()
			require.NoError(t, err)
			landing[i] = lines
		}
		jar.land(landing[order[0]])
		jar.land(landing[order[1]])
		seen, why := a.sees(jar)
		require.Equal(t, reason.None, why)
		require.Len(t, seen, 40)
		require.Equal(t, seen["entry0"], seen["entry1"])
		a.ask(jar, set("entry2", "later"))
		seen, _ = a.sees(jar)
		require.Equal(t, "later", seen["entry2"])
	}
}

// With a store such a session moves there instead, where overlapping writes both
// count. A session with room for cells stays in the cookies.
func TestAutoWithAStoreWritesNothingWhole(t *testing.T) {
	a, jar, told := many(t, withStore(t, middleware.Auto))
	var landing [2][]string
	for i := range landing {
		lines, err := open(a.sessions, jar, set(fmt.Sprint("entry", i), "changed"))()
		require.NoError(t, err)
		landing[i] = lines
	}
	for _, lines := range landing {
		jar.land(lines)
	}
	seen, _ := a.sees(jar)
	require.Equal(t, "changed", seen["entry0"])
	require.Equal(t, "changed", seen["entry1"])
	require.Len(t, seen, 40)
	require.NotEmpty(t, told.of(middleware.EventSpilled))
	require.Empty(t, told.of(middleware.EventWhole))

	told.forget()
	few := cookies{}
	a.ask(few, set("user", "ada"))
	a.ask(few, set("user", "grace"))
	require.Empty(t, told.of(middleware.EventSpilled))
	require.Empty(t, told.of(middleware.EventStore))
}

func TestModesThatNeedAStoreSaySo(t *testing.T) {
	_, err := middleware.New(middleware.Config{Keys: newRing(t), Fallback: middleware.Fallback{Mode: middleware.AlwaysStored}})
	require.ErrorContains(t, err, "Config.Fallback.Mode: it needs a store")
	for _, mode := range []middleware.Mode{-1, middleware.AlwaysStored + 1} {
		_, err := middleware.New(middleware.Config{Keys: newRing(t), Fallback: middleware.Fallback{Mode: mode}})
		require.ErrorContains(t, err, "none of Auto, AlwaysCookies and AlwaysStored")
	}
}

// Clear empties a session in one write, whatever it holds; that is no write of the
// whole by which others could be lost unseen.
func TestClearOfManyEntriesIsNotToldAsWhole(t *testing.T) {
	a, jar, told := many(t, nil)
	a.ask(jar, func(s *session.Session) { s.Clear(); set("entry0", "left")(s) })
	seen, _ := a.sees(jar)
	require.Equal(t, map[string]string{"entry0": "left"}, seen)
	require.Empty(t, told.of(middleware.EventWhole))
}

// othersOf returns cookies of other programs that take about that number of bytes.
func othersOf(bytes int) cookies {
	all := cookies{}
	for i := 0; bytes > 0; i++ {
		all[fmt.Sprint("other", i)] = strings.Repeat("x", min(bytes, 3000))
		bytes -= 3000
	}
	return all
}

// Other programs' cookies take room, and keep nobody from logging in: with and
// without a store, by whatever a program logs in with.
func TestOtherProgramsCookiesKeepNobodyOut(t *testing.T) {
	for platform, bytes := range map[middleware.Platform]int{
		middleware.Nginx: 1800, middleware.Portable: 1800, middleware.APIGateway: 1800, middleware.Apache: 1800,
		middleware.ALB: 3700, middleware.CloudFront: 3700, middleware.Vercel: 3700, middleware.Default: 7900,
	} {
		for store, change := range map[string]func(*middleware.Config){"no store": func(*middleware.Config) {}, "a store": withStore(t, middleware.Auto),
			"always stored": withStore(t, middleware.AlwaysStored)} {
			for name, login := range map[string]func(*session.Session){
				"set":   set("user", "ada"),
				"renew": func(s *session.Session) { s.Renew(); set("user", "ada")(s) },
				"bind":  func(s *session.Session) { s.Login("42"); set("user", "ada")(s) },
			} {
				t.Run(fmt.Sprint(platform, ", ", store, ", ", name), func(t *testing.T) {
					a := newAdversary(t, func(c *middleware.Config) { c.Platform = platform; change(c) })
					for _, before := range []string{"nobody", "a guest", "a guest who was here"} {
						jar := othersOf(bytes)
						others := len(jar)
						if before != "nobody" {
							a.ask(jar, set("cart", strings.Repeat("apple ", 30)))
						}
						if before == "a guest who was here" {
							a.ask(jar, set("cart", strings.Repeat("pear ", 30)))
						}
						a.ask(jar, login)
						a.ask(jar, set("csrf", strings.Repeat("7", 40)))
						seen, _ := a.sees(jar)
						require.Equal(t, "ada", seen["user"], before)
						require.Len(t, seen["csrf"], 40, before)
						require.LessOrEqual(t, len(jar.header()), a.sessions.Limits().RequestBytes, before)
						a.ask(jar, (*session.Session).Destroy)
						seen, _ = a.sees(jar)
						require.Empty(t, seen)
						require.Equal(t, map[string]string(othersOf(bytes)), maps.Collect(ofOthers(jar)), "and what is theirs is left alone")
						require.LessOrEqual(t, len(jar), others+1)
					}
				})
			}
		}
	}
}

// ofOthers are the cookies of a jar that are not ours.
func ofOthers(jar cookies) func(yield func(string, string) bool) {
	return func(yield func(string, string) bool) {
		for name, value := range jar {
			if !strings.HasPrefix(name, "__Host-session.") && !yield(name, value) {
				return
			}
		}
	}
}

// Where they leave no room at all, the error says how much is theirs; what only
// shrinks the header, and a logout, go through.
func TestOtherProgramsCookiesThatLeaveNoRoom(t *testing.T) {
	told := &events{}
	a := newAdversary(t, func(c *middleware.Config) { c.Platform, c.Observer = middleware.Nginx, told.observe })
	jar := cookies{}
	a.ask(jar, set("user", "ada"))
	a.ask(jar, set("user", strings.Repeat("Ada! ", 200)))
	maps.Copy(jar, othersOf(8000))
	_, err := open(a.sessions, jar, func(s *session.Session) { s.Renew(); set("more", strings.Repeat("! ", 300))(s) })()
	var e *session.TooLargeError
	require.ErrorAs(t, err, &e)
	require.Equal(t, session.LimitRequestBytes, e.Limit)
	others := 0
	for name, value := range ofOthers(jar) {
		others += len(name+"="+value) + len("; ")
	}
	require.Equal(t, others, e.Others)
	require.ErrorContains(t, err, fmt.Sprintf("other cookies: %d bytes", others))
	over := told.of(middleware.EventOverBudget)
	require.NotEmpty(t, over)
	require.Equal(t, len(jar.header())+len("; "), over[0].Bytes)
	require.Equal(t, reason.TooLarge, over[0].Reason)

	a.ask(jar, set("user", "ada"))
	seen, _ := a.sees(jar)
	require.Equal(t, "ada", seen["user"], "what only shrinks is taken")
	a.ask(jar, (*session.Session).Destroy)
	seen, _ = a.sees(jar)
	require.Empty(t, seen)
	_, err = open(a.sessions, othersOf(8000), set("user", "ada"))()
	require.ErrorIs(t, err, session.ErrTooLarge)
	require.Equal(t, http.StatusInternalServerError, middleware.StatusOf(err))
}
