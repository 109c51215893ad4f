package fallback

import "context"

type attemptsKey struct{}

// WithAttempts returns a context in which a store reports every failed attempt
// that it retries itself, for example a statement that the database aborted
// because of a deadlock. report is called on the goroutine of the call, before
// the next attempt. The final error of a call is returned, not reported.
//
// Retries inside a driver are not visible here; the documentation of each
// store lists them.
func WithAttempts(ctx context.Context, report func(err error)) context.Context {
	return context.WithValue(ctx, attemptsKey{}, report)
}

// ReportAttempt reports a failed attempt that the store is about to retry. It
// is for authors of stores. Without [WithAttempts] it does nothing.
func ReportAttempt(ctx context.Context, err error) {
	if report, ok := ctx.Value(attemptsKey{}).(func(error)); ok && report != nil {
		report(err)
	}
}
