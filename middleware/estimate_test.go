package middleware_test

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// An estimate agrees with a server under the same configuration.
func TestEstimateIsWhatHappens(t *testing.T) {
	memory, err := fallback.NewMemory(fallback.MemoryConfig{})
	require.NoError(t, err)
	for _, platform := range append(middleware.Platforms(), middleware.Default) {
		for _, n := range []int{10, 700, 1500, 2400, 3700, 6000, 11000, 25_000, 40_000} {
			for name, change := range map[string]func(*middleware.Config){
				"in cookies":   func(*middleware.Config) {},
				"with a store": func(c *middleware.Config) { c.Fallback.Store, c.Fallback.Revocation = memory, middleware.RevocationOff },
				"always stored": func(c *middleware.Config) {
					c.Fallback.Store, c.Fallback.Revocation, c.Fallback.Mode = memory, middleware.RevocationOff, middleware.AlwaysStored
				},
				"with few lines": func(c *middleware.Config) { c.Limits.SetCookieLines = 2 },
			} {
				estimateOne(t, fmt.Sprint(n, " bytes, platform ", platform, ", ", name), n,
					func(c *middleware.Config) { c.Platform = platform; change(c) })
			}
		}
	}
}

func TestEstimateOfOneCookie(t *testing.T) {
	for _, n := range []int{10, 700, 2400, 3700, 40_000} {
		estimateOne(t, fmt.Sprint(n, " bytes in one cookie"), n, func(c *middleware.Config) { c.Cookie.FixedName = true })
	}
}

func estimateOne(t *testing.T, what string, n int, c func(*middleware.Config)) {
	var bare middleware.Config
	c(&bare)
	var got middleware.Footprint
	require.NotPanics(t, func() {
		var err error
		got, err = middleware.Estimate(bare, func(s *session.Session) {
			note.Set(s, "beside")
			fill("goods", n)(s)
		})
		require.NoError(t, err)
	}, what)
	require.Equal(t, "goods", got.Largest)

	events := &events{}
	m, jar := newSessions(t, c, func(c *middleware.Config) { c.Observer = events.observe }), newJar()
	begun, err := commit(m, jar.Header(""), func(s *session.Session) {
		s.Renew()
		note.Set(s, "beside")
		fill("goods", n)(s)
	})
	require.Equal(t, got.BeginErr == nil, err == nil, what)
	if got.BeginErr != nil {
		require.ErrorIs(t, got.BeginErr, session.ErrTooLarge)
		requireSameLimit(t, got.BeginErr, err, what)
		require.False(t, got.Fits())
		return
	}
	require.Equal(t, got.Stored, len(events.of(middleware.EventSpilled)) == 1, what)
	for _, line := range begun {
		require.True(t, jar.Set(line))
	}
	if !got.Stored {
		require.Equal(t, got.Session.Cookies, len(jar.All()), what)
		require.InDelta(t, got.Session.Request, len(jar.Header(""))+2, 8, what)
		require.InDelta(t, got.Session.Response, len(strings.Join(begun, "")), float64(17*len(begun)+8), what)
	}

	changed, err := commit(m, jar.Header(""), func(s *session.Session) {
		value := slices.Clone(noise(n))
		value[n-1] ^= 1
		session.Key[[]byte]("goods").Set(s, value)
	})
	require.Equal(t, got.ChangeErr == nil, err == nil, what)
	require.Equal(t, got.ChangeErr == nil, got.Fits(), what)
	require.Equal(t, got.Whole, len(events.of(middleware.EventWhole)) == 1, what)
	if err == nil && !got.Stored && len(events.of(middleware.EventSpilled)) == 0 {
		set := slices.DeleteFunc(changed, func(line string) bool { return strings.Contains(line, "; Max-Age=0;") })
		require.Equal(t, got.Change.Cookies, len(set), what)
		require.InDelta(t, got.Change.Response, len(strings.Join(set, "")), float64(17*len(set)+8), what)
	}
}

// requireSameLimit compares two errors of sessions that are too large. Their bytes may
// differ by a few, because a write's id, which is random, takes 1 to 5 bytes.
func requireSameLimit(t *testing.T, estimated, got error, what string) {
	t.Helper()
	var want, have *session.TooLargeError
	require.ErrorAs(t, estimated, &want, what)
	require.ErrorAs(t, got, &have, what)
	require.InDelta(t, want.Need, have.Need, 16, what)
	require.InDelta(t, want.Session, have.Session, 8, what)
	w, h := *want, *have
	w.Need, w.Session, h.Need, h.Session = 0, 0, 0, 0
	require.Equal(t, w, h, what)
}

// commit sends one request and returns its Set-Cookie lines.
func commit(m *middleware.Sessions, cookies string, do func(*session.Session)) ([]string, error) {
	return open(m, nil, do, cookies)()
}

func TestEstimateOfAChange(t *testing.T) {
	of := func(entries, size int) middleware.Footprint {
		got, err := middleware.Estimate(middleware.Config{}, func(s *session.Session) {
			for i := range entries {
				session.Key[string]("k"+strconv.Itoa(i)).Set(s, strings.Repeat(".", size))
			}
			note.Set(s, strings.Repeat(".", size+100))
		})
		require.NoError(t, err)
		require.Equal(t, "note", got.Largest)
		require.Equal(t, codec.SealedLen(got.Session.Bytes), got.Session.Sealed)
		require.True(t, got.Fits())
		require.Equal(t, 32_400, got.Limits.RequestBytes)
		return got
	}
	got := of(10, 100)
	require.Greater(t, got.Session.Bytes, 1200)
	require.False(t, got.Whole)
	require.Equal(t, 2, got.Change.Cookies, "the entry's cell, and the head, which moves with the first change")
	require.Equal(t, got.Change.Request-got.Change.Sealed, 2*len("__Host-session.xxxxxxxxxx=; "), "names and separators are counted")

	got = of(40, 100)
	require.True(t, got.Whole, "a cell for each entry does not fit the limits")
	require.InDelta(t, got.Session.Bytes, got.Change.Bytes, 20)
}

// Base64url text takes three quarters of its length before it is sealed.
func TestEstimateOfTokens(t *testing.T) {
	size := func(text string) middleware.Size {
		got, err := middleware.Estimate(middleware.Config{}, func(s *session.Session) { note.Set(s, text) })
		require.NoError(t, err)
		return got.Session
	}
	plain, packed := size(strings.Repeat("{}", 2000)), size(strings.Repeat("xy", 2000))
	require.InDelta(t, 0.75, float64(packed.Bytes)/float64(plain.Bytes), 0.02)
	require.InDelta(t, 4000, packed.Sealed, 300, "a sealed token has about its own length")
}

func TestEstimateFaults(t *testing.T) {
	_, err := middleware.Estimate(middleware.Config{Platform: "moon"}, func(*session.Session) {})
	require.ErrorContains(t, err, "is not one of")
	_, err = middleware.Estimate(middleware.Config{}, func(*session.Session) {})
	require.ErrorContains(t, err, "fill has set no value")
	_, err = middleware.Estimate(middleware.Config{}, func(s *session.Session) { session.Key[chan int]("c").Set(s, nil) })
	require.ErrorContains(t, err, `"c" cannot be encoded`)
	got, err := middleware.Estimate(middleware.Config{Platform: middleware.ALB}, func(s *session.Session) { blob.Set(s, noise(2<<20)) })
	require.NoError(t, err)
	require.ErrorIs(t, got.BeginErr, session.ErrTooLarge)
	require.ErrorIs(t, got.ChangeErr, session.ErrTooLarge)
	require.ErrorContains(t, got.BeginErr, `"alb"`)
	require.Greater(t, got.Session.Bytes, 2<<20)
	_, err = middleware.Estimate(middleware.Config{}, func(s *session.Session) { session.Key[float64]("f").Set(s, math.Inf(1)) })
	require.NoError(t, err)
}

// A program's tests can check that its largest session fits a platform's limits.
func ExampleEstimate() {
	const cart session.Key[[]string] = "cart"
	full := func(s *session.Session) { cart.Set(s, make([]string, 3000)) }
	for _, platform := range []middleware.Platform{middleware.GoServer, middleware.Fasthttp} {
		got, err := middleware.Estimate(middleware.Config{Platform: platform}, full)
		if err != nil {
			panic(err)
		}
		fmt.Println(platform, got.Session.Cookies, got.Fits())
	}
	// Output:
	// go 2 true
	// fasthttp 2 false
}
