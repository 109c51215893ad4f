package managertest

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/sessiontest"
)

// A Visitor is a browser in front of a program.
type Visitor struct {
	t      testing.TB
	home   string
	jar    *sessiontest.Jar
	client *http.Client
}

// NewVisitor returns a browser without cookies.
func NewVisitor(t testing.TB, p *Program) *Visitor {
	jar := &sessiontest.Jar{URL: p.URL}
	return &Visitor{t, p.URL, jar, &http.Client{Jar: jar, Timeout: patience}}
}

// MoveTo continues the visit at another process of the program.
func (v *Visitor) MoveTo(p *Program) {
	for _, c := range v.jar.All() {
		require.True(v.t, c.HostOnly) // of 127.0.0.1, with any port
	}
	v.home, v.jar.URL = p.URL, p.URL
}

// Login logs the visitor in.
func (v *Visitor) Login(name string) *Visitor {
	v.t.Helper()
	require.Equal(v.t, "hello "+name+"\n", v.read(v.client.PostForm(v.home+"login", url.Values{"name": {name}})))
	return v
}

// Logout logs the visitor out.
func (v *Visitor) Logout() {
	v.t.Helper()
	require.Equal(v.t, "hello stranger\n", v.read(v.client.PostForm(v.home+"logout", nil)))
}

// Home returns the text of the home page.
func (v *Visitor) Home() string {
	v.t.Helper()
	return v.read(v.client.Get(v.home))
}

// Greeted checks that the visitor is logged in with the given name.
func (v *Visitor) Greeted(name string) {
	v.t.Helper()
	require.Equal(v.t, "hello "+name+"\n", v.Home())
}

func (v *Visitor) read(response *http.Response, err error) string {
	v.t.Helper()
	require.NoError(v.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(v.t, err)
	require.Equal(v.t, http.StatusOK, response.StatusCode, string(body))
	return string(body)
}

// KeyID returns the id of the key that sealed the visitor's session.
func (v *Visitor) KeyID() keyring.ID {
	v.t.Helper()
	require.NotEmpty(v.t, v.jar.Names(), "the visitor has no session")
	header, err := codec.Peek(v.jar.Value(v.jar.Names()[0]))
	require.NoError(v.t, err)
	return header.KeyID
}

// waitFor waits until happened returns true.
func waitFor(t testing.TB, p *Program, what string, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !happened(); time.Sleep(50 * time.Millisecond) {
		require.True(t, time.Now().Before(end), "waited %v in vain for %s; the program's log:\n%s", patience, what, p.Log())
	}
}

// noSecrets checks that the text contains no secret of the rings.
func noSecrets(t testing.TB, text string, rings ...*keyring.Ring) {
	t.Helper()
	for _, ring := range rings {
		for _, line := range strings.Split(marshal(t, ring), "\n") {
			if _, rest, ok := strings.Cut(line, `"secret":"`); ok {
				require.NotContains(t, text, rest[:43])
			}
		}
	}
}

func marshal(t testing.TB, ring *keyring.Ring) string {
	t.Helper()
	text, err := ring.Marshal()
	require.NoError(t, err)
	return string(text)
}
