package core

import (
	"cmp"
	"slices"
)

// generation is one root's fragments, as the election sees them.
type generation struct {
	head    *Fragment
	seen    int64 // the newest last-seen time of its cookies
	stored  int64 // and of what is not a cookie of ours
	logout  bool
	expired Fate // 0, Ended or Idle
}

// elect chooses the generation that counts and marks the fragments of the
// others. It returns nil, and sets the verdict, where there is no session.
func (v *View) elect(gens []generation, now, idle int64) *Fragment {
	gens = v.generations(gens, now, idle)
	var over Stamp // the newest birth of what has expired: nothing older may come back
	for _, g := range gens {
		if g.expired != 0 {
			if !g.head.Orphan {
				over = laterStamp(over, g.head.Born)
			}
			v.Verdict = ExpiredEnd
			if g.expired == Idle {
				v.Verdict = ExpiredIdle
			}
		}
	}
	var best *generation
	for i := range gens {
		g := &gens[i]
		if g.expired == 0 && g.head.Born.Compare(over) >= 0 && (best == nil || g.beats(best)) {
			best = g
		}
	}
	for i, f := range v.Fragments {
		v.Fates[i] = fateOf(f, gens, best)
	}
	switch {
	case best == nil:
		return nil
	case best.logout:
		v.Verdict = LoggedOut
		return nil
	}
	v.Seen = best.seen
	return best.head
}

func (v *View) generations(gens []generation, now, idle int64) []generation {
	for _, f := range v.Fragments {
		i := slices.IndexFunc(gens, func(g generation) bool { return g.head.Root == f.Root })
		if i < 0 {
			i = len(gens)
			gens = append(gens, generation{head: f})
		}
		g := &gens[i]
		g.logout = g.logout || f.Kind == Logout
		if f.Stored {
			g.stored = max(g.stored, f.Seen)
		} else {
			g.seen = max(g.seen, f.Seen)
		}
	}
	for i := range gens {
		g := &gens[i]
		// The next request is judged by its cookies before any record is asked, and
		// the response that was to renew them may be lost. So they alone say when a
		// touch is due.
		g.seen = cmp.Or(g.seen, g.stored)
		limit := idle
		if g.head.Idle != 0 {
			limit = g.head.Idle
		}
		switch {
		case now >= g.head.End:
			g.expired = Ended
		case limit > 0 && !g.logout && now-g.seen >= limit:
			g.expired = Idle
		}
	}
	return gens
}

// beats is the order of generations: one that was begun by a request without
// any of ours never displaces one that exists; of the others the last born
// wins, and of two orphans the first, so that both tabs see the same.
func (g *generation) beats(h *generation) bool {
	if g.head.Orphan != h.head.Orphan {
		return h.head.Orphan
	}
	c := g.head.Born.Compare(h.head.Born)
	if g.head.Orphan {
		c = -c
	}
	if c == 0 && g.logout != h.logout {
		return g.logout
	}
	if c == 0 {
		c = slices.Compare(g.head.Root[:], h.head.Root[:])
	}
	return c > 0
}

func fateOf(f *Fragment, gens []generation, best *generation) Fate {
	for i := range gens {
		if g := &gens[i]; g.head.Root == f.Root {
			switch {
			case g == best:
				return Accepted
			case g.expired != 0:
				return g.expired
			}
		}
	}
	return Dead
}
