package middleware

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/session"
)

const planNow = int64(1_800_000_000_000)

// bench builds the jar of one session and decides on it.
type planBench struct {
	t        *testing.T
	now      int64
	jar      []*core.Fragment
	unopened int
	id       uint32
	limits   Limits
	method   string
	response Response
	touch    int64
	others   weight
	fixed    bool
}

func newPlanBench(t *testing.T) *planBench {
	limits, _ := Default.Limits()
	return &planBench{t: t, now: planNow, id: 1 << 31, limits: limits, method: http.MethodPost, touch: 3_600_000, response: Response{Status: 200}}
}

func (b *planBench) view() *core.View {
	v := core.Merge(append([]*core.Fragment(nil), b.jar...), b.unopened, b.now, 7_200_000)
	return &v
}

func (b *planBench) decide(c core.Changes) (plan, error) {
	v := b.view()
	b.id++
	f := &facts{write: core.Write{Now: b.now, ID: b.id, Lifetime: 86_400_000}, idle: 7_200_000, touch: b.touch, quiet: (&Request{Method: b.method}).quiet(),
		response: b.response, limits: b.limits, others: b.others, fixed: b.fixed, farewell: core.Root{9},
		scale: scale{base: 25, attributes: 80, cookie: 4096}}
	for _, frag := range b.jar {
		f.jar = append(f.jar, held{suffix: frag.Suffix, weight: f.scale.weigh(frag)})
	}
	writes := len(c.Ops) > 0 || v.Head != nil && (c.Cleared || c.Renewed)
	if c.Destroyed {
		writes = len(c.Ops) > 0
	}
	return decide(core.Outcome{Touched: true, View: v, Changes: &c, Writes: writes}, f)
}

func setting(name string, n int) core.Changes {
	return core.Changes{Root: core.Root{byte(len(name)), 1}, Ops: []core.Op{{Name: name, Value: []byte(strings.Repeat("x", n))}}}
}

// write sets a name, in a jar that keeps everything (several browsers' worth).
func (b *planBench) write(name string, n int) *core.Fragment {
	b.t.Helper()
	p, err := b.decide(setting(name, n))
	require.NoError(b.t, err)
	last := p.set[len(p.set)-1]
	b.jar = append(b.jar, last)
	return last
}

func (b *planBench) suffixes() (all []string) {
	for _, f := range b.jar {
		all = append(all, f.Suffix)
	}
	return all
}

func TestPlanOfAnEmptyJar(t *testing.T) {
	b := newPlanBench(t)
	p, err := b.decide(core.Changes{})
	require.NoError(t, err)
	require.Equal(t, plan{}, p, "a read of nothing does nothing")
	p, _ = b.decide(core.Changes{Destroyed: true})
	require.Equal(t, plan{}, p, "nor does a logout of nothing")
	p, _ = b.decide(core.Changes{Renewed: true})
	require.Equal(t, plan{}, p, "nor a renewal of nothing")
	p, _ = b.decide(setting("a", 10))
	require.Len(t, p.set, 1)
	require.True(t, p.set[0].Orphan && p.set[0].Snapshot())
	c := setting("a", 10)
	c.Renewed = true
	p, _ = b.decide(c)
	require.False(t, p.set[0].Orphan, "a login is nobody's orphan")
}

func TestPlanOfAChange(t *testing.T) {
	b := newPlanBench(t)
	first := b.write("a", 40)
	p, err := b.decide(setting("b", 40))
	require.NoError(t, err)
	require.True(t, p.set[0].Snapshot(), "a delta of half the state or more is not worth its while")
	require.Equal(t, []string{first.Suffix}, p.expire)

	b = newPlanBench(t)
	base := b.write("a", 1500)
	p, err = b.decide(setting("b", 40))
	require.NoError(t, err)
	require.Len(t, p.set, 1)
	require.False(t, p.set[0].Snapshot(), "a small change to a large state is a delta")
	require.Equal(t, []core.Need{{Name: "a", Stamp: base.Entries[0].Stamp}}, p.set[0].Needs)
	require.Empty(t, p.expire, "which expires nothing that it builds on")

	p, err = b.decide(core.Changes{Cleared: true, Ops: setting("c", 40).Ops})
	require.NoError(t, err)
	require.True(t, p.set[0].Snapshot(), "after a Clear there is nothing to build on")
	require.Equal(t, p.set[0].Entries[0].Stamp, p.set[0].Floor)
}

func TestPlanJoinsACrowd(t *testing.T) {
	b := newPlanBench(t)
	b.write("a", 1500)
	for _, name := range []string{"b", "c", "d"} {
		b.write(name, 40)
	}
	b.now += 500
	b.method = http.MethodGet
	p, _ := b.decide(core.Changes{})
	require.Empty(t, p.set, "a read waits for the end of the burst")
	b.now += settling
	p, _ = b.decide(core.Changes{})
	require.Len(t, p.set, 1)
	require.True(t, p.set[0].Snapshot())
	require.Len(t, p.set[0].Entries, 4)
	require.ElementsMatch(t, b.suffixes(), p.expire)
	require.False(t, p.changes)
	again, _ := b.decide(core.Changes{})
	require.Equal(t, p.set[0].Suffix, again.set[0].Suffix, "all who tidy write the same name")

	b.unopened = 1
	p, _ = b.decide(core.Changes{})
	require.Empty(t, p.set, "not beside what cannot be opened")
	b.unopened = 0
	p, err := b.decide(setting("e", 40))
	require.NoError(t, err)
	require.Len(t, p.set, 2, "a write joins what it saw, and adds its delta")
	require.Equal(t, again.set[0].Suffix, p.set[0].Suffix)
	require.ElementsMatch(t, b.suffixes(), p.expire)
}

func TestPlanOfATouch(t *testing.T) {
	for what, c := range map[string]struct {
		arrange func(*planBench)
		want    core.Kind // 0: none
	}{
		"due":                {func(b *planBench) { b.now += 3_600_000 }, core.Data},
		"not due":            {func(b *planBench) { b.now += 3_599_999 }, 0},
		"on HEAD":            {func(b *planBench) { b.now += 3_600_000; b.method = http.MethodHead }, 0},
		"on OPTIONS":         {func(b *planBench) { b.now += 3_600_000; b.method = http.MethodOptions }, 0},
		"on 304":             {func(b *planBench) { b.now += 3_600_000; b.response.Status = 304 }, 0},
		"on a public page":   {func(b *planBench) { b.now += 3_600_000; b.response.CacheControl = "public, max-age=60" }, 0},
		"of several cookies": {func(b *planBench) { b.write("b", 10); b.now += 3_600_000 }, core.SeenMark},
		"of a chunked one": {func(b *planBench) {
			b.limits.RequestBytes = 99_000
			b.write("c", 5000)
			b.jar = b.jar[1:]
			b.now += 3_600_000
		}, core.SeenMark},
		"where nothing more fits": {func(b *planBench) { b.others.request = 30_000; b.now += 3_600_000 }, core.Data},
		"of several, where nothing more fits": {func(b *planBench) {
			b.write("b", 10)
			b.others.request = 99_000
			b.now += 3_600_000
		}, 0},
		"when it has expired": {func(b *planBench) { b.now += 7_200_000 }, 0},
	} {
		t.Run(what, func(t *testing.T) {
			b := newPlanBench(t)
			b.method = http.MethodGet
			b.write("a", 1500)
			c.arrange(b)
			p, err := b.decide(core.Changes{})
			require.NoError(t, err)
			require.Empty(t, p.expire)
			if c.want == 0 {
				require.Empty(t, p.set)
				return
			}
			require.Len(t, p.set, 1)
			require.Equal(t, c.want, p.set[0].Kind)
			require.Equal(t, b.now, p.set[0].Seen)
			if c.want == core.Data {
				require.Equal(t, b.jar[0].Suffix, p.set[0].Suffix, "a touch keeps the name")
			}
		})
	}
}

// A touch that needs room makes some: what is superfluous goes with it, and where that
// does not do, or there is nothing, the state is joined.
func TestPlanOfATouchThatNeedsRoom(t *testing.T) {
	b := newPlanBench(t)
	b.method = http.MethodGet
	b.write("a", 1500)
	dead := *b.jar[0]
	dead.Root, dead.Orphan, dead.Born.At, dead.Entries = core.Root{9}, true, dead.Born.At+1, dead.Entries[:1:1]
	dead.Name()
	b.jar = append(b.jar, &dead)
	b.now += 3_600_000
	p, err := b.decide(core.Changes{})
	require.NoError(t, err)
	require.Len(t, p.set, 1)
	require.Equal(t, b.jar[0].Suffix, p.set[0].Suffix)
	require.Equal(t, []string{dead.Suffix}, p.expire)

	b.jar = b.jar[:1]
	b.now -= 3_600_000
	b.write("b", 10)
	b.others.request = 30_000
	b.now += 3_600_000
	p, err = b.decide(core.Changes{})
	require.NoError(t, err)
	require.Len(t, p.set, 1)
	require.True(t, p.set[0].Snapshot())
	require.Equal(t, b.now, p.set[0].Seen)
	require.ElementsMatch(t, b.suffixes(), p.expire)
}

func TestPlanBesideWhatCannotBeOpened(t *testing.T) {
	b := newPlanBench(t)
	b.unopened = 1
	_, err := b.decide(setting("a", 10))
	require.ErrorIs(t, err, session.ErrUnknownKey)
	for _, c := range []core.Changes{{Renewed: true, Ops: setting("a", 1).Ops}, {Destroyed: true}, {Destroyed: true, Ops: setting("a", 1).Ops}} {
		p, err := b.decide(c)
		require.NoError(t, err)
		require.Len(t, p.set, 1, "Renew and Destroy go through")
	}
}

func TestPlanOfAnEnd(t *testing.T) {
	b := newPlanBench(t)
	b.write("a", 1500)
	b.write("b", 40)
	b.now += 5
	p, err := b.decide(core.Changes{Destroyed: true})
	require.NoError(t, err)
	require.Equal(t, core.Logout, p.set[0].Kind)
	require.ElementsMatch(t, b.suffixes(), p.expire)
	require.Greater(t, p.set[0].Born.At, b.jar[0].Born.At)

	c := setting("z", 10)
	c.Renewed = true
	p, err = b.decide(c)
	require.NoError(t, err)
	require.Len(t, p.set[0].Entries, 3, "a renewal carries all values over")
	require.Equal(t, core.FamilyOf(b.jar[0]), p.set[0].Family)
	require.Equal(t, b.jar[0].Created, p.set[0].Created)
	require.ElementsMatch(t, b.suffixes(), p.expire)
}

// The reserve: what one writer sends, as many may send as Parallel says, and
// the header stays inside the limit.
func TestPlanKeepsAReserve(t *testing.T) {
	for writers := 1; writers <= 8; writers++ {
		b := newPlanBench(t)
		b.limits.Parallel, b.limits.RequestBytes = writers, 12_000
		largest := 0
		for n := 100; n < 14_000; n += 50 {
			if _, err := b.decide(setting("a", n)); err == nil {
				largest = n
			}
		}
		require.NotZero(t, largest)
		var all weight
		for i := range writers { // each begins, seeing nothing of the others
			c := setting("a", largest)
			c.Root = core.Root{byte(i + 1)}
			p, err := b.decide(c)
			require.NoError(t, err)
			all = all.plus(scale{base: 25, attributes: 80, cookie: 4096}.weigh(p.set[0]), 1)
		}
		require.LessOrEqual(t, all.request, 12_000)
		if writers > 1 {
			require.Greater(t, all.request, 12_000*writers/(writers+2)*9/10, "and the room is used")
		}
		_, err := b.decide(setting("a", largest+100))
		require.ErrorIs(t, err, session.ErrTooLarge)
	}
}

func TestPlanLetsASessionShrink(t *testing.T) {
	b := newPlanBench(t)
	b.write("a", 2000)
	b.limits.RequestBytes, b.limits.ResponseBytes = 2400, 900 // the platform has changed
	_, err := b.decide(setting("b", 100))
	require.ErrorIs(t, err, session.ErrTooLarge)
	for _, c := range []core.Changes{setting("a", 100), {Ops: []core.Op{{Name: "a"}}}, {Cleared: true}, {Destroyed: true}} {
		p, err := b.decide(c)
		require.NoError(t, err)
		require.Equal(t, []string{b.jar[0].Suffix}, p.expire)
	}
}

func TestPlanCutsDeletionsAndNeverSets(t *testing.T) {
	b := newPlanBench(t)
	b.limits.Cookies = 60
	b.write("a", 1500)
	for _, name := range strings.Split("bcdefghijk", "") {
		b.write(name, 40)
	}
	b.limits.SetCookieLines = 4
	p, err := b.decide(core.Changes{Destroyed: true})
	require.NoError(t, err)
	require.Len(t, p.set, 1)
	require.Len(t, p.expire, 3)
}

func TestPlanOfTheFixedName(t *testing.T) {
	b := newPlanBench(t)
	b.fixed = true
	b.write("a", 1500)
	p, err := b.decide(setting("b", 40))
	require.NoError(t, err)
	require.Len(t, p.set, 1)
	require.True(t, p.set[0].Snapshot(), "there is one cookie, so it is whole")
	require.Empty(t, p.expire, "and it is overwritten")
	_, err = b.decide(setting("b", 4000))
	require.ErrorIs(t, err, session.ErrTooLarge)
	p, err = b.decide(core.Changes{Destroyed: true})
	require.NoError(t, err)
	require.Empty(t, p.set)
	require.Equal(t, []string{b.jar[0].Suffix}, p.expire)
}
