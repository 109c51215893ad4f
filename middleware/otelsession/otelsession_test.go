package otelsession_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/otelsession"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

const text session.Key[string] = "text"

// site is a program with metrics behind a real server, and one visitor.
type site struct {
	*httptest.Server
	t      *testing.T
	jar    *sessiontest.Jar
	reader *sdk.ManualReader
	store  *breakable
}

// breakable is a store that can be made to fail.
type breakable struct {
	fallback.Store
	mu  sync.Mutex
	err error
}

func (b *breakable) Load(ctx context.Context, id string) (fallback.Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return fallback.Record{}, b.err
	}
	return b.Store.Load(ctx, id)
}

func (b *breakable) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

// newSite serves /set?text=, /grow, /late, /logout and /read.
func newSite(t *testing.T, common ...attribute.KeyValue) *site {
	t.Helper()
	reader := sdk.NewManualReader()
	observe, err := otelsession.New(otelsession.Config{
		MeterProvider: sdk.NewMeterProvider(sdk.WithReader(reader)), Attributes: common})
	require.NoError(t, err)
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	memory, err := fallback.NewMemory(fallback.MemoryConfig{})
	require.NoError(t, err)
	s := &site{t: t, reader: reader, store: &breakable{Store: memory}}
	sessions, err := middleware.New(middleware.Config{Keys: ring, Observer: observe, Fallback: middleware.Fallback{Store: s.store, Revocation: middleware.RevocationOff}})
	require.NoError(t, err)
	s.Server = httptest.NewServer(sessions.Handler(http.HandlerFunc(app)))
	t.Cleanup(s.Close)
	s.jar = &sessiontest.Jar{URL: s.URL}
	return s
}

func app(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	switch r.URL.Path {
	case "/set":
		text.Set(s, r.FormValue("text"))
	case "/grow":
		text.Set(s, strings.Repeat("grown ", 10_000))
	case "/late":
		_, _ = w.Write([]byte("header"))
		text.Set(s, "late")
	case "/logout":
		s.Destroy()
	default:
		text.Get(s)
	}
}

func (s *site) get(path string) int {
	s.t.Helper()
	r := s.jar.Request(http.MethodGet, path, nil)
	response, err := s.Client().Do(r)
	require.NoError(s.t, err)
	require.NoError(s.t, response.Body.Close())
	s.jar.Receive(r, response.Header)
	return response.StatusCode
}

// metrics returns the metrics in the reader, by the instrument's name.
func (s *site) metrics() map[string]metricdata.Metrics {
	s.t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(s.t, s.reader.Collect(s.t.Context(), &all))
	require.Len(s.t, all.ScopeMetrics, 1)
	require.Equal(s.t, otelsession.ScopeName, all.ScopeMetrics[0].Scope.Name)
	require.Equal(s.t, otelsession.Version(), all.ScopeMetrics[0].Scope.Version)
	require.NotEmpty(s.t, otelsession.Version())
	found := map[string]metricdata.Metrics{}
	for _, m := range all.ScopeMetrics[0].Metrics {
		found[m.Name] = m
	}
	return found
}

// points returns an instrument's time series: their attributes, and the
// counted number or the number of recordings.
func points(t *testing.T, m metricdata.Metrics) map[string]int64 {
	t.Helper()
	found := map[string]int64{}
	note := func(set attribute.Set, n int64) { found[set.Encoded(attribute.DefaultEncoder())] += n }
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		require.True(t, data.IsMonotonic)
		for _, p := range data.DataPoints {
			note(p.Attributes, p.Value)
		}
	case metricdata.Histogram[int64]:
		for _, p := range data.DataPoints {
			note(p.Attributes, int64(p.Count))
		}
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			note(p.Attributes, int64(p.Count))
		}
	default:
		t.Fatalf("%s has data of an unexpected kind: %T", m.Name, m.Data)
	}
	return found
}

func TestAVisit(t *testing.T) {
	s := newSite(t)
	require.Equal(t, 200, s.get("/set?text=hello"))
	require.Equal(t, 200, s.get("/read"))
	require.Equal(t, 200, s.get("/grow"))
	require.Equal(t, 200, s.get("/read"))
	require.Equal(t, 200, s.get("/late"))
	require.Equal(t, 200, s.get("/logout"))
	m := s.metrics()

	require.Equal(t, map[string]int64{
		"carryon.session.event=loaded,carryon.session.reason=absent":     1,
		"carryon.session.event=loaded,carryon.session.reason=recognised": 5,
		"carryon.session.event=committed":                                3,
		"carryon.session.event=spilled":                                  1,
		"carryon.session.event=store call":                               6,
		"carryon.session.event=late read":                                1,
	}, points(t, m["carryon.session.events"]))
	require.Equal(t, map[string]int64{
		"carryon.session.reason=absent": 1, "carryon.session.reason=recognised": 5,
	}, points(t, m["carryon.session.load.duration"]))
	require.Equal(t, map[string]int64{"": 5}, points(t, m["carryon.session.load.size"]))
	require.Equal(t, map[string]int64{"": 3}, points(t, m["carryon.session.commit.size"]))
	require.Equal(t, map[string]int64{
		"carryon.session.cookie.change=set": 3, "carryon.session.cookie.change=expired": 2,
	}, points(t, m["carryon.session.commit.cookies"]))
	require.Equal(t, map[string]int64{
		"carryon.session.store.operation=load": 3, "carryon.session.store.operation=save": 3,
	}, points(t, m["carryon.session.store.size"]))
}

func TestUnits(t *testing.T) {
	s := newSite(t)
	s.get("/grow")
	s.get("/read")
	for name, want := range map[string]string{
		"carryon.session.events": "{event}", "carryon.session.load.duration": "s", "carryon.session.load.size": "By",
		"carryon.session.commit.size": "By", "carryon.session.commit.cookies": "{cookie}",
		"carryon.session.store.duration": "s", "carryon.session.store.size": "By",
	} {
		m, ok := s.metrics()[name]
		require.True(t, ok, name)
		require.Equal(t, want, m.Unit, name)
		require.True(t, strings.HasSuffix(m.Description, "."), name)
	}
	require.Len(t, s.metrics(), 7)
	load := s.metrics()["carryon.session.load.duration"].Data.(metricdata.Histogram[float64])
	for _, p := range load.DataPoints {
		require.Less(t, p.Sum, 60.0, "seconds, not milliseconds or nanoseconds")
		if runtime.GOOS != "windows" { // the Windows clock may not advance during a load
			require.Positive(t, p.Sum)
		}
	}
	size := s.metrics()["carryon.session.store.size"].Data.(metricdata.Histogram[int64])
	require.Greater(t, size.DataPoints[0].Sum, int64(60_000))
}

func TestFailuresHaveAClass(t *testing.T) {
	s := newSite(t)
	s.get("/grow")
	s.store.fail(errors.New("no route to host 10.1.2.3"))
	require.Equal(t, 503, s.get("/read"))
	s.store.fail(&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded})
	require.Equal(t, 503, s.get("/read"))
	events := points(t, s.metrics()["carryon.session.events"])
	require.Equal(t, int64(2), events["carryon.session.event=failed,carryon.session.reason=store down,error.type=store_down"]+
		events["carryon.session.event=failed,carryon.session.reason=store down,error.type=timeout"])
	calls := points(t, s.metrics()["carryon.session.store.duration"])
	require.Equal(t, int64(2), calls["carryon.session.store.operation=load,error.type=_OTHER"], "each attempt")
	require.Equal(t, int64(2), calls["carryon.session.store.operation=load,error.type=timeout"])
}

func TestErrorType(t *testing.T) {
	for want, err := range map[string]error{
		"":              nil,
		"timeout":       fmt.Errorf("%w: %w", session.ErrStoreDown, context.DeadlineExceeded),
		"canceled":      fmt.Errorf("%w: %w", session.ErrStoreDown, context.Canceled),
		"too_large":     &session.TooLargeError{},
		"unknown_key":   session.ErrUnknownKey,
		"no_key":        session.ErrNoKey,
		"late":          fmt.Errorf("x: %w", session.ErrLate),
		"ended":         fmt.Errorf("x: %w", session.ErrEnded),
		"store_down":    session.ErrStoreDown,
		"cannot_import": middleware.ErrCannotImport,
		"not_encodable": errors.Join(&session.EncodeError{Key: "k", Err: errors.New("x")}),
		"_OTHER":        errors.New("no route to host 10.1.2.3"),
	} {
		require.Equal(t, want, otelsession.ErrorType(err))
	}
}

// Whatever visitors send, time series contain only words of this library, and
// their number does not grow.
func TestVisitorsCannotMakeTimeSeries(t *testing.T) {
	s := newSite(t)
	s.get("/set?text=SECRET")
	name := s.jar.Names()[0]
	value := s.jar.Value(name)
	send := func(i int, cookie string) {
		r, err := http.NewRequest(http.MethodGet, s.URL+fmt.Sprintf("/set?text=SECRET%d", i), nil)
		require.NoError(t, err)
		r.Header.Set("Cookie", cookie)
		response, err := s.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
	}
	for i := range 200 {
		cut := 1 + i%(len(value)-1)
		send(i, name+"="+value[:cut]+"A"+value[cut:])
		send(i, name+"="+value[:cut])
		send(i, fmt.Sprintf("__Host-session.%010d=%s", i, value))
		send(i, fmt.Sprintf("%s=A%06dA%s", name, i, value[8:])) // a made-up key id
		send(i, fmt.Sprintf("__Host-session.SECRET%d=SECRET", i))
	}
	n := 0
	for _, m := range s.metrics() {
		for set := range points(t, m) {
			n++
			require.NotContains(t, set, "SECRET")
			for pair := range strings.SplitSeq(set, ",") {
				_, word, _ := strings.Cut(pair, "=")
				require.Regexp(t, `^[a-z_ ()]*$`, word, "a word of this library")
			}
		}
	}
	require.Less(t, n, 40)
	require.Greater(t, n, 8, "they include several kinds of refusals")
}

func TestAttributesOfTheConfig(t *testing.T) {
	s := newSite(t, attribute.String("carryon.session.name", "admin"))
	s.get("/set?text=hello")
	for _, m := range s.metrics() {
		for set := range points(t, m) {
			require.Contains(t, set, "carryon.session.name=admin", m.Name)
		}
	}
}

func TestTheGlobalProviderIsTheDefault(t *testing.T) {
	reader := sdk.NewManualReader()
	before := otel.GetMeterProvider()
	defer otel.SetMeterProvider(before)
	otel.SetMeterProvider(sdk.NewMeterProvider(sdk.WithReader(reader)))
	observe, err := otelsession.New(otelsession.Config{})
	require.NoError(t, err)
	observe(t.Context(), middleware.Event{Kind: middleware.EventHijacked})
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	require.Len(t, all.ScopeMetrics, 1)
}

// failing is a provider whose meters cannot create histograms.
type failing struct{ noop.MeterProvider }

type failingMeter struct{ noop.Meter }

func (failing) Meter(string, ...metric.MeterOption) metric.Meter { return failingMeter{} }

func (failingMeter) Int64Histogram(string, ...metric.Int64HistogramOption) (metric.Int64Histogram, error) {
	return nil, errors.New("no histograms here")
}

func TestNewSaysWhatItCannotMake(t *testing.T) {
	_, err := otelsession.New(otelsession.Config{MeterProvider: failing{}})
	require.ErrorContains(t, err, "no histograms here")
}

func TestManyRequestsAtOnce(t *testing.T) {
	s := newSite(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				response, err := s.Client().Get(s.URL + "/set?text=x")
				if err == nil {
					response.Body.Close()
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, int64(160), points(t, s.metrics()["carryon.session.load.duration"])["carryon.session.reason=absent"])
}

func BenchmarkObserve(b *testing.B) {
	observe, err := otelsession.New(otelsession.Config{MeterProvider: sdk.NewMeterProvider(sdk.WithReader(sdk.NewManualReader()))})
	require.NoError(b, err)
	e := middleware.Event{Kind: middleware.EventLoaded, Bytes: 300, Duration: time.Microsecond}
	b.ReportAllocs()
	for b.Loop() {
		observe(b.Context(), e)
	}
}
