package stores

import (
	"context"
	"strings"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// A proxy is the network between a program and its store. It can inject faults.
type proxy struct {
	*toxiproxy.Proxy
	t testing.TB
}

func newProxy(t testing.TB, upstream string) *proxy {
	t.Helper()
	control := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &proxy{toxiproxy.NewProxy(control, "store", "127.0.0.1:0", upstream), t}
	require.NoError(t, p.Start())
	t.Cleanup(p.Stop)
	return p
}

// inject adds faults, in the JSON of toxiproxy.
func (p *proxy) inject(toxics ...string) {
	p.t.Helper()
	for _, toxic := range toxics {
		_, err := p.Toxics.AddToxicJson(strings.NewReader(toxic))
		require.NoError(p.t, err)
	}
}

func (p *proxy) heal() { p.Toxics.ResetToxics(context.Background()) }
