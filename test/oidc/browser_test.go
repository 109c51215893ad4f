package oidc_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware/oidcsession"
	"github.com/carryon-go/carryon/test/browser"
	"github.com/carryon-go/carryon/test/internal/providers"
)

// inBrowsers runs a test with each browser and a provider that shows a form. The program
// is at 127.0.0.1 and the provider at localhost: two sites.
func inBrowsers(t *testing.T, change func(t *testing.T, s *setup), test func(t *testing.T, s *site, tab browser.Tab)) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		providers.Each(t, func(t *testing.T, k providers.Kind) {
			w := newWorld(t, k, func(s *providers.Settings) { s.Form = true })
			s := w.newSite(t, func(set *setup) {
				if change != nil {
					change(t, set)
				}
			})
			test(t, s, browser.NewTab(t, b))
		})
	})
}

// open loads a page, which the program or the provider answers.
func (s *site) open(tab browser.Tab, page string) error { return tab.Go(s.front.URL + page) }

// arrive waits until a tab is signed in at a page.
func arrive(tab browser.Tab, page string) error {
	condition := fmt.Sprintf("document.querySelector('#who')?.textContent === 'Ada ada at %s'", page)
	if err := browser.Until(tab, condition); err != nil {
		var shown string
		_ = tab.Eval("location.href + ' ' + document.body.textContent", &shown)
		return fmt.Errorf("the tab is at %s: %w", shown, err)
	}
	return nil
}

// press presses the button of the provider's form and waits for a page of the program.
func press(tab browser.Tab, page string) error {
	if err := browser.Follow(tab, "#sign-in"); err != nil {
		return err
	}
	return arrive(tab, page)
}

func (s *site) signInTab(t *testing.T, tab browser.Tab, page string) {
	t.Helper()
	require.NoError(t, s.open(tab, page))
	require.NoError(t, press(tab, page))
}

// recorded makes the front remember the callbacks.
func (s *site) recorded() (last func() string) {
	var mu sync.Mutex
	var address string
	for i, replica := range s.replicas {
		s.replicas[i] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/callback") {
				mu.Lock()
				address = r.URL.RequestURI()
				mu.Unlock()
			}
			replica.ServeHTTP(w, r)
		})
	}
	return func() string { mu.Lock(); defer mu.Unlock(); return address }
}

// A visitor signs in by the provider's form, reloads the callback, walks back and forth,
// and signs out at the provider.
func TestBrowserSignsInAndOut(t *testing.T) {
	inBrowsers(t, func(_ *testing.T, set *setup) { set.store = memory }, func(t *testing.T, s *site, tab browser.Tab) {
		callback := s.recorded()
		s.signInTab(t, tab, "/page/1")
		old := callback()
		require.NotEmpty(t, old)

		require.NoError(t, s.open(tab, old)) // a reload
		require.NoError(t, arrive(tab, "/page/1"))
		require.NoError(t, s.open(tab, "/page/2"))
		require.NoError(t, tab.Eval("void history.back()", nil))
		require.NoError(t, arrive(tab, "/page/1"))
		require.NoError(t, tab.Eval("void history.back()", nil)) // the callback, or the provider's form
		require.NoError(t, browser.Until(tab, "document.readyState === 'complete'"))
		require.NoError(t, s.open(tab, "/page/3"))
		require.NoError(t, arrive(tab, "/page/3"))
		require.Equal(t, 1, s.count(oidcsession.EventSignedIn))

		require.NoError(t, s.open(tab, "/auth/logout"))
		require.NoError(t, browser.Follow(tab, "button"))
		require.NoError(t, browser.Until(tab, "document.querySelector('#yes') || location.pathname === '/public'"))
		if address, err := browser.Location(tab); err == nil && !strings.HasSuffix(address, "/public") {
			require.NoError(t, browser.Follow(tab, "#yes"))
		}
		require.NoError(t, browser.Until(tab, "location.pathname === '/public' && document.body.textContent.includes(' false ')"))
		require.NoError(t, s.open(tab, old)) // leads to the form of a new sign-in
		require.NoError(t, press(tab, "/page/1"))
		require.Equal(t, 2, s.count(oidcsession.EventSignedIn))
	})
}

// Ten tabs of a browser without a session open ten pages at once. Each tab arrives at its
// page after the visitor has pressed the button in it. The presses come one after another,
// because oidc-provider renames its own session with each, and refuses the others.
func TestBrowserWithTenTabs(t *testing.T) {
	inBrowsers(t, nil, func(t *testing.T, s *site, tab browser.Tab) {
		tabs := []browser.Tab{tab}
		for len(tabs) < 10 {
			sibling, err := tab.Sibling()
			require.NoError(t, err)
			t.Cleanup(func() { sibling.Close() })
			tabs = append(tabs, sibling)
		}
		var wg sync.WaitGroup
		errs := make([]error, len(tabs))
		for i, tab := range tabs {
			wg.Go(func() { errs[i] = s.open(tab, fmt.Sprintf("/page/%d", i)) })
		}
		wg.Wait()
		require.NoError(t, errors.Join(errs...))
		for i, tab := range tabs {
			require.NoError(t, s.pressUntil(tab, fmt.Sprintf("/page/%d", i)), "tab %d", i)
		}
		require.Zero(t, s.count(oidcsession.EventSignInFailed))
	})
}

// pressUntil presses the button of the provider's form, up to three times: a tab whose
// flow was lost gets the form again.
func (s *site) pressUntil(tab browser.Tab, page string) error {
	for range 3 {
		if err := browser.Follow(tab, "#sign-in"); err != nil {
			return err
		}
		if err := browser.Until(tab, "document.querySelector('#who, #sign-in, h1, pre')"); err != nil {
			return err
		}
		var again bool
		if err := tab.Eval("!!document.querySelector('#sign-in')", &again); err != nil || !again {
			break
		}
	}
	return arrive(tab, page)
}

// Browsers send the form of another site without the session's cookies. The sign-in
// succeeds nevertheless.
func TestBrowserWithFormPost(t *testing.T) {
	formPost := func(_ *testing.T, set *setup) { set.config.Parameters.Set("response_mode", "form_post") }
	inBrowsers(t, formPost, func(t *testing.T, s *site, tab browser.Tab) {
		posts, withCookies := 0, 0
		replica := s.replicas[0]
		s.replicas[0] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				posts++
				if r.Header.Get("Cookie") != "" {
					withCookies++
				}
			}
			replica.ServeHTTP(w, r)
		})
		s.signInTab(t, tab, "/page")
		require.Equal(t, 1, posts)
		require.Zero(t, withCookies)
	})
}

// The requests of a page in a browser refresh an expired token once.
func TestBrowserRefreshesOnce(t *testing.T) {
	inBrowsers(t, func(t *testing.T, set *setup) { threeInRedis(t)(set) }, func(t *testing.T, s *site, tab browser.Tab) {
		s.signInTab(t, tab, "/page")
		for round := range 3 {
			s.expire()
			var tokens []string
			require.NoError(t, tab.Eval(`Promise.all(Array.from({length: 40}, async (_, i) => {
				const a = await fetch('/token?' + i, {cache: 'no-store'})
				return a.status + ' ' + await a.text()
			}))`, &tokens))
			for _, token := range tokens {
				require.True(t, strings.HasPrefix(token, "200 "), token)
				require.Equal(t, tokens[0], token)
			}
			require.NoError(t, s.open(tab, "/page"))
			require.NoError(t, arrive(tab, "/page"))
			all, reused := s.Refreshes()
			require.Equal(t, round+1, all)
			require.Zero(t, reused)
		}
	})
}
