package state_test

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
)

var update = flag.Bool("update", false, "write testdata/merge.json")

// mergeVector is one case of testdata/merge.json, for other implementations.
// Plaintexts are in hexadecimal, times in milliseconds.
type mergeVector struct {
	Name    string         `json:"name"`
	Cookies []vectorCookie `json:"cookies"`
	Record  string         `json:"record,omitempty"`
	Now     int64          `json:"now"`
	Idle    int64          `json:"idle"`
	Verdict string         `json:"verdict"`
	Winner  string         `json:"winner,omitempty"` // the tag of the head or logout that counts
	Entries []vectorEntry  `json:"entries"`
	Seen    int64          `json:"seen,omitempty"`
	IdleEnd int64          `json:"idleEnd,omitempty"`
	Top     int64          `json:"top,omitempty"` // the highest time in the contents
}

type vectorCookie struct {
	Tag   string `json:"tag"`
	Plain string `json:"plain"`
}

type vectorEntry struct {
	Name  string  `json:"name"`
	Value *string `json:"value"` // null for a tombstone
	At    int64   `json:"at"`
	ID    uint32  `json:"id"`
}

var verdicts = map[reason.Reason]string{reason.None: "present", reason.Absent: "absent", reason.ExpiredIdle: "expired idle",
	reason.Expired: "expired", reason.LoggedOut: "logged out", reason.Torn: "torn", reason.RecordMissing: "record missing"}

// answer sets the results of a vector.
func (m *mergeVector) answer(t *testing.T) {
	var cookies []*state.Cookie
	for _, c := range m.Cookies {
		cookie := fromHex(t, c.Plain)
		cookie.Tag = c.Tag
		cookies = append(cookies, cookie)
	}
	var row *state.Cookie
	if m.Record != "" {
		row = fromHex(t, m.Record)
	}
	v := state.Read(cookies, row, m.Now, m.Idle)
	m.Verdict, m.Seen, m.IdleEnd, m.Top, m.Entries = verdicts[v.Verdict], v.Seen, v.IdleEnd, v.Top, []vectorEntry{}
	if v.Winner != nil {
		m.Winner = v.Winner.Tag
	}
	for i := range v.Entries {
		e := &v.Entries[i]
		out := vectorEntry{Name: e.Name, At: e.Stamp.At, ID: e.Stamp.ID}
		if e.Live() {
			text := hex.EncodeToString(e.CBOR())
			out.Value = &text
		}
		m.Entries = append(m.Entries, out)
	}
}

func fromHex(t *testing.T, text string) *state.Cookie {
	plain, err := hex.DecodeString(text)
	require.NoError(t, err)
	c, err := state.Decode(plain)
	require.NoError(t, err)
	return c
}

// vectorOf returns a vector without its results.
func vectorOf(name string, cookies []*state.Cookie, row *state.Cookie, idle int64) mergeVector {
	m := mergeVector{Name: name, Now: now, Idle: idle, Cookies: []vectorCookie{}}
	for _, c := range cookies {
		m.Cookies = append(m.Cookies, vectorCookie{c.Tag, hex.EncodeToString(c.Append(nil))})
	}
	if row != nil {
		m.Record = hex.EncodeToString(row.Append(nil))
	}
	return m
}

func TestMergeVectors(t *testing.T) {
	var all []mergeVector
	for name, c := range readCases() {
		all = append(all, vectorOf(name, c.cookies, c.row, 0))
	}
	for name, c := range recordCases() {
		all = append(all, vectorOf("stored: "+name, c.cookies, c.row, 0))
	}
	for name, c := range idleCases() {
		all = append(all, vectorOf("seen: "+name, c.cookies, nil, c.idle*minute))
	}
	for i := range all {
		all[i].answer(t)
	}
	slices.SortFunc(all, func(a, b mergeVector) int { return strings.Compare(a.Name, b.Name) })
	got, err := json.MarshalIndent(all, "", " ")
	require.NoError(t, err)
	got = append(got, '\n')
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile("testdata/merge.json", got, 0o644))
	}
	want, err := os.ReadFile("testdata/merge.json")
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "testdata/merge.json is out of date; run go test ./internal/state -update")
}
