package bursts_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/test/browser"
	"github.com/carryon-go/carryon/test/internal/front"
	"github.com/carryon-go/carryon/test/internal/notes"
)

func TestMain(m *testing.M) { os.Exit(browser.Main(m)) }

// A page is a tab of a browser at a site behind a proxy.
type page struct {
	t    *testing.T
	tab  browser.Tab
	base string
}

// A call is a fetch from a page.
type call struct {
	Method string `json:"method"`
	URL    string `json:"url"`
}

// A response is the result of a call.
type response struct {
	Status  int
	Text    string
	Program string // notes.FieldProgram, or "" if the proxy responded
	Entries string // notes.FieldEntries
}

func (r response) fault() error {
	switch {
	case r.Program == "":
		return fmt.Errorf("the proxy returned status %d: %.200s", r.Status, r.Text)
	case r.Status == http.StatusOK, r.Status == notes.StatusTooLarge, r.Status == notes.StatusStoreDown, r.Status == notes.StatusEnded:
		return nil
	}
	return fmt.Errorf("%d: %s", r.Status, r.Text)
}

// fetch sends all requests at once.
func (p page) fetch(calls ...call) (all []response) {
	p.t.Helper()
	text, err := json.Marshal(calls)
	require.NoError(p.t, err)
	require.NoError(p.t, p.tab.Eval(fmt.Sprintf(`Promise.all(%s.map(async ({method, url}) => {
		const a = await fetch(url, {method, cache: 'no-store'})
		return {Status: a.status, Text: await a.text(), Program: a.headers.get(%q) ?? '', Entries: a.headers.get(%q) ?? ''}
	}))`, text, notes.FieldProgram, notes.FieldEntries), &all))
	require.Len(p.t, all, len(calls))
	for _, r := range all {
		require.NoError(p.t, r.fault())
	}
	return all
}

func to(method, path string, form url.Values) call { return call{method, path + "?" + form.Encode()} }

// must sends a request, which must be accepted.
func (p page) must(method, path string, form url.Values) string {
	p.t.Helper()
	r := p.fetch(to(method, path, form))[0]
	require.Equal(p.t, http.StatusOK, r.Status, "%s: %s", path, r.Text)
	return r.Text
}

func (p page) notes() (got notes.Page) {
	p.t.Helper()
	require.NoError(p.t, json.Unmarshal([]byte(p.must("GET", "/all", nil)), &got))
	return got
}

func open(t *testing.T, b browser.Browser, base string) page {
	t.Helper()
	tab := browser.NewTab(t, b)
	require.NoError(t, tab.Go(base+"/page"))
	return page{t, tab, base}
}

// Whatever a browser sends at once, a proxy with default settings never refuses
// it, and the visitor can log in and out afterwards.
func TestBrowsersAreNeverLockedOut(t *testing.T) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		front.Each(t, func(t *testing.T, p front.Proxy) {
			for _, test := range []struct {
				kind
				values string
				size   int
			}{
				{kinds[0], "small", 20},
				{kinds[0], "large", room(p.Platform) / 4},
				{kinds[2], "large", room(p.Platform) / 4},
			} {
				t.Run(test.name+" "+test.values, func(t *testing.T) {
					for _, burst := range bursts[:7] {
						if burst.leavesHeads() && test.values != "small" && !test.stored {
							continue
						}
						t.Run(burst.name, func(t *testing.T) { burst.inBrowser(t, b, p, test.kind, test.size) })
					}
				})
			}
		})
	})
}

func (b burst) inBrowser(t *testing.T, in browser.Browser, p front.Proxy, k kind, bytes int) {
	site, clock := k.site(t, p.Platform)
	limits, _ := p.Platform.Limits()
	v := open(t, in, p.Before(t, site.URL))
	size := func() int { return bytes }
	if b.begun {
		for i := range 4 {
			v.must(set(fmt.Sprint("base", i), 0, size()))
		}
		clock.Move(b.wait)
	}
	calls := make([]call, many)
	for i := range calls {
		calls[i] = to(b.request(i, size))
	}
	done := 0
	for _, r := range v.fetch(calls...) {
		if r.Status == http.StatusOK {
			done++
		}
	}
	require.NotZero(t, done)
	v.logInAndOut()
	within(t, site.Meter.Most(), limits)
}

func (p page) logInAndOut() {
	p.t.Helper()
	p.notes()
	p.must("POST", "/login", url.Values{"by": {"ada"}})
	require.Equal(p.t, "ada", p.notes().Notes["user"].Left)
	p.must("POST", "/logout", nil)
	require.Empty(p.t, p.notes().Notes)
	p.must("POST", "/login", url.Values{"by": {"eve"}})
	require.Equal(p.t, "eve", p.notes().Notes["role"].Left)
}

// Forty concurrent calls of fetch each create an entry, behind nginx with
// default settings. Acknowledged entries exist afterwards, and refusals name
// their entry.
func TestFortyFetches(t *testing.T) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		site, clock := kinds[0].site(t, middleware.Nginx)
		p := open(t, b, front.Nginx(t).Before(t, site.URL))
		p.must(set("base", 0, 100))
		for round := range 1 {
			calls := make([]call, 40)
			for i := range calls {
				calls[i] = to(set(fmt.Sprint("k", i), round, 0))
			}
			kept := 0
			answers := p.fetch(calls...)
			got := p.notes().Notes
			for i, r := range answers {
				name := fmt.Sprint("k", i)
				switch r.Status {
				case http.StatusOK:
					kept++
					require.Equal(t, fmt.Sprint("w", round), got[name].Left, "%s was acknowledged", name)
				default:
					require.Equal(t, notes.StatusTooLarge, r.Status, r.Text)
					require.Contains(t, r.Entries, name)
				}
			}
			t.Logf("round %d: %d of 40 kept", round, kept)
			require.NotZero(t, kept)
			clock.Move(settled)
		}
		// A last request that the browser sends after all other answers may write the
		// session whole: nothing is in flight that it could undo.
		limits, _ := middleware.Nginx.Limits()
		within(t, site.Meter.Most(), limits)
		p.logInAndOut()
	})
}
