// Package browser drives a real headless Chromium and a real headless Firefox
// for the tests of this module.
//
// A test binary starts each browser at most once, when a test first needs it.
// [Main] closes the browsers. If a browser is not installed, its tests are
// skipped; with CI=true or CARRYON_REQUIRE_BROWSERS=1 they fail.
//
//	func TestMain(m *testing.M) { os.Exit(browser.Main(m)) }
//
//	func TestCookieComesBack(t *testing.T) {
//		browser.Each(t, func(t *testing.T, b browser.Browser) {
//			tab := browser.NewTab(t, b)
//			require.NoError(t, tab.Go(server.URL))
//		})
//	}
//
// Both browsers resolve the names in [Hosts] to the loopback address, and trust
// the certificate of [NewTLSServer].
package browser

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// Patience limits every call to a browser. It is long so that no test fails
// because the machine is busy.
const Patience = time.Minute

// Hosts are the names that both browsers resolve to 127.0.0.1: two sites
// (app.test and other.test), two hosts of the first site, and the hosts of
// Site.
var Hosts = append([]string{"app.test", "a.app.test", "b.app.test", "other.test"}, siteHosts()...)

// sites is the number of sites that Site returns.
const sites = 50

// Site returns the name of an unused site, for n from 0 to 49. Test cases that
// use one tab take different sites, so that they do not see each other's
// cookies. The host "a." + Site(n) works, too.
func Site(n int) string { return fmt.Sprintf("site%02d.test", n) }

func siteHosts() (hosts []string) {
	for n := range sites {
		hosts = append(hosts, Site(n), "a."+Site(n))
	}
	return hosts
}

// A Browser is a running browser.
type Browser interface {
	// Name returns "chromium" or "firefox".
	Name() string
	// NewTab opens a tab with an empty cookie jar of its own.
	NewTab() (Tab, error)
	// Close ends the browser.
	Close() error
}

// A Tab is a page of a browser. Its methods may be called concurrently. Each of
// them waits at most Patience.
type Tab interface {
	// Sibling opens another tab with the same cookie jar.
	Sibling() (Tab, error)
	// Go loads an address, follows redirects, and waits until the page and its
	// subresources have loaded. A status of 400 or above is not an error. Go
	// times out if the address loads no page: a 204, a download, or "#x" on the
	// same page.
	Go(url string) error
	// Eval evaluates a JavaScript expression in the page. It awaits a promise,
	// and stores the result, as decoded JSON, in into, unless that is nil.
	Eval(expression string, into any) error
	// Cookies returns the jar's cookies for the host of url, including HttpOnly
	// cookies.
	Cookies(url string) ([]Cookie, error)
	// SetCookie sets a cookie of the host of url, like a visitor with the
	// browser's developer tools.
	SetCookie(url string, c Cookie) error
	// Look sets the size of the page and, in Chromium, the colour scheme. In
	// Firefox, Dark returns an error that matches errors.ErrUnsupported.
	Look(l Look) error
	// Screenshot returns the visible page as PNG.
	Screenshot() ([]byte, error)
	// Close closes the tab.
	Close() error
}

// A Cookie is a cookie in a browser's jar. Domain is as the browser writes it,
// with a leading dot if the cookie is also sent to subdomains.
type Cookie struct {
	Name, Value, Domain, Path string
	Secure, HttpOnly          bool
	SameSite                  string    // "strict", "lax", "none", or "" if the cookie has none
	Expires                   time.Time // zero: ends with the browser session
}

// A Look is the size and colour scheme of a page, in CSS pixels.
type Look struct {
	Width, Height int
	Dark          bool
}

// known lists the browsers with the program names to look for.
var known = []*candidate{
	{name: "chromium", programs: []string{"chromium", "chromium-browser", "google-chrome"}, start: startChromium},
	{name: "firefox", programs: []string{"firefox-esr", "firefox"}, start: startFirefox},
}

// A candidate is a browser that is started on first use.
type candidate struct {
	name     string
	programs []string
	start    func(program, dir string) (Browser, error)

	once    sync.Once
	browser Browser
	err     error
	dir     string
}

var (
	errMissing = errors.New("not installed")
	mainRuns   bool
)

// Main runs the tests and closes the browsers that they started. Every package
// that uses this one must call it in TestMain, and pass its result to os.Exit.
func Main(m *testing.M) int {
	mainRuns = true
	code := m.Run()
	for _, c := range known {
		if err := c.stop(); err != nil {
			fmt.Fprintf(os.Stderr, "browser: %s failed to close: %v\n", c.name, err)
		}
	}
	return code
}

// Each runs a test in every installed browser, as a subtest with the browser's
// name.
func Each(t *testing.T, test func(t *testing.T, b Browser)) {
	t.Helper()
	for _, c := range known {
		t.Run(c.name, func(t *testing.T) { test(t, c.get(t)) })
	}
}

// Chromium returns the running Chromium. It skips the test if Chromium is not
// installed.
func Chromium(t *testing.T) Browser { t.Helper(); return known[0].get(t) }

// Firefox returns the running Firefox. It skips the test if Firefox is not
// installed.
func Firefox(t *testing.T) Browser { t.Helper(); return known[1].get(t) }

// NewTab opens a tab with an empty jar and closes it after the test.
func NewTab(t testing.TB, b Browser) Tab {
	t.Helper()
	tab, err := b.NewTab()
	if err != nil {
		t.Fatalf("%s failed to open a tab: %v", b.Name(), err)
	}
	t.Cleanup(func() { tab.Close() })
	return tab
}

func (c *candidate) get(t testing.TB) Browser {
	t.Helper()
	if !mainRuns {
		t.Fatal("call browser.Main in TestMain, so that the browser is closed")
	}
	c.once.Do(func() { c.browser, c.err = c.launch() })
	switch {
	case c.err == nil:
		return c.browser
	case errors.Is(c.err, errMissing) && !required():
		t.Skipf("%s is not installed (looked for %v)", c.name, c.programs)
	default:
		t.Fatalf("%s failed to start: %v", c.name, c.err)
	}
	return nil
}

func (c *candidate) launch() (Browser, error) {
	for _, program := range c.programs {
		path, err := exec.LookPath(program)
		if err != nil {
			continue
		}
		if c.dir, err = os.MkdirTemp("", "carryon-"+c.name+"-"); err != nil {
			return nil, err
		}
		return c.start(path, c.dir)
	}
	return nil, fmt.Errorf("%w: install one of %v", errMissing, c.programs)
}

func (c *candidate) stop() error {
	if c.dir == "" {
		return nil
	}
	var err error
	if c.browser != nil {
		err = c.browser.Close()
	}
	// A browser may still be writing files while it exits.
	for range 20 {
		if os.RemoveAll(c.dir) == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

func required() bool {
	return os.Getenv("CI") == "true" || os.Getenv("CARRYON_REQUIRE_BROWSERS") == "1"
}
