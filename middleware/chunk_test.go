package middleware_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

const blob session.Key[[]byte] = "blob"

// noise returns n incompressible bytes, which differ for each n.
func noise(n int) []byte {
	r := rand.New(rand.NewPCG(uint64(n), 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// sized is a program whose session has a given size. Its paths are /put?n=, /size
// (which answers n or the reason), /note?v=, /renew and /out.
func sized(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	switch r.URL.Path {
	case "/put":
		n, _ := strconv.Atoi(r.FormValue("n"))
		blob.Set(s, noise(n))
	case "/note":
		note.Set(s, r.FormValue("v"))
	case "/renew":
		s.Renew()
	case "/out":
		s.Destroy()
	case "/size":
		b, ok := blob.Get(s)
		if !ok {
			fmt.Fprint(w, s.Reason())
		} else if string(b) == string(noise(len(b))) {
			fmt.Fprint(w, len(b))
		} else {
			fmt.Fprint(w, "garbage")
		}
	}
}

func wide(c *middleware.Config) { c.Platform = middleware.GoServer }

func (s *site) put(n int) {
	s.t.Helper()
	require.Equal(s.t, http.StatusOK, s.get("/put?n="+strconv.Itoa(n)).StatusCode)
}

func TestSessionGrowsAndShrinksThroughChunks(t *testing.T) {
	s := newSite(t, sized, config(wide))
	// From the second write on, the jar has a head and a cell for the value.
	for _, step := range []struct{ bytes, cookies int }{{100, 1}, {5000, 3}, {11000, 5}, {30000, 12}, {5000, 3}, {100, 2}, {3000, 3}, {10, 2}} {
		s.put(step.bytes)
		require.Equal(t, strconv.Itoa(step.bytes), s.get("/size").body)
		require.Len(t, s.jar.All(), step.cookies, "after %d bytes", step.bytes)
		for _, c := range s.jar.All() {
			require.LessOrEqual(t, len(c.Name)+len(c.Value), 4093, "Safari's limit")
		}
	}
}

func TestNoSetCookieLineIsLongerThanTheStrictestReaderTakes(t *testing.T) {
	s := newSite(t, sized, config(wide))
	for n := 2700; n < 3100; n += 7 {
		for _, line := range s.get("/put?n=" + strconv.Itoa(n)).Header["Set-Cookie"] {
			require.LessOrEqual(t, len(line), 4096)
		}
		require.Equal(t, strconv.Itoa(n), s.get("/size").body)
	}
}

// Each kind of damage to a chunked session gives a reason, never wrong data and
// never a 500. Surplus pieces do no harm.
func TestDamagedChunks(t *testing.T) {
	name := func(s *site, piece int) string {
		base := s.jar.All()[0].Name
		if parts := strings.Split(base, "."); len(parts) > 2 {
			base = parts[0] + "." + parts[1]
		}
		if piece == 0 {
			return base
		}
		return base + "." + strconv.Itoa(piece)
	}
	value := func(s *site, name string) string {
		for _, c := range s.jar.All() {
			if c.Name == name {
				return c.Value
			}
		}
		return ""
	}
	for what, c := range map[string]struct {
		damage func(s *site)
		want   string
	}{
		"a piece is missing":         {func(s *site) { s.jar.Evict(name(s, 1)) }, "torn"},
		"the last piece is missing":  {func(s *site) { s.jar.Evict(name(s, 3)) }, "torn"},
		"the first piece is missing": {func(s *site) { s.jar.Evict(name(s, 0)) }, "torn"},
		"a piece is empty":           {func(s *site) { s.jar.Put(name(s, 2), "") }, "torn"},
		"a piece is cut":             {func(s *site) { s.jar.Put(name(s, 2), value(s, name(s, 2))[1:]) }, "torn"},
		"a piece is longer":          {func(s *site) { s.jar.Put(name(s, 3), value(s, name(s, 3))+"A") }, "torn"},
		"two pieces are swapped": {func(s *site) {
			a, b := value(s, name(s, 1)), value(s, name(s, 2))
			s.jar.Put(name(s, 1), b)
			s.jar.Put(name(s, 2), a)
		}, "bad seal"},
		"a piece has another's value": {func(s *site) { s.jar.Put(name(s, 2), value(s, name(s, 1))) }, "bad seal"},
		"a piece is not base64":       {func(s *site) { s.jar.Put(name(s, 1), "!"+value(s, name(s, 1))[1:]) }, "malformed"},
		"pieces beyond the end":       {func(s *site) { s.jar.Put(name(s, 4), "left-over"); s.jar.Put(name(s, 9), "x") }, "11000"},
		"invalid piece numbers":       {func(s *site) { s.jar.Put(name(s, 0)+".01", "x"); s.jar.Put(name(s, 0)+".64", "x") }, "11000"},
		"a number after the number":   {func(s *site) { s.jar.Put(name(s, 1)+".1", "x") }, "11000"},
	} {
		t.Run(what, func(t *testing.T) {
			s := newSite(t, sized, config(wide))
			s.put(11000)
			require.Len(t, s.jar.All(), 4)
			c.damage(s)
			got := s.get("/size")
			require.Equal(t, http.StatusOK, got.StatusCode)
			require.Equal(t, c.want, got.body)
			s.put(20) // the session can be written again
			require.Equal(t, "20", s.get("/size").body)
			require.Equal(t, http.StatusOK, s.get("/out").StatusCode)
			if c.want == "bad seal" {
				return // the cookie may be another program's, so it stays
			}
			for _, c := range s.jar.Names() {
				require.NotRegexp(t, `^__Host-session\.[a-z2-7]{10}\.[1-9]$`, c, "no piece is left over")
			}
		})
	}
}

// Pieces of one session are refused in another session.
func TestForeignPieces(t *testing.T) {
	a, b := newSite(t, sized, config(wide)), newSite(t, sized, config(wide))
	a.put(5000)
	b.put(5000)
	first, second := a.jar.All()[0], b.jar.All()[1]
	if strings.Count(first.Name, ".") > 1 {
		first = a.jar.All()[1]
	}
	if strings.Count(second.Name, ".") == 1 {
		second = b.jar.All()[0]
	}
	got := a.bare("/size", first.Name+"="+first.Value+"; "+first.Name+".1="+second.Value)
	require.Equal(t, http.StatusOK, got.StatusCode)
	require.NotEqual(t, "5000", got.body)
	require.NotEqual(t, "garbage", got.body)
}

// A sibling domain can plant a bad value under the name of a good one. The good one
// is found at any position.
func TestDoubledPieces(t *testing.T) {
	s := newSite(t, sized, config(wide))
	s.put(5000)
	var good, bad []string
	for _, c := range s.jar.All() {
		good = append(good, c.Name+"="+c.Value)
		bad = append(bad, c.Name+"="+strings.Repeat("A", len(c.Value)))
	}
	for _, order := range [][]string{
		append(append([]string{}, bad...), good...), append(append([]string{}, good...), bad...),
		{bad[0], good[1], good[0], bad[1]}, {good[0], bad[1], bad[0], good[1]},
		append(append([]string{}, good...), good...),
	} {
		require.Equal(t, "5000", s.bare("/size", strings.Join(order, "; ")).body)
		require.Equal(t, "5000", s.bare("/size", order...).body, "each in a header line of its own")
	}
}

func TestWhatDoesNotFitIsNamedBeforeTheHeader(t *testing.T) {
	var failed error
	s := newSite(t, sized, config(func(c *middleware.Config) {
		c.Platform = middleware.Nginx
		c.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
			failed = err
			w.WriteHeader(http.StatusInsufficientStorage)
		}
	}))
	s.put(300)
	before := s.jar.Header(s.URL)
	got := s.get("/put?n=9000")
	require.Equal(t, http.StatusInsufficientStorage, got.StatusCode)
	require.Empty(t, got.Header["Set-Cookie"])
	require.Equal(t, before, s.jar.Header(s.URL))
	require.ErrorIs(t, failed, session.ErrTooLarge)
	var e *session.TooLargeError
	require.ErrorAs(t, failed, &e)
	require.Greater(t, e.Need, e.Max)
	require.Equal(t, "nginx", e.Platform)
	require.Equal(t, "blob", e.Largest[0].Name)
	require.GreaterOrEqual(t, e.Largest[0].Bytes, 9000)
	require.NotContains(t, e.Error(), string(noise(9000)[:8]))
	require.Equal(t, "300", s.get("/size").body)
}

// The program's other cookies count against the request's limits.
func TestOtherCookiesCount(t *testing.T) {
	s := newSite(t, sized, config(func(c *middleware.Config) { c.Platform = middleware.Portable }))
	s.put(1500)
	require.Equal(t, http.StatusOK, s.get("/put?n=1501").StatusCode)
	s.jar.Put("tracking", strings.Repeat("x", 3000))
	s.jar.Put("consent", strings.Repeat("x", 2000))
	require.Equal(t, http.StatusInternalServerError, s.get("/put?n=2000").StatusCode)
	failed, ok := errors.AsType[*session.TooLargeError](s.events.of(middleware.EventFailed)[0].Err)
	require.True(t, ok)
	require.Equal(t, session.LimitRequestBytes, failed.Limit)
	require.Equal(t, len("tracking=")+len("consent=")+5000+2*len("; "), failed.Others, "the error has the size of the other cookies")
	require.Equal(t, "1501", s.get("/size").body)
	require.Equal(t, http.StatusOK, s.get("/put?n=100").StatusCode, "a write that only shrinks the session succeeds")
	s.jar.Evict("tracking")
	require.Equal(t, http.StatusOK, s.get("/put?n=2000").StatusCode)
}

func TestFixedName(t *testing.T) {
	s := newSite(t, sized, config(func(c *middleware.Config) { c.Cookie.Name, c.Cookie.FixedName = "__session", true }))
	s.put(500)
	require.Equal(t, []string{"__session"}, s.jar.Names())
	s.get("/note?v=kept")
	s.put(2000)
	s.get("/renew")
	require.Equal(t, "2000", s.get("/size").body)
	require.Equal(t, []string{"__session"}, s.jar.Names())
	require.Equal(t, http.StatusInternalServerError, s.get("/put?n=4000").StatusCode, "only one cookie is permitted")
	require.Equal(t, "2000", s.get("/size").body)
	require.Len(t, s.get("/out").Header["Set-Cookie"], 1, "the cookie is expired, and no logout marker is set")
	require.Empty(t, s.jar.Names())
	require.Equal(t, "absent", s.get("/size").body)
}
