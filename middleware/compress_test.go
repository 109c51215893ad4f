package middleware_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"fmt"
	"log"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/codec/deflate"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

const (
	goods session.Key[string] = "goods"
	csrf  session.Key[string] = "csrf"
)

// listOf is n bytes of a cart as JSON, the same for the same n.
func listOf(n int) string {
	r, b := rand.New(rand.NewPCG(3, 5)), []byte(nil)
	for len(b) < n {
		b = fmt.Appendf(b, `{"sku":"SKU-%08X","title":"Umbrella, windproof","quantity":%d,"cents":%d},`, r.Uint32(), r.IntN(9), r.IntN(50_000))
	}
	return string(b[:n])
}

// shop keeps carts: /put?n=, /blob?n=, /note?v=, /csrf?v=, /out, /all.
func shop(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	n, _ := strconv.Atoi(r.FormValue("n"))
	switch r.URL.Path {
	case "/put":
		goods.Set(s, listOf(n))
	case "/blob":
		blob.Set(s, noise(n))
	case "/note":
		note.Set(s, r.FormValue("v"))
	case "/csrf":
		csrf.Set(s, r.FormValue("v"))
	case "/out":
		s.Destroy()
	case "/all":
		list, _ := goods.Get(s)
		text, _ := note.Get(s)
		token, _ := csrf.Get(s)
		b, _ := blob.Get(s)
		fmt.Fprint(w, list == listOf(len(list)), " ", len(list), " ", text, " ", token, " ", string(b) == string(noise(len(b))), " ", len(b))
	}
}

func packed(c *middleware.Config) { c.Compression, c.Secret = deflate.New(), []string{"csrf"} }

func (s *site) ok(path string) answer {
	s.t.Helper()
	a := s.get(path)
	require.Equal(s.t, http.StatusOK, a.StatusCode, path)
	return a
}

func TestCompressionSavesCookies(t *testing.T) {
	for _, test := range []struct{ bytes, plain, packed int }{{100, 1, 1}, {2500, 1, 1}, {4000, 2, 1}, {8000, 3, 1}, {20000, 7, 1}, {40000, 14, 2}} {
		for what, want := range map[string]int{"plain": test.plain, "packed": test.packed} {
			s := newSite(t, shop, config(wide))
			if what == "packed" {
				s = newSite(t, shop, config(wide), config(packed))
			}
			s.ok("/put?n=" + strconv.Itoa(test.bytes))
			require.Equal(t, want, len(s.jar.All()), "%d bytes, %s", test.bytes, what)
			require.Equal(t, fmt.Sprint("true ", test.bytes, "   true 0"), s.ok("/all").body)
		}
	}
}

// One cookie is one cookie: there is nothing to be had, and so no leak.
func TestWhatFitsOneCookieIsNotCompressed(t *testing.T) {
	long, short := newSite(t, shop, config(packed)), newSite(t, shop, config(packed))
	long.ok("/note?v=" + strings.Repeat("a", 2000))
	short.ok("/note?v=" + strings.Repeat("a", 1000))
	require.Greater(t, long.jar.Bytes(), short.jar.Bytes()+1300)
	plain := newSite(t, shop)
	plain.ok("/note?v=" + strings.Repeat("a", 2000))
	require.InDelta(t, plain.jar.Bytes(), long.jar.Bytes(), 8)
}

func TestWhatDoesNotCompressIsSentAsItIs(t *testing.T) {
	s := newSite(t, shop, config(wide), config(packed))
	plain := newSite(t, shop, config(wide))
	s.ok("/blob?n=8000")
	plain.ok("/blob?n=8000")
	require.Len(t, s.jar.All(), len(plain.jar.All()))
	require.InDelta(t, plain.jar.Bytes(), s.jar.Bytes(), 8)
	require.Equal(t, "true 0   true 8000", s.ok("/all").body)
}

// The budget counts what is sent.
func TestCompressionCountsInTheBudget(t *testing.T) {
	portable := func(c *middleware.Config) { c.Platform, c.Limits.Parallel = middleware.Portable, 1 }
	plain := newSite(t, shop, config(portable))
	require.Equal(t, http.StatusInternalServerError, plain.get("/put?n=10000").StatusCode)
	s := newSite(t, shop, config(portable), config(packed))
	s.ok("/put?n=10000")
	require.Len(t, s.jar.All(), 1)
	require.Equal(t, http.StatusInternalServerError, s.get("/blob?n=6000").StatusCode, "it counts what does not compress, too")
	require.Equal(t, "true 10000   true 0", s.ok("/all").body)
}

// fleet is replicas that share a ring and a visitor, but not the setting.
func fleet(t *testing.T) (on, off *site) {
	ring := newRing(t)
	shared := config(func(c *middleware.Config) { c.Keys, c.Platform = ring, middleware.GoServer })
	on, off = newSite(t, shop, shared, config(packed)), newSite(t, shop, shared)
	off.jar.URL = on.URL // cookies know no ports
	off.client.Jar, off.jar = on.jar, on.jar
	return on, off
}

// Compression can be turned on and off, replica by replica.
func TestMixedFleet(t *testing.T) {
	on, off := fleet(t)
	tick := func(d time.Duration) {
		on.clock.advance(d)
		off.clock.advance(d)
	}
	r := rand.New(rand.NewPCG(11, 13))
	size, text, bytes := 0, "", 0
	for i := range 120 {
		s := []*site{on, off}[r.IntN(2)]
		switch r.IntN(5) {
		case 0:
			size = 1 + r.IntN(9000)
			s.ok("/put?n=" + strconv.Itoa(size))
		case 1:
			text = strings.Repeat("v"+strconv.Itoa(i), 1+r.IntN(100))
			s.ok("/note?v=" + text)
		case 2:
			bytes = 1 + r.IntN(2000)
			s.ok("/blob?n=" + strconv.Itoa(bytes))
		default:
			tick(time.Duration(r.IntN(4000)) * time.Second)
		}
		for _, s := range []*site{on, off} {
			require.Equal(t, fmt.Sprint("true ", size, " ", text, "  true ", bytes), s.ok("/all").body, "step %d", i)
		}
		tick(time.Second)
		if i%40 == 39 { // before the lifetime is over
			on.ok("/out")
			size, text, bytes = 0, "", 0
			on.jar.Restart()
		}
	}
	for _, s := range []*site{on, off} {
		for _, e := range s.events.of(middleware.EventRefused) {
			require.Contains(t, []session.Reason{session.LoggedOut, session.Superseded}, e.Reason)
		}
	}
}

// A name follows from the content, and the content does not know of its form.
func TestReadersTidyUpUnderOneName(t *testing.T) {
	on, off := fleet(t)
	on.ok("/put?n=9000")
	for i := range 3 { // beside one another: each sees the first cookie alone
		before := on.jar.Header(on.URL)
		a := off.bare("/"+[]string{"note?v=x", "csrf?v=y", "blob?n=10"}[i], before)
		for _, line := range a.Header["Set-Cookie"] {
			on.jar.Set(line)
		}
	}
	on.clock.advance(time.Minute)
	off.clock.advance(time.Minute)
	all := on.jar.Header(on.URL)
	first := func(s *site) (names []string) {
		for _, c := range (&http.Response{Header: s.bare("/all", all).Header}).Cookies() {
			if c.MaxAge > 0 {
				names = append(names, c.Name)
			}
		}
		return names
	}
	one, four := first(on), first(off)
	require.Len(t, one, 1)
	require.Len(t, four, 4)
	require.Equal(t, one[0], four[0])
}

// A touch of a compressed session keeps its name; a replica that would need
// more cookies for it sets the clock beside it.
func TestTouchOfCompressed(t *testing.T) {
	on, off := fleet(t)
	on.ok("/put?n=9000")
	require.Len(t, on.jar.All(), 1)
	name, value := on.cookie().Name, on.cookie().Value
	on.clock.advance(90 * time.Minute)
	off.clock.advance(90 * time.Minute)
	header := on.jar.Header(on.URL)

	lines := on.bare("/all", header).Header["Set-Cookie"]
	require.Len(t, lines, 1)
	require.True(t, strings.HasPrefix(lines[0], name+"="))
	require.NotContains(t, lines[0], value)

	lines = off.bare("/all", header).Header["Set-Cookie"]
	require.Len(t, lines, 1)
	require.False(t, strings.HasPrefix(lines[0], name))
	require.Less(t, len(lines[0]), 500)

	for _, s := range []*site{on, off} { // both land
		for _, line := range s.bare("/all", header).Header["Set-Cookie"] {
			on.jar.Set(line)
		}
	}
	on.clock.advance(90 * time.Minute)
	require.Equal(t, "true 9000   true 0", on.ok("/all").body)
}

// An attacker who writes into the session sees, by its length, whether they
// have guessed what else is in it; not so where that is named as a secret.
func TestLengthsTellNothingOfSecrets(t *testing.T) {
	secret := strings.Repeat("0123456789abcdef", 10)
	length := func(guess string, c func(*middleware.Config)) int {
		s := newSite(t, shop, config(wide), config(c))
		s.ok("/put?n=6000")
		s.ok("/csrf?v=" + secret)
		s.ok("/note?v=" + guess)
		s.ok("/put?n=6001") // the whole, compressed
		require.Len(t, s.jar.All(), 1)
		return s.jar.Bytes()
	}
	r := rand.New(rand.NewPCG(1, 1))
	wrong := make([]byte, len(secret)) // another of the same kind
	for i := range wrong {
		wrong[i] = "0123456789abcdef"[r.IntN(16)]
	}
	careless := func(c *middleware.Config) { c.Compression = deflate.New() }
	require.Less(t, length(secret, careless), length(string(wrong), careless), "this is the leak")

	swapped := func(secret string) int {
		s := newSite(t, shop, config(wide), config(packed))
		s.ok("/put?n=6000")
		s.ok("/csrf?v=" + secret)
		s.ok("/note?v=" + string(wrong))
		s.ok("/put?n=6001")
		return s.jar.Bytes()
	}
	require.Equal(t, swapped(secret), swapped(string(wrong)), "the guess is right in the second")
}

func TestCompressionInFixedNameMode(t *testing.T) {
	fixed := func(c *middleware.Config) { c.FixedName, c.Name = true, "__session" }
	plain := newSite(t, shop, config(fixed))
	require.Equal(t, http.StatusInternalServerError, plain.get("/put?n=8000").StatusCode)
	s := newSite(t, shop, config(fixed), config(packed))
	s.ok("/put?n=8000")
	require.Equal(t, "__session", s.cookie().Name)
	require.Equal(t, "true 8000   true 0", s.ok("/all").body)
}

// Who has the ring can seal anything, also what unpacks to more than it says.
func TestSealedBombs(t *testing.T) {
	var zeros bytes.Buffer
	w, err := flate.NewWriter(&zeros, 9)
	require.NoError(t, err)
	_, err = w.Write(make([]byte, 1<<20))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	stream := append(zeros.Bytes(), make([]byte, 64-zeros.Len()%64)...)
	ring := newRing(t)
	s := newSite(t, app, config(func(c *middleware.Config) { c.Keys = ring }))
	for _, plaintext := range [][]byte{
		slices.Concat([]byte{1, 0, 1, 0, 0, 0, 0x0f, 0xff, 0xff}, stream),
		slices.Concat([]byte{1, 0, 1, 0, 0, 0, 0, 0xff, 0xff}, stream),
		slices.Concat([]byte{1, 0xff, 0xff}, stream),
		{1}, {1, 0, 0},
	} {
		value, err := codec.Seal(nil, ring.Active(noon), codec.Binding{Base: "__Host-session", Suffix: "aaaaaaaaaa"}, plaintext)
		require.NoError(t, err)
		a := s.bare("/read", "__Host-session.aaaaaaaaaa="+string(value))
		require.Equal(t, http.StatusNotFound, a.StatusCode)
		require.Equal(t, string(session.Malformed), a.Header.Get("X-Reason"))
	}
}

// zipper writes gzip's form.
type zipper struct{}

func (zipper) Compress(dst, src []byte) []byte {
	b := bytes.NewBuffer(dst)
	w := gzip.NewWriter(b)
	_, _ = w.Write(src)
	_ = w.Close()
	return b.Bytes()
}

func TestCompressionFaults(t *testing.T) {
	keys := newRing(t)
	for what, c := range map[string]middleware.Config{
		"Compression is a nil pointer":           {Compression: (*deflate.Compressor)(nil)},
		"Compression does not write raw DEFLATE": {Compression: zipper{}},
		"Secret: the name of an entry":           {Secret: []string{""}},
	} {
		c.Keys = keys
		_, err := middleware.New(c)
		require.ErrorContains(t, err, what)
	}
	_, err := middleware.New(middleware.Config{Keys: keys, Secret: []string{"csrf"}})
	require.NoError(t, err, "what is secret may be said with compression off")
}

func ExampleConfig_compression() {
	const user session.Key[string] = "user"
	const csrf session.Key[string] = "csrf"
	keys, err := keyring.Generate(time.Now()) // in a program: keyring.Open
	if err != nil {
		log.Fatal(err)
	}
	_, err = middleware.New(middleware.Config{
		Keys:        keys,
		Compression: deflate.New(),
		Secret:      []string{string(user), string(csrf)},
	})
	fmt.Println(err)
	// Output: <nil>
}
