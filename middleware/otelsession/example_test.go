package otelsession_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"slices"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/otelsession"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

func ExampleNew() {
	reader := sdk.NewManualReader() // in a program: sdk.NewPeriodicReader with an exporter
	provider := sdk.NewMeterProvider(sdk.WithReader(reader))

	observe, err := otelsession.New(otelsession.Config{MeterProvider: provider})
	if err != nil {
		log.Fatal(err)
	}
	ring, err := keyring.Generate(time.Now()) // in a program: keyring.Open
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := middleware.New(middleware.Config{
		Keys:     ring,
		Observer: middleware.Observers(observe, middleware.Log(nil)), // metrics and a log
	})
	if err != nil {
		log.Fatal(err)
	}

	const user session.Key[string] = "user"
	handler := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user.Set(session.From(r.Context()), "张三")
	}))
	browser := &sessiontest.Jar{}
	browser.Do(handler, browser.Request("GET", "/", nil))
	browser.Put(browser.Names()[0], "tampered")
	browser.Do(handler, browser.Request("GET", "/", nil))

	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		log.Fatal(err)
	}
	var lines []string
	for _, m := range all.ScopeMetrics[0].Metrics {
		if events, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "carryon.session.events" {
			for _, p := range events.DataPoints {
				event, _ := p.Attributes.Value(otelsession.EventKey)
				reason, _ := p.Attributes.Value(otelsession.ReasonKey)
				lines = append(lines, fmt.Sprintf("%s (%s): %d", event.AsString(), reason.AsString(), p.Value))
			}
		}
	}
	slices.Sort(lines)
	for _, line := range lines {
		fmt.Println(line)
	}
	// Output:
	// committed (): 2
	// loaded (absent): 1
	// loaded (wrong length): 1
	// refused (wrong length): 1
}
