package middleware

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/core"
)

// simStream lets P writers work without a pause for a simulated while, each
// with the jar of its moment, and reports the most that the jar ever held.
func simStream(p Platform, base, writes int, seed uint64) (most weight, refused int) {
	limits, _ := p.Limits()
	sc := scale{base: 25, attributes: 80, cookie: 4096}
	r := rand.New(rand.NewPCG(seed, 1))
	type flight struct {
		load, land int64
		jar        []*core.Fragment
		set        []*core.Fragment
		expire     []string
		n          int
	}
	now := planNow
	var jar []*core.Fragment
	var flights []*flight
	limitsOf := func(jar []*core.Fragment) (w weight) {
		for _, f := range jar {
			w = w.plus(sc.weigh(f), 1)
		}
		return w
	}
	commit := func(f *flight) {
		v := core.Merge(append([]*core.Fragment(nil), f.jar...), 0, f.load, 0)
		c := core.Changes{Root: core.Root{1, byte(f.n)}, Ops: []core.Op{{Name: fmt.Sprintf("n%d", f.n%15), Value: []byte(strings.Repeat("x", 20+r.IntN(30)))}}}
		if f.n == 0 {
			c.Ops[0] = core.Op{Name: "base", Value: []byte(strings.Repeat("b", base))}
		}
		fa := &facts{write: core.Write{Now: now, ID: r.Uint32() | 1<<31, Lifetime: 1 << 36}, limits: limits, scale: sc, response: Response{Status: 200}}
		for _, frag := range f.jar {
			fa.jar = append(fa.jar, held{suffix: frag.Suffix, weight: sc.weigh(frag)})
		}
		p, err := decide(core.Outcome{Touched: true, View: &v, Changes: &c, Writes: true}, fa)
		if err != nil {
			refused++
			return
		}
		f.set, f.expire = p.set, p.expire
	}
	for n := 0; n < writes || len(flights) > 0; now++ {
		for len(flights) < limits.Parallel && n < writes && (n > 0 || len(flights) == 0) {
			if n == 1 && len(jar) == 0 {
				if len(flights) == 0 {
					return most, refused // the base does not fit
				}
				break
			}
			f := &flight{load: now, jar: append([]*core.Fragment(nil), jar...), n: n}
			f.load = now + r.Int64N(8)
			f.land = f.load + r.Int64N(8)
			flights = append(flights, f)
			n++
		}
		kept := flights[:0]
		for _, f := range flights {
			if f.load == now {
				commit(f)
			}
			if f.land > now {
				kept = append(kept, f)
				continue
			}
			for _, s := range f.set {
				jar = append(removeFragment(jar, s.Suffix), s)
			}
			for _, e := range f.expire {
				jar = removeFragment(jar, e)
			}
		}
		flights = kept
		w := limitsOf(jar)
		most.request, most.cookies = max(most.request, w.request), max(most.cookies, w.cookies)
	}
	return most, refused
}

func removeFragment(jar []*core.Fragment, suffix string) (out []*core.Fragment) {
	for _, f := range jar {
		if f.Suffix != suffix {
			out = append(out, f)
		}
	}
	return out
}

// A steady stream of writers with the jars of their moments, slow and quick
// ones: the header stays inside the limit (a fiftieth over it is let pass: a
// slow writer may land on what quick ones have left).
func TestStreamStaysInsideTheBudget(t *testing.T) {
	for _, p := range []Platform{Default, Portable, Nginx, Vercel, Fasthttp} {
		limits, _ := p.Limits()
		for _, base := range []int{50, 300, 1000, 2500} {
			worst, refused := weight{}, 0
			for seed := range uint64(10) {
				most, n := simStream(p, base, 300, seed)
				worst.request, worst.cookies, refused = max(worst.request, most.request), max(worst.cookies, most.cookies), refused+n
			}
			t.Logf("%q, %d bytes to begin with: %d of %d bytes, %d of %d cookies, %d of 3000 refused",
				p, base, worst.request, limits.RequestBytes, worst.cookies, limits.Cookies, refused)
			require.LessOrEqual(t, worst.request, limits.RequestBytes*51/50)
		}
	}
}
