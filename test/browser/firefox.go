package browser

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A firefox is controlled by WebDriver BiDi, without a driver program.
type firefox struct {
	process *exec.Cmd
	session *bidi
}

type firefoxTab struct {
	session *bidi
	jar     string // user context
	page    string // browsing context
}

// preferences make Firefox use only the loopback address.
const preferences = `user_pref("network.proxy.type", 0);
user_pref("network.dns.localDomains", "%s");
user_pref("app.normandy.enabled", false);
user_pref("app.update.enabled", false);
user_pref("browser.safebrowsing.downloads.remote.enabled", false);
user_pref("browser.safebrowsing.malware.enabled", false);
user_pref("browser.safebrowsing.phishing.enabled", false);
user_pref("toolkit.telemetry.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("extensions.update.enabled", false);
user_pref("services.settings.server", "data:,#remote-settings-dummy/v1");
user_pref("browser.shell.checkDefaultBrowser", false);
`

func startFirefox(program, dir string) (Browser, error) {
	prefs := fmt.Sprintf(preferences, strings.Join(Hosts, ","))
	if err := os.WriteFile(filepath.Join(dir, "user.js"), []byte(prefs), 0o600); err != nil {
		return nil, err
	}
	process := exec.Command(program, "--headless", "--no-remote", "--profile", dir, "--remote-debugging-port", "0")
	process.Env = append(os.Environ(), "HOME="+dir)
	ownGroup(process)
	stderr, err := process.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := process.Start(); err != nil {
		return nil, err
	}
	session, err := connectFirefox(stderr)
	if err != nil {
		endGroup(process)
		return nil, err
	}
	return &firefox{process, session}, nil
}

// connectFirefox waits until Firefox prints its address to standard error, and
// then opens a session.
func connectFirefox(stderr io.Reader) (*bidi, error) {
	found := make(chan string, 1)
	go func() {
		defer close(found)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if _, address, ok := strings.Cut(lines.Text(), "WebDriver BiDi listening on "); ok {
				found <- address
			}
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	select {
	case address, ok := <-found:
		if !ok {
			return nil, errors.New("the program ended at once")
		}
		return dialBidi(ctx, address+"/session")
	case <-ctx.Done():
		return nil, errors.New("the program did not print the address of WebDriver BiDi")
	}
}

func (b *firefox) Name() string { return "firefox" }

func (b *firefox) Close() error {
	b.session.close()
	return endGroup(b.process)
}

func (b *firefox) NewTab() (Tab, error) {
	var made struct{ UserContext string }
	if err := b.session.call("browser.createUserContext", object{}, &made); err != nil {
		return nil, err
	}
	return (&firefoxTab{session: b.session, jar: made.UserContext}).Sibling()
}

func (t *firefoxTab) Sibling() (Tab, error) {
	var made struct{ Context string }
	err := t.session.call("browsingContext.create", object{"type": "tab", "userContext": t.jar}, &made)
	if err != nil {
		return nil, err
	}
	return &firefoxTab{t.session, t.jar, made.Context}, nil
}

func (t *firefoxTab) Close() error {
	return t.session.call("browsingContext.close", object{"context": t.page}, nil)
}

// Go polls the page. The option "wait": "complete" is not reliable: Firefox
// sometimes never responds if the previous page is of another site.
func (t *firefoxTab) Go(address string) error {
	if err := t.Eval("window.carryonLeaving = true", nil); err != nil {
		return err
	}
	navigate := object{"context": t.page, "url": address, "wait": "none"}
	if err := t.session.call("browsingContext.navigate", navigate, nil); err != nil {
		return err
	}
	if err := Until(t, loaded); err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	var document string
	if err := t.Eval("document.documentURI", &document); err != nil {
		return err
	}
	if strings.HasPrefix(document, "about:neterror") {
		return fmt.Errorf("cannot load %s", address)
	}
	return nil
}

func (t *firefoxTab) Eval(expression string, into any) error {
	var answer struct {
		Type             string
		Result           struct{ Value string }
		ExceptionDetails struct{ Text string }
	}
	err := t.session.call("script.evaluate", object{
		"expression": asJSON(expression), "target": object{"context": t.page}, "awaitPromise": true,
	}, &answer)
	if err != nil {
		return err
	}
	if answer.Type == "exception" {
		return errors.New(answer.ExceptionDetails.Text)
	}
	return fromJSON(answer.Result.Value, into)
}

// A firefoxCookie is a cookie in the form of BiDi.
type firefoxCookie struct {
	Name     string      `json:"name"`
	Value    firefoxText `json:"value"`
	Domain   string      `json:"domain"`
	Path     string      `json:"path,omitempty"`
	Secure   bool        `json:"secure"`
	HttpOnly bool        `json:"httpOnly"`
	SameSite string      `json:"sameSite,omitempty"`
	Expiry   int64       `json:"expiry,omitempty"` // Unix seconds
}

type firefoxText struct {
	Type  string `json:"type"` // "string", or "base64" if the value is not UTF-8
	Value string `json:"value"`
}

func (t *firefoxTab) Cookies(page string) ([]Cookie, error) {
	u, err := url.Parse(page)
	if err != nil {
		return nil, err
	}
	var found struct{ Cookies []firefoxCookie }
	if err := t.session.call("storage.getCookies", object{"partition": t.partition()}, &found); err != nil {
		return nil, err
	}
	var list []Cookie
	for _, c := range found.Cookies {
		host := u.Hostname()
		if c.Domain != host && !(strings.HasPrefix(c.Domain, ".") && strings.HasSuffix("."+host, c.Domain)) {
			continue
		}
		cookie := Cookie{
			Name: c.Name, Value: c.Value.Value, Domain: c.Domain, Path: c.Path,
			Secure: c.Secure, HttpOnly: c.HttpOnly, SameSite: strings.TrimPrefix(c.SameSite, "default"),
		}
		if c.Expiry != 0 {
			cookie.Expires = time.Unix(c.Expiry, 0)
			if !cookie.Expires.After(time.Now()) {
				continue // expired: Firefox lists it for a while, but does not send it
			}
		}
		list = append(list, cookie)
	}
	return list, nil
}

func (t *firefoxTab) SetCookie(page string, c Cookie) error {
	u, err := url.Parse(page)
	if err != nil {
		return err
	}
	cookie := firefoxCookie{
		Name: c.Name, Value: firefoxText{"string", c.Value}, Domain: u.Hostname(), Path: c.Path,
		Secure: c.Secure, HttpOnly: c.HttpOnly, SameSite: c.SameSite,
	}
	if strings.HasPrefix(c.Domain, ".") {
		cookie.Domain = c.Domain
	}
	if !c.Expires.IsZero() {
		cookie.Expiry = c.Expires.Unix()
	}
	return t.session.call("storage.setCookie", object{"cookie": cookie, "partition": t.partition()}, nil)
}

func (t *firefoxTab) partition() object {
	return object{"type": "storageKey", "userContext": t.jar}
}

func (t *firefoxTab) Look(l Look) error {
	err := t.session.call("browsingContext.setViewport", object{
		"context": t.page, "viewport": object{"width": l.Width, "height": l.Height},
	}, nil)
	if err == nil && l.Dark {
		err = fmt.Errorf("firefox has no dark colour scheme: %w", errors.ErrUnsupported)
	}
	return err
}

func (t *firefoxTab) Screenshot() ([]byte, error) {
	var picture struct{ Data string }
	if err := t.session.call("browsingContext.captureScreenshot", object{"context": t.page}, &picture); err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(picture.Data)
}
