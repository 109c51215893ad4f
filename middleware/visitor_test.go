package middleware_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// A value that is set after Renew counts, whatever the old value was.
func TestRenewThenSetReplacesTheValue(t *testing.T) {
	for _, next := range []string{"a", "guest", "z"} {
		s := newSite(t, app)
		s.get("/set?user=guest")
		s.get("/login?user=" + next)
		require.Equal(t, next, s.who())
	}
}

// A visitor's other cookies, of analytics and consent for example, do not prevent
// a login.
func TestOtherCookiesDoNotStopALogin(t *testing.T) {
	for _, n := range []int{10, 20, 30, 100} {
		s := newSite(t, app)
		for i := range n {
			s.jar.Put(fmt.Sprintf("other%d", i), "1")
		}
		require.Equal(t, http.StatusOK, s.get("/login?user=ada").StatusCode, "%d others", n)
		require.Equal(t, "ada", s.who())
		require.Equal(t, http.StatusOK, s.get("/set?user=eve").StatusCode)
	}
}

func TestDeadKeyIsCleared(t *testing.T) {
	old := newRing(t)
	revoked, _, err := old.Revoke(old.Active(noon).ID(), noon)
	require.NoError(t, err)
	for name, before := range map[string]func(*site){"at the tag where all begin": func(*site) {}, "at tags of its own": (*site).moveToOwnTag} {
		t.Run(name, func(t *testing.T) {
			s, keys := onReplica(t, old, old)
			before(s)
			keys.set(revoked, nil)
			dead := s.jar.All()
			s.get("/set?user=grace")
			require.Equal(t, "grace", s.who())
			for _, c := range dead {
				require.NotContains(t, s.header(), c.Value, "the next write expires it")
			}
			require.Len(t, s.jar.All(), 1)
		})
	}
}
