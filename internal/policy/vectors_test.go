package policy_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

var update = flag.Bool("update", false, "write testdata/plan.json")

// planVector is one case of testdata/plan.json, for other implementations.
// Plaintexts, roots and values are in hexadecimal, times in milliseconds.
type planVector struct {
	Name     string         `json:"name"`
	Cookies  []vectorCookie `json:"cookies"`
	Record   string         `json:"record,omitempty"`
	Revision uint64         `json:"revision,omitempty"`
	In       vectorInput    `json:"in"`
	Out      vectorPlan     `json:"out"`
}

// vectorCookie is a cookie of the request, or one that is set. Pieces is given if the
// request has more pieces than the cookie needs.
type vectorCookie struct {
	Tag    string `json:"tag"`
	Plain  string `json:"plain"`
	Pieces int    `json:"pieces,omitempty"`
}

type vectorOp struct {
	Name  string  `json:"name"`
	Value *string `json:"value"` // null deletes
}

type vectorInput struct {
	Now       int64         `json:"now"`
	ID        uint32        `json:"id"`
	Root      string        `json:"root"`  // of the generation that the changes begin
	Fresh     string        `json:"fresh"` // of a logout
	Lifetime  int64         `json:"lifetime"`
	Idle      int64         `json:"idle"`
	Touch     int64         `json:"touch"`
	MayTouch  bool          `json:"mayTouch,omitempty"`
	Writes    bool          `json:"writes,omitempty"`
	Ops       []vectorOp    `json:"ops,omitempty"`
	Cleared   bool          `json:"cleared,omitempty"`
	Renewed   bool          `json:"renewed,omitempty"`
	Destroyed bool          `json:"destroyed,omitempty"`
	Subjects  []string      `json:"subjects,omitempty"`
	Terms     state.Terms   `json:"terms"`
	Others    int           `json:"others,omitempty"`   // bytes of other programs' cookies
	Unopened  int           `json:"unopened,omitempty"` // cookies of a key that another replica may have
	InFlight  []string      `json:"inFlight,omitempty"`
	Mode      string        `json:"mode"`
	Store     bool          `json:"store,omitempty"`
	FixedName bool          `json:"fixedName,omitempty"`
	Conflict  bool          `json:"conflict,omitempty"`
	Limits    policy.Limits `json:"limits"`
	Sizer     policy.Sizer  `json:"sizer"`
}

type vectorPlan struct {
	Set      []vectorCookie `json:"set"`
	Expire   []string       `json:"expire"`
	Record   string         `json:"record,omitempty"`
	Revision uint64         `json:"revision,omitempty"`
	Whole    bool           `json:"whole,omitempty"`
	ToStore  bool           `json:"toStore,omitempty"`
	Returns  bool           `json:"returns,omitempty"`
	Creates  []string       `json:"creates,omitempty"`
	Error    string         `json:"error,omitempty"` // the limit, "unknown key" or "store down"
}

var modes = map[string]policy.Mode{"auto": policy.Auto, "cookies only": policy.CookiesOnly, "stored only": policy.StoredOnly}

// answer sets the output of a vector.
func (p *planVector) answer(t *testing.T) {
	in := p.input(t)
	plan, err := policy.Decide(in)
	p.Out = vectorPlan{Set: []vectorCookie{}, Expire: append([]string{}, plan.Expire...), Whole: plan.Whole, ToStore: plan.ToStore, Returns: plan.ToCookies, Creates: namesOf(plan.Grows)}
	var large *session.TooLargeError
	switch {
	case errors.As(err, &large):
		p.Out.Error = string(large.Limit)
	case errors.Is(err, session.ErrUnknownKey):
		p.Out.Error = "unknown key"
	case errors.Is(err, session.ErrStoreDown):
		p.Out.Error = "store down"
	default:
		require.NoError(t, err)
	}
	for _, c := range plan.Set {
		p.Out.Set = append(p.Out.Set, vectorCookie{Tag: c.Tag, Plain: hex.EncodeToString(c.Append(nil))})
	}
	if plan.Record != nil {
		p.Out.Record, p.Out.Revision = hex.EncodeToString(plan.Record.Append(nil)), plan.New.Number
	}
}

// input returns the Input of a vector.
func (p *planVector) input(t *testing.T) *policy.Input {
	v, i := &state.View{}, &p.In
	var cookies []*state.Cookie
	in := &policy.Input{Now: i.Now, ID: i.ID, Fresh: rootOf(t, i.Fresh), Lifetime: i.Lifetime, Idle: i.Idle, Touch: i.Touch, MayTouch: i.MayTouch,
		Writes: i.Writes, Others: policy.Size{Cookies: min(i.Others, 1), Request: i.Others}, InFlight: growthOf(i.InFlight), Mode: modes[i.Mode], Store: i.Store,
		FixedName: i.FixedName, Conflict: i.Conflict, Limits: i.Limits, Sizer: i.Sizer}
	for _, c := range p.Cookies {
		cookie := decode(t, c.Plain)
		cookie.Tag = c.Tag
		cookies = append(cookies, cookie)
		size := i.Sizer.Of(cookie)
		if c.Pieces > size.Cookies {
			size.Cookies, size.Request = c.Pieces, size.Request+4000*(c.Pieces-size.Cookies)
		}
		in.Jar = append(in.Jar, policy.Group{Tag: c.Tag, Size: size})
	}
	var row *state.Cookie
	if p.Record != "" {
		row = decode(t, p.Record)
	}
	v.Read(cookies, row, i.Now, i.Idle, nil)
	if v.RowRevision.Number = p.Revision; i.Unopened > 0 {
		v.Unopened, v.Refused = i.Unopened, reason.UnknownKey
	}
	in.View, in.Changes = v, &state.Changes{Cleared: i.Cleared, Renewed: i.Renewed, Destroyed: i.Destroyed, Root: rootOf(t, i.Root), Terms: i.Terms}
	if len(i.Subjects) > 0 {
		in.Changes.Subjects, _ = state.NewSubjects(i.Subjects[0], i.Subjects[1:]...)
	}
	for _, op := range i.Ops {
		o := state.Op{Name: op.Name}
		if op.Value != nil {
			o.Value = unhex(t, *op.Value)
		}
		in.Changes.Ops = append(in.Changes.Ops, o)
	}
	return in
}

func unhex(t *testing.T, text string) []byte {
	b, err := hex.DecodeString(text)
	require.NoError(t, err)
	return b
}

func rootOf(t *testing.T, text string) state.Root { return state.Root(unhex(t, text)) }

func decode(t *testing.T, text string) *state.Cookie {
	c, err := state.Decode(unhex(t, text))
	require.NoError(t, err)
	return c
}

func TestPlanVectors(t *testing.T) {
	all := planCases()
	seen := map[string]bool{}
	for i := range all {
		require.False(t, seen[all[i].Name], all[i].Name)
		seen[all[i].Name] = true
		all[i].answer(t)
	}
	got, err := json.MarshalIndent(all, "", " ")
	require.NoError(t, err)
	got = append(got, '\n')
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile("testdata/plan.json", got, 0o644))
	}
	want, err := os.ReadFile("testdata/plan.json")
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "testdata/plan.json is out of date; run go test ./internal/policy -update")
}

// growthOf returns the growths of requests in flight: entries of 64 bytes.
func growthOf(names []string) (all []policy.Growth) {
	for _, name := range names {
		all = append(all, policy.Growth{Name: name, Bytes: 64})
	}
	return all
}

func namesOf(all []policy.Growth) (names []string) {
	for _, g := range all {
		names = append(names, g.Name)
	}
	return names
}
