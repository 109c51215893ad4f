package core_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/core"
)

var errDown = errors.New("down")

// Only who read a session that is not there has nothing more to say.
func TestPass(t *testing.T) {
	read := func(c *core.Core) { c.Get("a") }
	for name, test := range map[string]struct {
		backend   backend
		do        func(c *core.Core)
		bare      bool
		asked, ok bool
	}{
		"nothing was asked":    {do: func(*core.Core) {}, ok: true},
		"there is none":        {do: read, bare: true, asked: true, ok: true},
		"there may be some":    {do: read, asked: true},
		"there is one":         {backend: backend{view: jarOf(fragment(1, created))}, do: read, bare: true, asked: true},
		"the load has failed":  {backend: backend{err: errDown}, do: read, bare: true, asked: true},
		"something was set":    {do: func(c *core.Core) { c.Set("a", []byte{1}) }, bare: true, asked: true},
		"it was ended":         {do: (*core.Core).Destroy, bare: true, asked: true},
		"something was faulty": {do: func(c *core.Core) { c.Fault(errDown) }, bare: true, asked: true},
	} {
		t.Run(name, func(t *testing.T) {
			c, passed := &core.Core{}, false
			c.Init(&test.backend)
			test.do(c)
			asked, ok := c.Pass(test.bare, func() { passed = true })
			require.Equal(t, test.asked, asked)
			require.Equal(t, test.ok, ok)
			require.Equal(t, ok, passed)
			if _, again := c.Pass(test.bare, func() { passed = false }); ok {
				require.False(t, again, "the header has gone")
				require.True(t, passed)
			}
		})
	}
}
