package middleware_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// After any order of calls that changes or ends the session's id, a stolen copy is
// refused everywhere.
func TestStolenCopyIsOfNoUseAfterOddOrders(t *testing.T) {
	type step func(s *session.Session)
	steps := map[string]step{
		"set": set("user", "eve"), "save": func(s *session.Session) { _ = s.Save(context.Background()) }, "destroy": (*session.Session).Destroy, "renew": (*session.Session).Renew,
		"bind": func(s *session.Session) { s.Login("eve") }, "reload": func(s *session.Session) { _ = s.Reload(context.Background()) }, "big": set("big", text(40_000)),
	}
	names := []string{"set", "save", "destroy", "renew", "bind", "reload", "big"}
	bad := map[string]int{}
	for _, mode := range []middleware.Mode{middleware.Auto, middleware.AlwaysStored} {
		for _, start := range []string{"small", "big"} {
			for i := range 7 * 7 * 7 * 7 {
				a := newAdversary(t, nil)
				store := mem(t, a.clock.Now)
				with := func(c *middleware.Config) { c.Fallback.Store, c.Fallback.Mode = store, mode }
				a.sessions = a.replica(a.clock.Now, with)
				other := a.replica(a.clock.Now, with)
				jar := cookies{}
				var id string
				a.ask(jar, func(s *session.Session) {
					s.Login("ada")
					user.Set(s, "ada")
					id = s.ID()
					if start == "big" {
						set("big", text(30_000))(s)
					}
				})
				stolen := jar.and()
				seq := []string{names[i%7], names[i/7%7], names[i/49%7], names[i/343]}
				ctx, x := a.sessions.Begin(context.Background(), middleware.Request{Method: "POST", Cookies: []string{jar.header()}})
				s := session.From(ctx)
				for _, n := range seq {
					steps[n](s)
				}
				id2 := s.ID()
				f, err := x.Commit(ctx, middleware.Response{Status: 200})
				_ = x.Finish(ctx)
				if err != nil {
					bad["err "+fmt.Sprintf("%.40s", err)]++
					continue
				}
				jar.land(f.SetCookie)
				if id2 == id {
					continue
				}
				a.clock.advance(time.Minute)
				for _, m := range []*middleware.Sessions{a.sessions, other} {
					lines, _ := open(m, stolen, func(s *session.Session) {
						if len(s.Names()) > 0 {
							k := fmt.Sprint("alive ", mode, start)
							if bad[k]++; bad[k] < 4 {
								t.Log(seq, k)
							}
						}
					})()
					_ = lines
				}
			}
		}
	}
	for k, n := range bad {
		t.Log(n, k)
	}
}
