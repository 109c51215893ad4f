package browser

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// A chromium is controlled by the Chrome DevTools Protocol over a pipe.
type chromium struct {
	ctx    context.Context
	cancel context.CancelFunc
}

// A chromiumTab holds the context in which chromedp keeps the tab.
type chromiumTab struct {
	browser *chromium
	ctx     context.Context
	cancel  context.CancelFunc
}

func startChromium(program, dir string) (Browser, error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.UserDataDir(dir),
		chromedp.NoSandbox, // only loopback pages are loaded, and containers lack user namespaces
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1"),
		chromedp.Flag("ignore-certificate-errors-spki-list", testIdentity().pin()),
	)
	allocator, cancelAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	// Use no timeout: the browser ends with this context.
	if err := chromedp.Do(ctx); err != nil {
		cancelAllocator()
		return nil, err
	}
	return &chromium{ctx, func() { cancel(); cancelAllocator() }}, nil
}

func (b *chromium) Name() string { return "chromium" }

func (b *chromium) Close() error {
	b.cancel()
	return nil
}

func (b *chromium) NewTab() (Tab, error) {
	return b.open(chromedp.WithNewBrowserContext())
}

func (b *chromium) open(option chromedp.ContextOption) (Tab, error) {
	ctx, cancel := chromedp.NewContext(b.ctx, option)
	if err := chromedp.Do(ctx); err != nil {
		cancel()
		return nil, err
	}
	return &chromiumTab{b, ctx, cancel}, nil
}

func (t *chromiumTab) Sibling() (Tab, error) {
	return t.browser.open(chromedp.WithExistingBrowserContext(chromedp.FromContext(t.ctx).BrowserContextID))
}

func (t *chromiumTab) Close() error {
	t.cancel()
	return nil
}

func (t *chromiumTab) Go(url string) error {
	ctx, cancel := t.bounded()
	defer cancel()
	return chromedp.Do(ctx, chromedp.Navigate(url))
}

func (t *chromiumTab) Eval(expression string, into any) error {
	ctx, cancel := t.bounded()
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](asJSON(expression), chromedp.EvalAwaitPromise))
	if err != nil {
		return err
	}
	return fromJSON(text, into)
}

func (t *chromiumTab) Cookies(url string) ([]Cookie, error) {
	ctx, cancel := t.bounded()
	defer cancel()
	result, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{url}})
	if err != nil {
		return nil, err
	}
	var list []Cookie
	for _, c := range result.Cookies {
		cookie := Cookie{
			Name: c.Name, Value: c.Value, Domain: c.Domain, Path: c.Path,
			Secure: c.Secure, HttpOnly: c.HTTPOnly, SameSite: strings.ToLower(string(c.SameSite)),
		}
		if !c.Session {
			cookie.Expires = time.UnixMilli(int64(c.Expires * 1000))
		}
		list = append(list, cookie)
	}
	return list, nil
}

func (t *chromiumTab) SetCookie(url string, c Cookie) error {
	ctx, cancel := t.bounded()
	defer cancel()
	params := network.SetCookieParams{
		URL: url, Name: c.Name, Value: c.Value, Domain: c.Domain, Path: c.Path, Secure: &c.Secure, HTTPOnly: &c.HttpOnly,
	}
	if !strings.HasPrefix(c.Domain, ".") {
		params.Domain = "" // empty for a host-only cookie
	}
	if c.SameSite != "" {
		params.SameSite = network.CookieSameSite(strings.ToUpper(c.SameSite[:1]) + c.SameSite[1:])
	}
	if !c.Expires.IsZero() {
		params.Expires = cdp.TimeSinceEpoch(c.Expires.Unix())
	}
	_, err := chromedp.Call(ctx, network.SetCookie, params)
	return err
}

func (t *chromiumTab) Look(l Look) error {
	ctx, cancel := t.bounded()
	defer cancel()
	_, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: int64(l.Width), Height: int64(l.Height), DeviceScaleFactor: 1, Mobile: l.Width < 600,
	})
	if err != nil {
		return fmt.Errorf("size: %w", err)
	}
	scheme := "light"
	if l.Dark {
		scheme = "dark"
	}
	_, err = chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	return err
}

func (t *chromiumTab) Screenshot() ([]byte, error) {
	ctx, cancel := t.bounded()
	defer cancel()
	return chromedp.Run(ctx, chromedp.CaptureScreenshot())
}

// bounded returns a context with a timeout for one call. Its end does not close
// the tab.
func (t *chromiumTab) bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.ctx, Patience)
}
