package state_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
)

func TestReadFindsTheSession(t *testing.T) { testRead(t, readCases()) }

func TestReadMergesARecord(t *testing.T) { testRead(t, recordCases()) }

func testRead(t *testing.T, cases map[string]readCase) {
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				v := state.Read(c.cookies, c.row, now, 0)
				require.Equal(t, c.verdict, v.Verdict)
				require.Equal(t, c.shows, show(&v))
				require.Equal(t, c.verdict == reason.None, v.Head != nil)
				slices.Reverse(c.cookies)
			}
		})
	}
}

func TestReadFindsTheTimeOfTheLastUse(t *testing.T) {
	for name, c := range idleCases() {
		t.Run(name, func(t *testing.T) {
			v := state.Read(c.cookies, nil, now, c.idle*minute)
			require.Equal(t, c.verdict, v.Verdict)
			require.Equal(t, now-c.seen*minute, v.Seen)
		})
	}
}

func TestReadDoesNotDependOnTheOrderOfCookies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := cookies(t)
		a, b := state.Read(all, nil, now, 50*minute), state.Read(shuffled(t, all), nil, now, 50*minute)
		require.Equal(t, a.Verdict, b.Verdict)
		require.Equal(t, show(&a), show(&b))
		require.Equal(t, a.IdleEnd, b.IdleEnd)
		require.Equal(t, a.Top, b.Top)
		require.Same(t, a.Winner, b.Winner)
	})
}

// A view never mixes generations, and shows only entries of the cookies.
func TestReadShowsWhatTheWinnerHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := state.Read(cookies(t), nil, now, 0)
		for i := range v.Entries {
			switch e := &v.Entries[i]; {
			case e.From != nil:
				require.Equal(t, v.Winner.Root.GenID(), e.From.Gen)
			default:
				require.NotNil(t, v.Winner.Find(e.Name))
			}
			require.True(t, i == 0 || v.Entries[i-1].Name < v.Entries[i].Name)
		}
	})
}

// Read takes linear work: sixteen times as many cookies allocate about sixteen times
// as many bytes.
func TestReadOfManyCookiesIsLinear(t *testing.T) {
	work := func(n int) float64 {
		all := []*state.Cookie{head()}
		for i := range n {
			c := cell(5, fmt.Sprintf("n%d", i), "12345678901234567890")
			for j := range 40 {
				c.SeenEntries = append(c.SeenEntries, seenEntry(fmt.Sprintf("n%02d", j), 200))
			}
			all = append(all, c)
		}
		r := testing.Benchmark(func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				state.Read(all, nil, now, 0)
			}
		})
		return float64(r.AllocedBytesPerOp())
	}
	few, many := work(80), work(1280) // the second is 250 KB of cookies
	require.Less(t, many, 20*few)
}

// What did not open may be what the rest lacks.
func TestReasonOfAView(t *testing.T) {
	for _, verdict := range []reason.Reason{reason.None, reason.Expired, reason.ExpiredIdle, reason.LoggedOut, reason.Torn, reason.Absent} {
		v := state.View{Verdict: verdict}
		require.Equal(t, verdict, v.Reason())
	}
	for _, c := range []struct {
		view state.View
		want reason.Reason
	}{
		{state.View{Verdict: reason.Torn, Unopened: 1, Refused: reason.UnknownKey}, reason.UnknownKey},
		{state.View{Verdict: reason.RecordMissing, Unopened: 1, Refused: reason.UnknownKey}, reason.UnknownKey},
		{state.View{Verdict: reason.Torn, Refused: reason.BadSeal}, reason.Torn},
		{state.View{Verdict: reason.Absent, Refused: reason.BadSeal}, reason.BadSeal},
		{state.View{Verdict: reason.None, Refused: reason.BadSeal}, reason.None},
	} {
		require.Equal(t, c.want, c.view.Reason())
	}
}
