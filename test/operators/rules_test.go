// Package operators checks what docs/runbook.md tells an operator.
package operators

import (
	"context"
	"errors"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.yaml.in/yaml/v3"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/otelsession"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// rule is an alert of the runbook.
type rule struct {
	Alert, Expr string
	Annotations map[string]string
}

func rules(t *testing.T, page string) (all []rule) {
	t.Helper()
	_, text, found := strings.Cut(page, "```yaml\n")
	require.True(t, found)
	text, _, _ = strings.Cut(text, "```")
	var file struct {
		Groups []struct{ Rules []rule }
	}
	require.NoError(t, yaml.Unmarshal([]byte(text), &file))
	require.Len(t, file.Groups, 1)
	return file.Groups[0].Rules
}

// series are the names of metrics with their labels, as Prometheus would scrape them.
type series map[string][]map[string]string

// scrape gathers what a program reports that has each of the troubles of the runbook.
func scrape(t *testing.T) series {
	registry := prometheus.NewRegistry()
	reader, err := exporter.New(exporter.WithRegisterer(registry))
	require.NoError(t, err)
	observe, err := otelsession.New(otelsession.Config{MeterProvider: sdk.NewMeterProvider(sdk.WithReader(reader))})
	require.NoError(t, err)
	trouble(t, observe)
	families, err := registry.Gather()
	require.NoError(t, err)
	all := series{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			for _, suffix := range []string{"", "_count", "_bucket", "_sum"} {
				all[f.GetName()+suffix] = append(all[f.GetName()+suffix], labels)
			}
		}
	}
	return all
}

// broken is a store that fails.
type broken struct{ fallback.Store }

func (broken) Load(context.Context, string) (fallback.Record, error) {
	return fallback.Record{}, errors.New("connection refused")
}

func (broken) Save(context.Context, string, fallback.Revision, fallback.Record) error {
	return errors.New("connection refused")
}

// trouble causes the events of the alerts.
func trouble(t *testing.T, observe func(context.Context, middleware.Event)) {
	const value session.Key[string] = "value"
	ring, other := newRing(t), newRing(t)
	serve := func(keys *keyring.Ring, store fallback.Store, jar *sessiontest.Jar, size int) {
		m, err := middleware.New(middleware.Config{Keys: keys, Observer: observe, Limits: middleware.Limits{RequestBytes: 6000},
			Fallback: middleware.Fallback{Store: store}})
		require.NoError(t, err)
		jar.Do(m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			value.Set(session.From(r.Context()), strings.Repeat("x", size)+time.Now().String())
		})), jar.Request("GET", "/", nil))
	}
	jar := &sessiontest.Jar{}
	serve(ring, nil, jar, 10)
	serve(ring, nil, jar, 100_000)                     // failed: too large
	serve(ring, broken{}, &sessiontest.Jar{}, 100_000) // the store fails
	serve(other, nil, jar.Clone(), 10)                 // unknown key
	forged := jar.Clone()
	name := forged.Names()[0]
	sealed := forged.All()[0].Value
	forged.Put(name, sealed[:len(sealed)-4]+"AAAA")
	serve(ring, nil, forged, 10) // bad seal
	crowded := jar.Clone()
	crowded.Put("other", strings.Repeat("y", 5900))
	serve(ring, nil, crowded, 10) // over budget
}

func newRing(t *testing.T) *keyring.Ring {
	ring, err := keyring.Generate(time.Now().Add(-time.Hour))
	require.NoError(t, err)
	return ring
}

var (
	selector = regexp.MustCompile(`(carryon_\w+)\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`(\w+)(!?=)"([^"]*)"`)
)

// Each alert finds a series in a program that has its trouble, and leads to a section.
func TestAlerts(t *testing.T) {
	text, err := os.ReadFile("../../docs/runbook.md")
	require.NoError(t, err)
	page, all := string(text), scrape(t)
	list := rules(t, page)
	require.NotEmpty(t, list)
	for _, r := range list {
		selectors := selector.FindAllStringSubmatch(r.Expr, -1)
		require.NotEmpty(t, selectors, r.Alert)
		for _, s := range selectors {
			require.True(t, finds(all[s[1]], matcher.FindAllStringSubmatch(s[2], -1)), "%s: no series for %s among %v", r.Alert, s[0], all[s[1]])
		}
		anchor, ok := strings.CutPrefix(r.Annotations["runbook"], "docs/runbook.md#")
		require.True(t, ok, r.Alert)
		require.Contains(t, strings.ToLower(strings.ReplaceAll(page, " ", "-")), "##-"+anchor+"\n")
	}
}

// finds reports whether a series has the labels of a selector.
func finds(list []map[string]string, matchers [][]string) bool {
	for _, labels := range list {
		matches := true
		for _, m := range matchers {
			matches = matches && (labels[m[1]] == m[3]) == (m[2] == "=")
		}
		if matches {
			return true
		}
	}
	return false
}
