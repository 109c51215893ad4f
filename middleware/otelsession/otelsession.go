package otelsession

import (
	"cmp"
	"context"
	"errors"
	"runtime/debug"
	"strings"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// ScopeName is the name of the meter, and the path of this module.
const ScopeName = "github.com/carryon-go/carryon/middleware/otelsession"

// Version returns the version of this module in the program, such as "v1.2.3".
// It is also the version of the meter. It is "(devel)" if the build does not
// record it.
func Version() string {
	info, _ := debug.ReadBuildInfo()
	return versionIn(info)
}

func versionIn(info *debug.BuildInfo) string {
	if info != nil {
		for _, m := range append(info.Deps, &info.Main) {
			if m.Path != ScopeName {
				continue
			}
			if m.Replace != nil {
				m = m.Replace
			}
			return cmp.Or(m.Version, "(devel)")
		}
	}
	return "(devel)"
}

// The attributes of the instruments, in addition to those of [Config].
const (
	// EventKey is a middleware.EventKind.
	EventKey = attribute.Key("carryon.session.event")
	// ReasonKey is the word of a reason.Reason, or "recognised" for a load that found a
	// session. Events without a reason do not have this attribute.
	ReasonKey = attribute.Key("carryon.session.reason")
	// OperationKey is a store operation: "load", "save", "touch", or "forget"
	// of an importer.
	OperationKey = attribute.Key("carryon.session.store.operation")
	// ChangeKey is "set" or "expired", for a cookie.
	ChangeKey = attribute.Key("carryon.session.cookie.change")
	// ErrorKey is set if something failed. It is the class of the error; see
	// [ErrorType].
	ErrorKey = attribute.Key("error.type")
)

// Config configures the metrics. The zero value is ready to use.
type Config struct {
	// MeterProvider creates the instruments; nil means
	// otel.GetMeterProvider().
	MeterProvider metric.MeterProvider

	// Attributes are added to every measurement, for example to distinguish
	// several Sessions of a program. Each value multiplies the number of time
	// series, so values must not depend on a request.
	Attributes []attribute.KeyValue
}

// New returns an observer for middleware.Config. It fails if the meter cannot
// create an instrument.
func New(c Config) (func(context.Context, middleware.Event), error) {
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	r := &recorder{common: c.Attributes}
	if err := r.instruments.make(c.MeterProvider.Meter(ScopeName, metric.WithInstrumentationVersion(Version()))); err != nil {
		return nil, err
	}
	return r.observe, nil
}

// recorder records events.
type recorder struct {
	instruments
	common []attribute.KeyValue
	sets   sync.Map // from labels to metric.MeasurementOption
}

// labels are the attributes of a measurement. Each has only a few possible
// values.
type labels struct {
	event             middleware.EventKind
	reason            string
	operation, change string
	errorType         string
}

func (r *recorder) observe(ctx context.Context, e middleware.Event) {
	class := ErrorType(e.Err)
	r.events.Add(ctx, 1, r.with(labels{event: e.Kind, reason: reasonOf(e), errorType: class}))
	switch e.Kind {
	case middleware.EventLoaded:
		r.loadDuration.Record(ctx, e.Duration.Seconds(), r.with(labels{reason: reasonOf(e)}))
		r.size(ctx, r.loadSize, e, labels{})
	case middleware.EventCommitted:
		r.size(ctx, r.commitSize, e, labels{})
		r.count(ctx, e.Set, "set")
		r.count(ctx, e.Expired, "expired")
	case middleware.EventStore:
		r.storeDuration.Record(ctx, e.Duration.Seconds(), r.with(labels{operation: e.Detail, errorType: class}))
		r.size(ctx, r.storeSize, e, labels{operation: e.Detail})
	}
}

// reasonOf returns the reason of an event. It returns "recognised" for a load
// that found a session, so that one attribute separates recognised visitors
// from others.
func reasonOf(e middleware.Event) string {
	if e.Kind == middleware.EventLoaded && e.Reason == reason.None {
		return "recognised"
	}
	return e.Reason.String()
}

func (r *recorder) size(ctx context.Context, h metric.Int64Histogram, e middleware.Event, l labels) {
	if e.Bytes > 0 {
		h.Record(ctx, int64(e.Bytes), r.with(l))
	}
}

func (r *recorder) count(ctx context.Context, n int, change string) {
	if n > 0 {
		r.commitCookies.Add(ctx, int64(n), r.with(labels{change: change}))
	}
}

// with returns the attribute set of labels, which is created once.
func (r *recorder) with(l labels) metric.MeasurementOption {
	if have, ok := r.sets.Load(l); ok {
		return have.(metric.MeasurementOption)
	}
	list := append([]attribute.KeyValue(nil), r.common...)
	add := func(key attribute.Key, value string) {
		if value != "" {
			list = append(list, key.String(value))
		}
	}
	add(EventKey, string(l.event))
	add(ReasonKey, l.reason)
	add(OperationKey, l.operation)
	add(ChangeKey, l.change)
	add(ErrorKey, l.errorType)
	have, _ := r.sets.LoadOrStore(l, metric.WithAttributeSet(attribute.NewSet(list...)))
	return have.(metric.MeasurementOption)
}

// classes lists the errors whose class is not the word of a reason, the most
// specific first.
var classes = []struct {
	err  error
	word string
}{
	{context.Canceled, "canceled"},
	{session.ErrLate, "late"},
	{session.ErrEnded, "ended"},
}

// ErrorType returns the class of an error for error.type. It is "timeout",
// "canceled", "late" or "ended"; the word of its reason.Reason, such as
// "too_large" or "store_down"; "cannot_import", "not_encodable", or "" for nil.
// For all others, such as a store's own errors, it returns "_OTHER", as the
// conventions require.
func ErrorType(err error) string {
	if err == nil {
		return ""
	}
	var timeout interface{ Timeout() bool } // implemented by errors of net and by context.DeadlineExceeded
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "timeout"
	}
	for _, class := range classes {
		if errors.Is(err, class.err) {
			return class.word
		}
	}
	if why := reason.Of(err); why != reason.None {
		return strings.ReplaceAll(why.String(), " ", "_")
	}
	if errors.Is(err, middleware.ErrCannotImport) {
		return "cannot_import"
	}
	var encode *session.EncodeError
	if errors.As(err, &encode) {
		return "not_encodable"
	}
	return "_OTHER"
}
