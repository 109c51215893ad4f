package session_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// roundTrip sets v and returns the value that Get returns.
func roundTrip[T any](t *testing.T, v T) T {
	t.Helper()
	s, _ := stubbed(t, &stub{})
	k := session.Key[T]("k")
	k.Set(s, v)
	require.NoError(t, s.Err())
	got, err := k.Lookup(s)
	require.NoError(t, err)
	return got
}

func same[T any](v T) func(t *testing.T) {
	return func(t *testing.T) { require.Equal(t, v, roundTrip(t, v)) }
}

type item struct {
	SKU   string
	Count int
	Notes map[string][]string
	Next  *item
}

type tagged struct {
	Name   string `json:"n"`
	Secret string `json:"-"`
	Empty  string `json:"e,omitempty"`
	CBOR   int    `cbor:"c" json:"ignored"`
	hidden int
}

type byNumber struct {
	_ struct{} `cbor:",toarray"`
	A int
	B string
}

type base struct{ ID int64 }

type embedding struct {
	base
	Item
	*Extra
	Name string
}

// Item and Extra are embedded by their names.
type (
	Item  item
	Extra struct{ More string }
)

func TestValuesComeBackAsTheyWere(t *testing.T) {
	one := 1
	for name, check := range map[string]func(t *testing.T){
		"text":                  same("你好，世界 🌍 e\u0301"),
		"empty text":            same(""),
		"text that is no UTF-8": same("a\xff\xfe\x00b"),
		"a NUL":                 same("\x00"),
		"bytes":                 same([]byte{0, 255, 128}),
		"no bytes":              same([]byte{}),
		"nil bytes":             same([]byte(nil)),
		"an array of bytes":     same([4]byte{1, 2, 3, 4}),
		"true":                  same(true),
		"int64, the least":      same(int64(math.MinInt64)),
		"int64, the most":       same(int64(math.MaxInt64)),
		"int64 beyond 2^53":     same(int64(1<<53 + 1)),
		"uint64, the most":      same(uint64(math.MaxUint64)),
		"int8":                  same(int8(-128)),
		"float64":               same(math.Pi),
		"a float64 of a third":  same(1.0 / 3),
		"the least float64":     same(math.SmallestNonzeroFloat64),
		"float32":               same(float32(1.1)),
		"infinity":              same(math.Inf(-1)),
		"a big number":          same(*new(big.Int).Lsh(big.NewInt(7), 200)),
		"a duration":            same(90 * time.Minute),
		"nested":                same(item{SKU: "茶", Count: 2, Notes: map[string][]string{"色": {"绿", ""}}, Next: &item{SKU: "杯"}}),
		"slices of slices":      same([][]item{{{SKU: "a"}}, nil, {}}),
		"a map by number":       same(map[int]string{-1: "a", 7: "b"}),
		"a map by array":        same(map[[2]int]bool{{1, 2}: true}),
		"an empty map":          same(map[string]int{}),
		"a nil map":             same(map[string]int(nil)),
		"a pointer":             same(&one),
		"a nil pointer":         same((*item)(nil)),
		"a pointer to a struct": same(&item{SKU: "p"}),
		"an empty struct":       same(struct{}{}),
		"a struct as an array":  same(byNumber{A: 1, B: "b"}),
		"embedded structs":      same(embedding{base{7}, Item{SKU: "e"}, &Extra{"m"}, "n"}),
		"an address":            same(netip.MustParseAddr("2001:db8::1%eth0")),
		"a named string":        same(reason.Expired),
		"a named slice":         same(json.RawMessage(`{"a":1}`)),
		"raw CBOR":              same(cbor.RawMessage{0x82, 1, 2}),
	} {
		t.Run(name, check)
	}
}

func TestValuesThatEqualByTheirOwnRule(t *testing.T) {
	require.True(t, math.IsNaN(roundTrip(t, math.NaN())))
	require.True(t, math.Signbit(roundTrip(t, math.Copysign(0, -1))))
	u, err := url.Parse("https://u@例子.cn/路?q=1#f")
	require.NoError(t, err)
	require.Equal(t, u.String(), roundTrip(t, u).String())
}

func TestTimesKeepTheirNanosecondsAndTheirZone(t *testing.T) {
	shanghai := time.FixedZone("CST", 8*3600)
	for _, at := range []time.Time{
		time.Date(2025, 6, 15, 23, 59, 59, 123_456_789, shanghai),
		time.Date(2025, 6, 15, 23, 59, 59, 1, time.FixedZone("", -(9*3600+30*60))),
		time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		time.Now(), // without what only this process's clock means
	} {
		got := roundTrip(t, at)
		require.True(t, at.Equal(got), "%v is not %v", got, at)
		_, want := at.Zone()
		_, offset := got.Zone()
		require.Equal(t, want, offset)

		inside := roundTrip(t, map[string]any{"at": at})["at"]
		require.True(t, at.Equal(inside.(time.Time)), "%v is not %v", inside, at)
	}
	require.True(t, roundTrip(t, time.Time{}).IsZero())
}

func TestTimesThatHaveNoTextAreRefused(t *testing.T) {
	require.Error(t, setErr(t, time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)))
	require.Error(t, setErr(t, time.Date(2025, 1, 1, 0, 0, 0, 0, time.FixedZone("", 24*3600))))
}

// A value in an any is decoded as the simplest type that can hold it.
func TestAny(t *testing.T) {
	at := time.Date(2025, 6, 15, 12, 0, 0, 5, time.UTC)
	got := roundTrip[any](t, map[string]any{
		"text": "你好", "int": 7, "int64": int64(math.MinInt64), "uint8": uint8(9), "float": float32(0.5), "nil": nil,
		"bytes": []byte{1}, "time": at, "list": []int{1, 2}, "struct": item{SKU: "a"}, "map": map[string]string{"k": "v"}, "bool": true,
	})
	m, ok := got.(map[string]any)
	require.True(t, ok, "%T", got)
	require.True(t, at.Equal(m["time"].(time.Time)))
	delete(m, "time")
	require.Equal(t, map[string]any{
		"text": "你好", "int": int64(7), "int64": int64(math.MinInt64), "uint8": int64(9), "float": 0.5, "nil": nil,
		"bytes": []byte{1}, "list": []any{int64(1), int64(2)}, "map": map[string]any{"k": "v"}, "bool": true,
		"struct": map[string]any{"SKU": "a", "Count": int64(0), "Notes": nil, "Next": nil},
	}, m)
	require.Nil(t, roundTrip[any](t, nil))
	require.Equal(t, *new(big.Int).SetUint64(math.MaxUint64), roundTrip[any](t, uint64(math.MaxUint64)))
}

func TestStructTags(t *testing.T) {
	s := sessiontest.New(t, sessiontest.With[tagged]("k", tagged{Name: "张三", Secret: "s", CBOR: 3, hidden: 4}))
	got, err := session.Key[tagged]("k").Lookup(s)
	require.NoError(t, err)
	require.Equal(t, tagged{Name: "张三", CBOR: 3}, got)
	fields, err := session.Key[map[string]any]("k").Lookup(s)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"n": "张三", "c": int64(3)}, fields)
}

// Programs change their types while sessions exist.
func TestFieldsMayComeAndGo(t *testing.T) {
	s := sessiontest.New(t, sessiontest.With[item]("k", item{SKU: "a", Count: 2}))
	got, err := session.Key[struct {
		SKU string
		New *bool
	}]("k").Lookup(s)
	require.NoError(t, err)
	require.Equal(t, "a", got.SKU)
	require.Nil(t, got.New)
}

func TestNoAliasing(t *testing.T) {
	s, _ := stubbed(t, &stub{})
	mine := map[string][]byte{"a": {1, 2}}
	k := session.Key[map[string][]byte]("k")
	k.Set(s, mine)
	mine["a"][0], mine["b"] = 9, nil
	first, _ := k.Get(s)
	require.Equal(t, map[string][]byte{"a": {1, 2}}, first)
	first["a"][0] = 9
	second, _ := k.Get(s)
	require.Equal(t, map[string][]byte{"a": {1, 2}}, second)

	raw := cbor.RawMessage{0x01}
	session.Key[cbor.RawMessage]("raw").Set(s, raw)
	raw[0] = 0x02
	got, _ := session.Key[cbor.RawMessage]("raw").Get(s)
	got[0] = 0x03
	n, _ := session.Key[int]("raw").Get(s)
	require.Equal(t, 1, n)
}

func TestEqualMapsHaveEqualBytes(t *testing.T) {
	v := newVisitor(t)
	k := session.Key[map[string]int]("k")
	build := func(down bool) map[string]int {
		m := map[string]int{}
		for i := range 50 {
			if down {
				i = 49 - i
			}
			m[fmt.Sprint(i)] = i
		}
		return m
	}
	v.visit(func(s *session.Session) { k.Set(s, build(false)) })
	require.False(t, v.changed(t, func(s *session.Session) { k.Set(s, build(true)) }))
}

// setErr returns the session's error after v was set.
func setErr[T any](t *testing.T, v T) error {
	s, _ := stubbed(t, &stub{})
	session.Key[T]("k").Set(s, v)
	if s.Err() != nil {
		require.False(t, s.Has("k"))
		var encode *session.EncodeError
		require.ErrorAs(t, s.Err(), &encode)
	}
	return s.Err()
}

type (
	secret    struct{ inner string }
	holder    struct{ Deep map[string][]*secret }
	anyHolder struct{ V any }
	guarded   struct {
		sync.Mutex
		Items []string
	}
	locked      struct{ Lock sync.Mutex }
	onlySecrets struct {
		secret     //lint:ignore U1000 hidden on purpose
		more   int //lint:ignore U1000 hidden on purpose
	}
	hiddenByTag struct {
		A int `json:"-"`
	}
	textOnly struct{ inner string }
)

func (x textOnly) MarshalText() ([]byte, error) { return []byte(x.inner), nil }

func (x *textOnly) UnmarshalText(b []byte) error { x.inner = string(b); return nil }

// An error page is better than a session that loses a value silently.
func TestWhatWouldLoseItsContentIsRefused(t *testing.T) {
	for name, err := range map[string]error{
		"unexported fields":          setErr(t, secret{"x"}),
		"behind a pointer":           setErr(t, &secret{"x"}),
		"behind a nil pointer":       setErr(t, (*secret)(nil)),
		"in a slice":                 setErr(t, []secret{{"x"}}),
		"in an array":                setErr(t, [1]secret{}),
		"in a map's values":          setErr(t, map[string]secret{}),
		"in a map's keys":            setErr(t, map[secret]int{}),
		"deep in fields":             setErr(t, holder{}),
		"in an any":                  setErr[any](t, secret{"x"}),
		"in an any behind a pointer": setErr[any](t, &secret{"x"}),
		"in an any in a map":         setErr(t, map[string]any{"a": []any{1, secret{"x"}}}),
		"in an any in a field":       setErr(t, anyHolder{secret{"x"}}),
		"in an any in an any":        setErr[any](t, anyHolder{[]any{anyHolder{&holder{}}}}),
		"a mutex in a field":         setErr(t, &locked{}),
		"embedded":                   setErr(t, onlySecrets{}),
		"hidden by its tag":          setErr(t, hiddenByTag{1}),
		"with a text form only":      setErr(t, textOnly{"x"}),
		"a big.Float":                setErr(t, big.NewFloat(1.5)),
	} {
		require.ErrorContains(t, err, "without exported fields", name)
	}
}

func TestWhatLosesNothingIsTaken(t *testing.T) {
	require.NoError(t, setErr(t, struct{}{}))
	require.NoError(t, setErr[any](t, struct{}{}))
	require.NoError(t, setErr(t, &guarded{Items: []string{"a"}}))
	require.NoError(t, setErr(t, tagged{}))
	require.NoError(t, setErr[any](t, []any{time.Now(), netip.Addr{}, big.NewInt(1), url.URL{User: url.User("u")}}))
	require.NoError(t, setErr(t, struct{ At time.Time }{}))
	require.NoError(t, setErr(t, struct{ V fmt.Stringer }{}), "nothing is in it")
}

func TestChannelsAndFunctionsAreRefused(t *testing.T) {
	require.Error(t, setErr(t, make(chan int)))
	require.Error(t, setErr(t, func() {}))
	require.Error(t, setErr(t, struct{ F func() }{func() {}}))
	require.Error(t, setErr[any](t, map[string]any{"c": make(chan int)}))
	require.Error(t, setErr(t, complex(1, 2)))
	require.ErrorContains(t, setErr(t, struct{ V fmt.Stringer }{time.Second}), "interface with methods")
	require.ErrorContains(t, setErr(t, struct{ *item }{&item{SKU: "e"}}), "embedded pointer")
	require.ErrorContains(t, setErr[any](t, []struct{ *item }{}), "embedded pointer")
}

// A value that contains itself would overflow the stack, which ends the program.
func TestRecursion(t *testing.T) {
	list := func(n int) *item {
		var head *item
		for range n {
			head = &item{Next: head}
		}
		return head
	}
	require.Equal(t, list(60), roundTrip(t, list(60)))
	require.ErrorContains(t, setErr(t, list(65)), "deeper than 64")
	require.ErrorContains(t, setErr(t, list(100_000)), "deeper than 64")

	ring := &item{}
	ring.Next = ring
	require.ErrorContains(t, setErr(t, ring), "contains itself")
	m := map[string]any{}
	m["m"] = m
	require.ErrorContains(t, setErr(t, m), "contains itself")
	require.ErrorContains(t, setErr[any](t, m), "contains itself")
	a := []any{nil}
	a[0] = a
	require.ErrorContains(t, setErr(t, a), "contains itself")
	type pointer *pointer
	var p pointer
	p = &p
	require.ErrorContains(t, setErr(t, p), "contains itself")

	type tree struct {
		Name string
		Kids []tree
		By   map[string]*tree
	}
	v := tree{"根", []tree{{Name: "枝"}}, map[string]*tree{"叶": {Name: "叶"}}}
	require.Equal(t, v, roundTrip(t, v))
}

// Every encoded value must decode, whatever limits the decoder has by default.
func TestLargeValues(t *testing.T) {
	require.Len(t, roundTrip(t, make([]int, 200_000)), 200_000)
	require.Len(t, roundTrip(t, strings.Repeat("長", 100_000)), 300_000)
	m := map[int]bool{}
	for i := range 140_000 {
		m[i] = true
	}
	require.Len(t, roundTrip(t, m), len(m))
}

func FuzzAnyTextAndBytes(f *testing.F) {
	f.Add("你好\xff", []byte{1, 0}, int64(-1), uint64(1<<63), 0.1)
	f.Fuzz(func(t *testing.T, text string, raw []byte, i int64, u uint64, x float64) {
		type value struct {
			Text string
			Raw  []byte
			I    int64
			U    uint64
			X    float64
			By   map[string]any
		}
		v := value{text, raw, i, u, x, map[string]any{text: text, "i": i}}
		if math.IsNaN(x) {
			return
		}
		require.Equal(t, v, roundTrip(t, v))
	})
}

// The encoding of values is that of SPEC.md, checked with a general decoder.
func TestEncodingOfValues(t *testing.T) {
	for want, v := range map[string]any{
		`18446744073709551615`:              uint64(math.MaxUint64),
		`-9223372036854775808`:              int64(math.MinInt64),
		`18446744073709551616`:              new(big.Int).Lsh(big.NewInt(1), 64), // 2^64, by tag 2
		`0.5_1`:                             0.5,
		`NaN`:                               math.NaN(),
		`"\u5f20\u4e09"`:                    "张三",
		`h'00ff'`:                           []byte{0, 255},
		`null`:                              time.Time{},
		`0("2025-06-15T23:06:40.12+08:00")`: time.Date(2025, 6, 15, 23, 6, 40, 120_000_000, time.FixedZone("CST", 8*3600)),
		`0("2025-06-15T15:06:40Z")`:         time.Date(2025, 6, 15, 15, 6, 40, 0, time.UTC),
		`{"Name": "\u5f20\u4e09", "Admin": false}`: User{Name: "张三"},
		`{"a": 2, "b": 1, "aa": [1, "text"]}`:      map[string]any{"b": 1, "aa": []any{1, "text"}, "a": 2},
	} {
		s, c := stubbed(t, &stub{})
		session.Key[any]("k").Set(s, v)
		require.NoError(t, s.Err())
		mode, err := cbor.DiagOptions{FloatPrecisionIndicator: true, ByteStringText: false}.DiagMode()
		require.NoError(t, err)
		got, err := mode.Diagnose(c.Get("k"))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}
