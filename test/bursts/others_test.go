package bursts_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/test/internal/front"
)

// foreign returns cookies of other programs that take the given bytes of the
// Cookie header.
func foreign(bytes, count int) []string {
	var lines []string
	left := bytes - 2*(count-1)
	for i := range count {
		name := fmt.Sprintf("_ga_%02d=", i)
		n := left/(count-i) - len(name)
		lines = append(lines, name+strings.Repeat("v", n))
		left -= len(name) + n
	}
	return lines
}

// Cookies of other programs take room. A visitor with many of them must still
// be able to log in, stay logged in and log out, with and without a store.
func TestLoginBesideForeignCookies(t *testing.T) {
	for _, test := range []struct {
		platform middleware.Platform
		bytes    int
	}{{middleware.Nginx, 1800}, {middleware.ALB, 3700}, {middleware.Default, 7900}} {
		for _, count := range []int{2, 15, 30} {
			for _, k := range kinds {
				for _, how := range []string{"set", "renew", "bind"} {
					t.Run(fmt.Sprint(name(test.platform), " ", count, " ", k.name, " ", how), func(t *testing.T) {
						site, _ := k.site(t, test.platform)
						v := newVisitor(t, site)
						v.jar.apply(foreign(test.bytes, count))
						require.Equal(t, test.bytes, v.jar.field())
						v.foreignLogin(how)
					})
				}
			}
		}
	}
}

// The same must hold behind nginx.
func TestLoginBesideForeignCookiesBehindNginx(t *testing.T) {
	p := front.Nginx(t)
	for _, k := range kinds {
		for _, how := range []string{"set", "renew", "bind"} {
			t.Run(k.name+" "+how, func(t *testing.T) {
				site, _ := k.site(t, middleware.Nginx)
				v := newVisitor(t, site)
				v.base, v.http = p.Before(t, site.URL), oneShot
				v.jar.apply(foreign(1800, 6))
				v.foreignLogin(how)
			})
		}
	}
}

// foreignLogin logs in twice, first without a session and then with one, and
// logs out.
func (v *visitor) foreignLogin(how string) {
	v.t.Helper()
	for _, by := range []string{"ada", "eve"} {
		a := v.do("POST", "/login", url.Values{"by": {by}, "how": {how}})
		require.Equal(v.t, http.StatusOK, a.status, "the login of %s: %s", by, a.body)
		for i := range 3 {
			a = v.do("POST", "/set", setting("base0", fmt.Sprint(i), 200, 0))
			require.Equal(v.t, http.StatusOK, a.status, a.body)
			require.Equal(v.t, by, v.page().Notes["user"].Left)
		}
	}
	require.Equal(v.t, http.StatusOK, v.do("POST", "/logout", nil).status)
	require.Empty(v.t, v.page().Notes)
}
