package frameworks_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/test/browser"
)

func TestMain(m *testing.M) { os.Exit(browser.Main(m)) }

// A browser gets the same cookies from each framework as the Go client does.
func TestSameWalkInChromium(t *testing.T) {
	chromium := browser.Chromium(t)
	var first []string
	for _, framework := range all {
		t.Run(framework.name, func(t *testing.T) {
			s := newSite(t, framework)
			tab := browser.NewTab(t, chromium)
			require.NoError(t, tab.Go(s.url+"/nowhere")) // a page of the program that does not use the session
			var jars []string
			for _, step := range walk {
				var text string
				require.NoError(t, tab.Eval(fmt.Sprintf(
					"fetch('/do/%s/%s', {method: 'POST'}).then(r => r.json()).then(j => j.text)", step.step, step.arg), &text))
				require.Equal(t, step.want, text)
				jars = append(jars, step.step+" "+step.arg+": "+jarOf(t, tab, s.url))
			}
			if first == nil {
				first = jars
			}
			require.Equal(t, first, jars)
		})
	}
}

// jarOf lists the browser's cookies without their random parts.
func jarOf(t *testing.T, tab browser.Tab, url string) string {
	cookies, err := tab.Cookies(url)
	require.NoError(t, err)
	var all []string
	for _, c := range cookies {
		parts := strings.Split(c.Name, ".")
		require.Len(t, parts[1], 10)
		parts[1] = "*"
		all = append(all, fmt.Sprintf("%s %s %v %v %s", strings.Join(parts, "."), c.Path, c.Secure, c.HttpOnly, c.SameSite))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
