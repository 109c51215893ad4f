package middleware_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/codec/deflate"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// What is estimated is what a server does.
func TestEstimateIsWhatHappens(t *testing.T) {
	for _, platform := range []middleware.Platform{middleware.Default, middleware.Portable, middleware.ALB, middleware.GoServer} {
		for _, n := range []int{10, 700, 1500, 2400, 3700, 6000, 11000, 40000} {
			for _, compressed := range []bool{false, true} {
				c := func(c *middleware.Config) {
					if c.Platform = platform; compressed {
						packed(c)
					}
				}
				estimateOne(t, n, c)
			}
		}
	}
}

func estimateOne(t *testing.T, n int, c func(*middleware.Config)) {
	var bare middleware.Config
	c(&bare)
	got, err := middleware.Estimate(bare, func(s *session.Session) {
		note.Set(s, "beside")
		goods.Set(s, listOf(n))
	})
	require.NoError(t, err)
	require.Equal(t, "goods", got.Largest)

	s := newSite(t, func(_ http.ResponseWriter, r *http.Request) {
		v := session.From(r.Context())
		note.Set(v, "beside")
		goods.Set(v, listOf(n))
		if r.URL.Path == "/change" {
			goods.Set(v, listOf(n)+"_")
		}
	}, config(c))
	what := fmt.Sprint(n, " bytes, platform ", bare.Platform, ", compressed ", bare.Compression != nil)
	a := s.get("/begin")
	require.Equal(t, got.BeginErr == nil, a.StatusCode == http.StatusOK, what)
	if got.BeginErr != nil {
		require.ErrorIs(t, got.BeginErr, session.ErrTooLarge)
		require.False(t, got.Fits())
		return
	}
	require.Equal(t, got.Session.Cookies, len(s.jar.All()), what)
	require.InDelta(t, got.Session.Request, len(s.jar.Header(s.URL))+2, 8, what)
	lines := strings.Join(a.Header["Set-Cookie"], "")
	require.InDelta(t, got.Session.Response, len(lines), float64(8+16*len(a.Header["Set-Cookie"])), what)

	require.Equal(t, got.ChangeErr == nil, s.get("/change").StatusCode == http.StatusOK, what)
	require.Equal(t, got.ChangeErr == nil, got.Fits(), what)
}

func TestEstimateOfAChange(t *testing.T) {
	got, err := middleware.Estimate(middleware.Config{}, func(s *session.Session) {
		for i := range 20 {
			session.Key[string]("k"+strconv.Itoa(i)).Set(s, strings.Repeat("x", 100))
		}
		note.Set(s, strings.Repeat("y", 150))
	})
	require.NoError(t, err)
	require.Equal(t, "note", got.Largest)
	require.Greater(t, got.Session.Bytes, 2150)
	require.Less(t, got.Change.Bytes, 600, "the entry, and the names of what it is beside")
	require.Equal(t, codec.SealedLen(got.Session.Bytes), got.Session.Sealed)
	require.Equal(t, 6, got.Limits.Parallel)
	require.True(t, got.Fits())
}

func TestEstimateOfCompressed(t *testing.T) {
	of := func(c middleware.Config) middleware.Footprint {
		got, err := middleware.Estimate(c, func(s *session.Session) { goods.Set(s, listOf(9000)) })
		require.NoError(t, err)
		return got
	}
	plain, packed := of(middleware.Config{}), of(middleware.Config{Compression: deflate.New()})
	require.Equal(t, plain.Session.Bytes, packed.Session.Bytes)
	require.Less(t, packed.Session.Sealed, plain.Session.Sealed/2)
	require.Equal(t, 1, packed.Session.Cookies)
	require.Equal(t, packed.Session.Request-packed.Session.Sealed, len("__Host-session.xxxxxxxxxx=; "), "what is sent is counted")
}

func TestEstimateFaults(t *testing.T) {
	_, err := middleware.Estimate(middleware.Config{Platform: "moon"}, func(*session.Session) {})
	require.ErrorContains(t, err, "is not one of")
	_, err = middleware.Estimate(middleware.Config{}, func(*session.Session) {})
	require.ErrorContains(t, err, "set a value")
	_, err = middleware.Estimate(middleware.Config{}, func(s *session.Session) { session.Key[chan int]("c").Set(s, nil) })
	require.ErrorContains(t, err, `"c" cannot be encoded`)
	got, err := middleware.Estimate(middleware.Config{}, func(s *session.Session) { blob.Set(s, noise(2<<20)) })
	require.NoError(t, err)
	require.ErrorIs(t, got.BeginErr, session.ErrTooLarge)
	require.ErrorIs(t, got.ChangeErr, session.ErrTooLarge)
}

// A program's own test can hold its largest session to a platform's limits.
func ExampleEstimate() {
	const cart session.Key[[]string] = "cart"
	full := func(s *session.Session) { cart.Set(s, make([]string, 500)) }
	for _, platform := range []middleware.Platform{middleware.GoServer, middleware.Fasthttp} {
		got, err := middleware.Estimate(middleware.Config{Platform: platform}, full)
		if err != nil {
			panic(err)
		}
		fmt.Println(platform, got.Session.Cookies, got.Fits())
	}
	// Output:
	// go 1 true
	// fasthttp 1 false
}
