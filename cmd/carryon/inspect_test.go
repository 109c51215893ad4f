package main

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/session"
)

func TestInspectScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/inspect",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"session": writeSession,
			"fill":    fill,
		},
	})
}

var began = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// sample is a session of one user, begun on 31 January 2026 for a day, with the
// given number of bytes beside.
func sample(size int) *core.Fragment {
	ms := began.UnixMilli()
	f := &core.Fragment{
		Kind: core.Data, Root: core.Root{1, 2, 3}, Created: ms, End: ms + 24*3600_000, Seen: ms + 90_000,
		Born: core.Stamp{At: ms, ID: 7},
		Entries: []core.Entry{
			{Name: "old", Stamp: core.Stamp{At: ms + 2000, ID: 9}, Gone: ms + 2000},
			{Name: "user", Stamp: core.Stamp{At: ms + 1000, ID: 8}, Value: []byte("\xa1\x64Name\x66张三")},
		},
	}
	if size > 0 {
		value := append([]byte{0x59, byte(size >> 8), byte(size)}, make([]byte, size)...)
		f.Entries = append([]core.Entry{{Name: "big", Stamp: core.Stamp{At: ms + 1000, ID: 8}, Value: value}}, f.Entries...)
	}
	f.Name()
	return f
}

// session RING SIZE AUDIENCE: the variables C0, C1, … become the cookies
// (name=value) of the sample session, in pieces of 4,000 characters, and COOKIE
// all of them as a header has them.
func writeSession(ts *testscript.TestScript, _ bool, args []string) {
	ring, err := keyring.Parse([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	f := sample(size)
	b := codec.Binding{Audience: args[2], Base: "__Host-session", Suffix: f.Suffix}
	value, err := codec.Seal(nil, ring.Active(began), b, f.Plaintext())
	ts.Check(err)
	pieces, err := codec.Split(value, func(int) int { return 4000 })
	ts.Check(err)
	var all []string
	for i, p := range pieces {
		name := b.Base + "." + b.Suffix
		if i > 0 {
			name += "." + strconv.Itoa(i)
		}
		ts.Setenv("C"+strconv.Itoa(i), name+"="+string(p))
		all = append(all, name+"="+string(p))
	}
	ts.Setenv("COOKIE", strings.Join(all, "; "))
}

// fill FILE: every $VAR in the file is replaced by the variable.
func fill(ts *testscript.TestScript, _ bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
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
		"a pair a line":          {"a=1\nb=2", ab},
		"a mark in front":        {"\ufeffa=1; b=2", ab},
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
		"cmd":                    {"curl ^\"https://x/?a=1^&b=2^\" ^\r\n  -H ^\"accept: */*^\" ^\r\n  -b ^\"a=1; b=2^\" ^\r\n  --compressed", ab},
		"cmd, header":            {"curl ^\"https://x/^\" ^\n  -H ^\"cookie: a=1; b=2^\" --data-raw ^\"^{^\\^\"c^\\^\":3^}^\"", ab},
		"cmd, as it was once":    {"curl \"https://x/\" ^\n  -H \"cookie: a=1; b=2\" --compressed", ab},
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
		"curl https://x/":             "carries no cookie",
		"curl -b":                     "carries no cookie",
		"curl -b cookies.txt x":       "carries no cookie",
		"curl 'https://x/":            "not closed",
		`curl "https://x/`:            "not closed",
		`curl $'https://x/\`:          "not closed",
		"curl ^\"https://x/ -b a=1":   "not closed",
		"curl x --data 'cookie: a=1'": "carries no cookie",
	} {
		_, err := readCookies(text)
		require.ErrorContains(t, err, want, "%q", text)
	}
}

func TestSplitName(t *testing.T) {
	for name, want := range map[string]fragment{
		"session":               {base: "session"},
		"session.1":             {base: "session", pieces: map[int][]string{1: nil}},
		"session.k7m2qv5xyd":    {base: "session", suffix: "k7m2qv5xyd"},
		"session.k7m2qv5xyd.63": {base: "session", suffix: "k7m2qv5xyd", pieces: map[int][]string{63: nil}},
		"session.2222222222":    {base: "session", suffix: "2222222222"},
		"session.k7m2qv5xyd.64": {base: "session.k7m2qv5xyd.64"},
		"session.k7m2qv5xyd.0":  {base: "session.k7m2qv5xyd.0"},
		"session.k7m2qv5xyd.01": {base: "session.k7m2qv5xyd.01"},
		"session.k7m2qv5xyd.+1": {base: "session.k7m2qv5xyd.+1"},
		"session.K7M2QV5XYD":    {base: "session.K7M2QV5XYD"},
		".k7m2qv5xyd":           {base: ".k7m2qv5xyd"},
		"":                      {},
	} {
		base, suffix, piece := splitName(name)
		require.Equal(t, want.base, base, name)
		require.Equal(t, want.suffix, suffix, name)
		if piece > 0 {
			require.Contains(t, want.pieces, piece, name)
		} else {
			require.Empty(t, want.pieces, name)
		}
	}
}

// What is wrong with cookies is told by the words of session.Reason, for each and
// for all together.
func TestVerdictsAreReasons(t *testing.T) {
	ring, err := keyring.Generate(began.Add(-time.Hour))
	require.NoError(t, err)
	other, err := keyring.Generate(began.Add(-time.Hour))
	require.NoError(t, err)
	revoked, _, err := ring.Revoke(ring.Active(began).ID(), began)
	require.NoError(t, err)
	seal := func(f *core.Fragment) (name, value string) {
		f.Name()
		sealed, err := codec.Seal(nil, ring.Active(began), codec.Binding{Base: "__Host-session", Suffix: f.Suffix}, f.Plaintext())
		require.NoError(t, err)
		return "__Host-session." + f.Suffix, string(sealed)
	}
	name, value := seal(sample(0))
	later := sample(0).Fresh()
	later.Root, later.Born.At = core.Root{9}, later.Born.At+5000
	newName, newValue := seal(later)
	bye := (&core.View{Head: sample(0), MaxBorn: sample(0).Born.At}).Farewell(core.Root{8}, core.Write{Now: began.UnixMilli() + 60_000, ID: 5})
	byeName, byeValue := seal(bye)
	for _, c := range []struct {
		cookies string
		ring    *keyring.Ring
		after   time.Duration
		want    session.Reason
	}{
		{name + "=" + value[:60] + "AAAAAAAA" + value[68:], ring, 0, session.BadSeal},
		{"__Host-session.aaaaaaaaaa=" + value, ring, 0, session.BadSeal},
		{name + "=" + value[:20] + "!" + value[21:], ring, 0, session.Malformed},
		{name + "=AAAA", ring, 0, session.WrongLength},
		{name + "=" + value[:len(value)-8], ring, 0, session.Torn},
		{name + "=B4" + value[2:], ring, 0, session.UnknownFormat},
		{name + "=" + value, other, 0, session.UnknownKey},
		{name + "=" + value, revoked, 0, session.DeadKey},
		{name + "=" + value, ring, 3 * time.Hour, session.ExpiredIdle},
		{name + "=" + value, ring, 25 * time.Hour, session.Expired},
		{name + "=" + value + "; " + newName + "=" + newValue, ring, 0, session.Superseded},
		{name + "=" + value + "; " + byeName + "=" + byeValue, ring, 0, session.LoggedOut},
	} {
		cookies, err := readCookies(c.cookies)
		require.NoError(t, err)
		var out strings.Builder
		u := &ui{out: &out, now: func() time.Time { return began.Add(2*time.Minute + c.after) }}
		require.NoError(t, (&inspection{ui: u, ring: c.ring, idle: 2 * time.Hour}).report(cookies))
		_, together, _ := strings.Cut(out.String(), ", all together\n")
		require.Contains(t, together, " "+string(c.want)+"\n", out.String())
	}
}

// The session's root is a secret from which names and record keys follow.
func TestDescribeDoesNotShowTheRoot(t *testing.T) {
	f := sample(0)
	lines := describe(f, true, began)
	var all strings.Builder
	for _, l := range lines {
		all.WriteString(l.label + " " + l.text + "\n")
	}
	require.Contains(t, all.String(), f.Root.ID())
	require.NotContains(t, all.String(), "010203")
	require.NotContains(t, all.String(), "AQID")
}

// Whatever is pasted, reading it does not panic, and the report neither panics
// nor sends the terminal anything that is not printed.
func FuzzInspect(f *testing.F) {
	for _, text := range []string{
		"Cookie: a=1; __Host-session.k7m2qv5xyd=AQ", "Set-Cookie: a.1=; Max-Age=0", "curl 'x' -b $'a=\\u0031\\x3' -H \"b\\\"\"",
		"curl ^\"x^\" ^\n -b ^\"a=1^\"", "\"a=\x1b[31m\"", "__Host-session.k7m2qv5xyd=AauJPpwAAFU4_9tGjgfq; __Host-session.k7m2qv5xyd.1=47zK",
	} {
		f.Add(text)
	}
	ring, err := keyring.Generate(began)
	require.NoError(f, err)
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
				t.Fatalf("control character %U in the report", r)
			}
		}
	})
}
