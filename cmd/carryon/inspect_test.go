package main

import (
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
)

func TestInspectScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/inspect",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"visit": visit,
			"fill":  fill,
		},
	})
}

func TestReadCookies(t *testing.T) {
	ab := []cookie{{"a", "1"}, {"b", "2"}}
	for name, v := range map[string]struct {
		text string
		want []cookie
	}{
		"header":                 {"Cookie: a=1; b=2", ab},
		"header without a name":  {"a=1; b=2\n", ab},
		"lower case":             {"cookie: a=1;b=2", ab},
		"two lines":              {"cookie: a=1\ncookie: b=2", ab},
		"request as curl has it": {"> GET / HTTP/1.1\r\n> Host: x\r\n> Cookie: a=1; b=2\r\n>\r\n", ab},
		"document.cookie":        {`'a=1; b=2'`, ab},
		"document.cookie, other": {`"a=1; b=2"`, ab},
		"one pair per line":      {"a=1\nb=2", ab},
		"a byte order mark":      {"\ufeffa=1; b=2", ab},
		"set":                    {"Set-Cookie: a=1; Path=/; HttpOnly\nset-cookie: b=2; Secure", ab},
		"response":               {"HTTP/1.1 200 OK\r\nDate: now\r\nSet-Cookie: a=1; Path=/\r\nset-cookie: b=2\r\n\r\n<p>c=3", ab},
		"quoted values":          {`Cookie: a="1"; b="2"`, ab},
		"colons in a value":      {"a=1:2; b=c:3", []cookie{{"a", "1:2"}, {"b", "c:3"}}},
		"equals signs":           {"a=1==; b=2", []cookie{{"a", "1=="}, {"b", "2"}}},
		"bash, header":           {"curl 'https://x/?q=1' \\\n  -H 'accept: */*' \\\n  -H 'cookie: a=1; b=2' \\\n  --compressed", ab},
		"bash, option":           {"curl 'https://x/' \\\n  -b 'a=1; b=2'", ab},
		"bash, long options":     {"curl --cookie a=1 --header 'Cookie: b=2' https://x/", ab},
		"bash, stuck together":   {"curl -ba=1 --cookie=b=2 https://x/", ab},
		"bash, prompt":           {"$ curl -b 'a=1; b=2' x", ab},
		"bash, ANSI quotes":      {`curl x -H $'cookie: a=\u0031; b=\x32' --data-raw $'it\'s\n'`, ab},
		"bash, double quotes":    {`curl.exe "https://x/" -H "Cookie: a=1; b=2"`, ab},
		"bash, escapes":          {`curl x -b "a=\"q\"\$; b=\2" -H 'it'\''s: x'`, []cookie{{"a", `"q"$`}, {"b", `\2`}}},
		"cmd, older form":        {"curl \"https://x/\" ^\n  -H \"cookie: a=1; b=2\" --compressed", ab},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readCookies(v.text)
			require.NoError(t, err)
			require.Equal(t, v.want, got)
		})
	}
}

func TestReadCookiesRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "no cookie",
		"hello":                       "no cookie",
		"Cookie:":                     "no cookie",
		"curl https://x/":             "contains no cookie",
		"curl -b":                     "contains no cookie",
		"curl -b cookies.txt x":       "contains no cookie",
		"curl 'https://x/":            "not closed",
		`curl "https://x/`:            "not closed",
		`curl $'https://x/\`:          "not closed",
		"curl ^\"x^\" -b ^\"a=1^\"":   "quoted for cmd",
		"curl x --data 'cookie: a=1'": "contains no cookie",
	} {
		_, err := readCookies(text)
		require.ErrorContains(t, err, want, "%q", text)
	}
}

func TestCookiesAreSortedByTheProgramWhoseNamesTheyHave(t *testing.T) {
	for name, want := range map[string]*program{
		"session":                   {base: "session", fixed: true},
		"session.0k7m2qv5xy":        {base: "session"},
		"session.1k7m2qv5xy.1":      {base: "session"},
		"__Host-session.k7m2qv5xyd": {base: "__Host-session"},
		"session.k7m2qv5xyd.63":     {base: "session"},
		"session.0":                 nil,
		"session.1":                 nil,
		"session.2":                 nil,
		"session.k7m2qv5xyd.64":     nil,
		"session.k7m2qv5xyd.0":      nil,
		"session.k7m2qv5xyd.01":     nil,
		"session.k7m2qv5xyd.+1":     nil,
		"session.k7m2qv5xyd.1.1":    nil,
		"session.K7M2QV5XYD":        nil,
		"a.session.k7m2qv5xyd":      nil,
		".k7m2qv5xyd":               nil,
		"":                          nil,
	} {
		got := programs([]cookie{{name, "x"}})
		if want == nil {
			require.Empty(t, got, name)
			continue
		}
		require.Len(t, got, 1, name)
		require.Equal(t, want.base, got[0].base, name)
		require.Equal(t, want.fixed, got[0].fixed, name)
	}
	all := programs([]cookie{{"a.k7m2qv5xyd", "x"}, {"b.k7m2qv5xyd", "x"}, {"a", "x"}, {"a.k7m2qv5xyd.1", "y"}, {"a.k7m2qv5xyd.2", ""}})
	require.Len(t, all, 3)
	require.Equal(t, "a.k7m2qv5xyd=x; a.k7m2qv5xyd.1=y", all[0].header())
}

// sealingRing makes a ring whose key is active when the tests' visitors come.
func sealingRing(t testing.TB) *keyring.Ring {
	ring, err := keyring.Generate(began.Add(-time.Hour))
	require.NoError(t, err)
	return ring
}

// visited returns the cookies of a visitor after some steps.
func visited(t testing.TB, ring *keyring.Ring, steps ...string) string {
	t.Helper()
	v, err := newVisitor(ring, nil)
	require.NoError(t, err)
	for _, word := range steps {
		require.NoError(t, v.step(word), word)
	}
	return v.header()
}

// inspected returns the report on cookies at a time.
func inspected(t testing.TB, ring *keyring.Ring, at time.Time, values bool, text string) string {
	t.Helper()
	cookies, err := readCookies(text)
	require.NoError(t, err)
	var out strings.Builder
	u := &ui{out: &out, now: func() time.Time { return at }}
	require.NoError(t, (&inspection{ui: u, ring: ring, idle: 2 * time.Hour, values: values}).report(cookies))
	return out.String()
}

// The report gives the same reason.Reason as a program.
func TestVerdictIsTheReasonThatAProgramGives(t *testing.T) {
	ring, other := sealingRing(t), sealingRing(t)
	revoked, _, err := ring.Revoke(ring.Active(began).ID(), began)
	require.NoError(t, err)
	good := visited(t, ring, "user")
	name, value, _ := strings.Cut(good, "=")
	listed := visited(t, ring, "user", "wait:1m", "set:a=20", "wait:20m", "set:b=20", "set:c=20", "set:d=20", "set:e=20", "wait:20m", "set:big=600")
	for i, c := range []struct {
		cookies string
		ring    *keyring.Ring
		after   time.Duration
		want    reason.Reason
	}{
		{name + "=" + value[:60] + "AAAAAAAA" + value[68:], ring, 0, reason.BadSeal},
		{"__Host-session.aaaaaaaaaa=" + value, ring, 0, reason.BadSeal},
		{name + "=" + value[:20] + "!" + value[21:], ring, 0, reason.Malformed},
		{"__Host-session.aaaaaaaaaa=AAAA", ring, 0, reason.WrongLength},
		{name + "=" + value[:len(value)-8], ring, 0, reason.Torn},
		{"__Host-session.aaaaaaaaaa=B4" + value[2:], ring, 0, reason.UnknownFormat},
		{good, other, 0, reason.UnknownKey},
		{good, revoked, 0, reason.DeadKey},
		{good, ring, 3 * time.Hour, reason.ExpiredIdle},
		{good, ring, 25 * time.Hour, reason.Expired},
		{visited(t, ring, "user", "destroy"), ring, 0, reason.LoggedOut},
		{good + "; " + visited(t, ring, "user", "wait:1s", "destroy"), ring, 0, reason.LoggedOut},
		{listed[:strings.LastIndex(listed, "; ")], ring, time.Hour, reason.Torn}, // the head lists the entry of the last cell
	} {
		at := began.Add(c.after)
		out := inspected(t, c.ring, at, false, c.cookies)
		_, together, _ := strings.Cut(out, ", all together\n")
		require.Contains(t, together, " "+c.want.String()+"\n", "case %d: %s", i, out)

		sessions, err := middleware.New(middleware.Config{Keys: c.ring, Clock: func() time.Time { return at }, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		_, x := sessions.Begin(t.Context(), middleware.Request{Method: http.MethodGet, Cookies: []string{c.cookies}})
		require.Equal(t, c.want, sessions.From(x).Reason(), "case %d", i)
	}
}

func TestCookieOfAnOlderSessionIsSaidNotToCount(t *testing.T) {
	ring := sealingRing(t)
	older := visited(t, ring, "user", "wait:1s", "renew")
	newer := visited(t, ring, "wait:1m", "set:a=1", "renew", "user")
	require.NotEqual(t, older, newer)
	out := inspected(t, ring, began.Add(2*time.Minute), false, older+"; "+newer)
	require.Equal(t, 1, strings.Count(out, "    counts   no: it belongs to another session, or another cookie replaces it\n"), out)
	require.Contains(t, out, "    refused  superseded\n")
}

func TestPieceThatIsLeftOverDoesNotSpoilTheValue(t *testing.T) {
	ring := sealingRing(t)
	good := visited(t, ring, "user")
	name, _, _ := strings.Cut(good, "=")
	out := inspected(t, ring, began, false, good+"; "+name+".1=AAAA")
	require.Contains(t, out, " 1 piece left over from an older value\n")
	require.Contains(t, out, "    reason   none: ")
}

// A sibling domain can plant an older cookie of the visitor before the current
// one.
func TestOfSeveralCookiesOfAFixedNameTheNewestIsShown(t *testing.T) {
	ring := sealingRing(t)
	v, err := newVisitor(ring, func(c *middleware.Config) { c.Cookie.FixedName = true })
	require.NoError(t, err)
	require.NoError(t, v.step("set:old=20"))
	older := v.header()
	require.NoError(t, v.step("wait:1m"))
	require.NoError(t, v.step("set:new=20"))
	for _, text := range []string{older + "; " + v.header(), v.header() + "; " + older} {
		out := inspected(t, ring, v.clock.Now(), false, text)
		require.Equal(t, 2, strings.Count(out, "one of several under this name"), out)
		require.Contains(t, out, "entries  2\n")
		require.Contains(t, out, `shows    "new", "old"`)
	}
}

// The head of a session that moved from the store back to cookies has the times
// of earlier writes to cells.
func TestHeadThatCameBackFromTheStoreSaysWhenItsEntriesWereWritten(t *testing.T) {
	ring := sealingRing(t)
	v, err := newVisitor(ring, func(c *middleware.Config) {
		var err error
		c.Fallback.Store, err = fallback.NewMemory(fallback.MemoryConfig{MaxBytes: 1 << 20, Clock: c.Clock})
		require.NoError(t, err)
	})
	require.NoError(t, err)
	for _, word := range []string{"user", "wait:1s", "set:a=20", "wait:1s", "set:big=60000", "wait:1s", "delete:big"} {
		require.NoError(t, v.step(word), word)
	}
	out := inspected(t, ring, v.clock.Now(), false, v.header())
	_, head, _ := strings.Cut(out, "kind     head\n")
	require.Contains(t, head, `"a": 21 bytes, written 2026-01-31T12:00:01.000Z`, out)
	require.Contains(t, head, `"user": 13 bytes`+"\n", out)
	require.Contains(t, head, `"big": deleted 2026-01-31T12:00:03.000Z`, out)
}

// The root of a session is secret: names and record keys derive from it.
func TestRootIsNotShown(t *testing.T) {
	ring := sealingRing(t)
	text := visited(t, ring, "user", "set:a=20")
	cookies, err := readCookies(text)
	require.NoError(t, err)
	out := inspected(t, ring, began, true, text)
	roots := 0
	for _, c := range cookies {
		_, tag, _ := strings.Cut(c.name, ".")
		plaintext, _, err := codec.Open(nil, ring, began, codec.Binding{Base: "__Host-session", Suffix: tag}, c.value)
		require.NoError(t, err)
		content, err := state.Decode(plaintext)
		require.NoError(t, err)
		if content.Kind != state.Head {
			continue
		}
		roots++
		require.Contains(t, out, content.Root.ID())
		for _, form := range []string{hex.EncodeToString(content.Root[:]), base64.RawURLEncoding.EncodeToString(content.Root[:]), string(content.Root[:])} {
			require.NotContains(t, out, form)
		}
	}
	require.NotZero(t, roots)
}

// Cookies of other programs often have chunks with similar names.
func TestOtherProgramsCookiesAreNotTakenForOurs(t *testing.T) {
	for _, text := range []string{
		"appSession.0=eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0; appSession.1=AAAAAAAAAAAAAAAAAAAAAAAA",
		"__Secure-next-auth.session-token.0=eyJhbGciOiJkaXIi",
		"session=AQIDBAUAAFAAAAAAAAAAAAAAAAAA; id=BAIDBAUAABUAAAAAAAAAAAAAAAAA",
		"sid=s%3Aabc; session=MTcwMDAwMDAwMHxEdi1CQkFFQ180SUFBUkFCRUFBQVBf",
	} {
		cookies, err := readCookies(text)
		require.NoError(t, err)
		var out strings.Builder
		err = (&inspection{ui: &ui{out: &out, now: time.Now}}).report(cookies)
		require.ErrorContains(t, err, "is a session cookie of carryon", out.String())
	}
}

// Whatever is pasted, reading and reporting must not panic, and the report must
// have no character that does not print.
func FuzzInspect(f *testing.F) {
	for _, text := range []string{
		"Cookie: a=1; __Host-session.k7m2qv5xyd=AQ", "Set-Cookie: a.1=; Max-Age=0", "curl 'x' -b $'a=\\u0031\\x3' -H \"b\\\"\"",
		"\"a=\x1b[31m\"", "__Host-session.k7m2qv5xyd=AauJPpwAAFU4_9tGjgfq; __Host-session.k7m2qv5xyd.1=47zK",
	} {
		f.Add(text)
	}
	ring := sealingRing(f)
	f.Add("Cookie: " + visited(f, ring, "user", "set:a=20", "wait:1m", "delete:a"))
	f.Fuzz(func(t *testing.T, text string) {
		cookies, err := readCookies(text)
		if err != nil {
			return
		}
		var out strings.Builder
		u := &ui{out: &out, now: func() time.Time { return began }}
		_ = (&inspection{ui: u, ring: ring, values: true}).report(cookies)
		for _, r := range out.String() {
			if r < ' ' && r != '\n' || r == 0x7f || r == 0x9b {
				t.Fatalf("the report contains the control character %U", r)
			}
		}
	})
}
