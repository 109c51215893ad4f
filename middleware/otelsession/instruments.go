package otelsession

import (
	"errors"

	"go.opentelemetry.io/otel/metric"
)

// instruments holds the instruments that the package's documentation lists.
type instruments struct {
	events        metric.Int64Counter
	loadDuration  metric.Float64Histogram
	loadSize      metric.Int64Histogram
	commitSize    metric.Int64Histogram
	commitCookies metric.Int64Counter
	storeDuration metric.Float64Histogram
	storeSize     metric.Int64Histogram
}

// A load without a store takes a few microseconds. The default boundaries
// begin at 5 ms and would show nothing.
var (
	seconds = metric.WithExplicitBucketBoundaries(
		0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
	headerBytes = metric.WithExplicitBucketBoundaries(256, 512, 1024, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 32768)
	recordBytes = metric.WithExplicitBucketBoundaries(512, 1024, 4096, 16384, 65536, 262144, 1048576)
)

func (i *instruments) make(m metric.Meter) error {
	var errs [7]error
	i.events, errs[0] = m.Int64Counter("carryon.session.events", metric.WithUnit("{event}"),
		metric.WithDescription("What happened to sessions."))
	i.loadDuration, errs[1] = m.Float64Histogram("carryon.session.load.duration", metric.WithUnit("s"), seconds,
		metric.WithDescription("Time to open and merge a request's session, including store calls."))
	i.loadSize, errs[2] = m.Int64Histogram("carryon.session.load.size", metric.WithUnit("By"), headerBytes,
		metric.WithDescription("Size of the session's cookies in a request."))
	i.commitSize, errs[3] = m.Int64Histogram("carryon.session.commit.size", metric.WithUnit("By"), headerBytes,
		metric.WithDescription("Size of the session's Set-Cookie lines in a response that has any."))
	i.commitCookies, errs[4] = m.Int64Counter("carryon.session.commit.cookies", metric.WithUnit("{cookie}"),
		metric.WithDescription("Cookies that were set or expired."))
	i.storeDuration, errs[5] = m.Float64Histogram("carryon.session.store.duration", metric.WithUnit("s"), seconds,
		metric.WithDescription("Duration of a store call."))
	i.storeSize, errs[6] = m.Int64Histogram("carryon.session.store.size", metric.WithUnit("By"), recordBytes,
		metric.WithDescription("Size of a record that was read or written."))
	return errors.Join(errs[:]...)
}
