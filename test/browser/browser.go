// Package browser drives a real headless Chromium and a real headless Firefox
// for the tests of this module.
//
// A test binary starts each browser at most once, when the first test asks for
// it; [Main] ends them. What is not installed is skipped with one line, or
// fails where CI=true or CARRYON_REQUIRE_BROWSERS=1 is set.
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
// Both browsers know the host names of [Hosts] as loopback, and trust the
// certificate of [NewTLSServer].
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

// Patience bounds every call to a browser. It is long, because a busy machine
// must not fail a test.
const Patience = time.Minute

// Hosts are names that both browsers resolve to 127.0.0.1: two sites
// (app.test, other.test), two hosts within the first, and the hosts of Site.
var Hosts = append([]string{"app.test", "a.app.test", "b.app.test", "other.test"}, siteHosts()...)

// sites is how many sites of their own there are.
const sites = 50

// Site is the name of a site that nothing else uses, for n from 0 to 49, so
// that cases in one tab do not see each other's cookies. Its host "a." + Site(n)
// is there too.
func Site(n int) string { return fmt.Sprintf("site%02d.test", n) }

func siteHosts() (hosts []string) {
	for n := range sites {
		hosts = append(hosts, Site(n), "a."+Site(n))
	}
	return hosts
}

// Browser is a running browser.
type Browser interface {
	// Name is "chromium" or "firefox".
	Name() string
	// NewTab opens a tab with an empty cookie jar of its own.
	NewTab() (Tab, error)
	// Close ends the browser.
	Close() error
}

// Tab is one page of a browser. Its methods may be called from several
// goroutines; each waits at most Patience.
type Tab interface {
	// Sibling opens another tab with the same cookie jar.
	Sibling() (Tab, error)
	// Go loads an address, follows redirects, and waits until the page and all
	// that it asks for has loaded. A status of 400 or above is no error; an
	// address that loads no page (204, a download, "#x" on the same page) is
	// waited for in vain.
	Go(url string) error
	// Eval evaluates a JavaScript expression in the page, awaits it where it is
	// a promise, and decodes the result, as JSON, into into (nil: not wanted).
	Eval(expression string, into any) error
	// Cookies are those that the jar holds for the host of url, HttpOnly ones
	// as well.
	Cookies(url string) ([]Cookie, error)
	// SetCookie writes a cookie of the host of url, as a visitor does with the
	// browser's developer tools.
	SetCookie(url string, c Cookie) error
	// Look sets the size of the page and, in Chromium, the colour scheme;
	// Firefox returns an error that matches errors.ErrUnsupported for Dark.
	Look(l Look) error
	// Screenshot is what the visitor sees, as PNG.
	Screenshot() ([]byte, error)
	// Close closes the tab.
	Close() error
}

// Cookie is a cookie in a browser's jar. Domain is as the browser writes it:
// with a leading dot where subdomains get it too.
type Cookie struct {
	Name, Value, Domain, Path string
	Secure, HttpOnly          bool
	SameSite                  string    // "strict", "lax", "none", or "" where none was given
	Expires                   time.Time // zero: ends with the browser session
}

// Look is how a page is shown, in CSS pixels.
type Look struct {
	Width, Height int
	Dark          bool
}

// known are the browsers, by the programs that may be installed.
var known = []*candidate{
	{name: "chromium", programs: []string{"chromium", "chromium-browser", "google-chrome"}, start: startChromium},
	{name: "firefox", programs: []string{"firefox-esr", "firefox"}, start: startFirefox},
}

// candidate is a browser that is started when it is first asked for.
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

// Main runs the tests and ends the browsers that they started. It is the
// TestMain of every package that uses this one; give its result to os.Exit.
func Main(m *testing.M) int {
	mainRuns = true
	code := m.Run()
	for _, c := range known {
		if err := c.stop(); err != nil {
			fmt.Fprintf(os.Stderr, "browser: %s did not end well: %v\n", c.name, err)
		}
	}
	return code
}

// Each runs a test in every browser that is installed, as a subtest of its
// name.
func Each(t *testing.T, test func(t *testing.T, b Browser)) {
	t.Helper()
	for _, c := range known {
		t.Run(c.name, func(t *testing.T) { test(t, c.get(t)) })
	}
}

// Chromium is the running Chromium; the test is skipped where there is none.
func Chromium(t *testing.T) Browser { t.Helper(); return known[0].get(t) }

// Firefox is the running Firefox; the test is skipped where there is none.
func Firefox(t *testing.T) Browser { t.Helper(); return known[1].get(t) }

// NewTab opens a tab with an empty jar, closed when the test ends.
func NewTab(t testing.TB, b Browser) Tab {
	t.Helper()
	tab, err := b.NewTab()
	if err != nil {
		t.Fatalf("%s opened no tab: %v", b.Name(), err)
	}
	t.Cleanup(func() { tab.Close() })
	return tab
}

func (c *candidate) get(t testing.TB) Browser {
	t.Helper()
	if !mainRuns {
		t.Fatal("call browser.Main from TestMain, or the browser would outlive the test")
	}
	c.once.Do(func() { c.browser, c.err = c.launch() })
	switch {
	case c.err == nil:
		return c.browser
	case errors.Is(c.err, errMissing) && !required():
		t.Skipf("skipped: %s is not installed (looked for %v)", c.name, c.programs)
	default:
		t.Fatalf("%s does not start: %v", c.name, c.err)
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
	// A browser may still be writing as it dies.
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
