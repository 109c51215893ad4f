package fallback

import "context"

type attemptsKey struct{}

// WithAttempts returns a context in which a store reports every failed attempt
// that it repeats by itself, such as a statement that the database gave up as a
// deadlock. report is called on the goroutine of the call, before the next
// attempt. The error that a call returns in the end is not reported.
//
// Attempts that a driver repeats below the store are not visible here; each
// store says which those are.
func WithAttempts(ctx context.Context, report func(err error)) context.Context {
	return context.WithValue(ctx, attemptsKey{}, report)
}

// ReportAttempt reports a failed attempt that the store is about to repeat. It
// is for authors of stores. Without [WithAttempts] it does nothing.
func ReportAttempt(ctx context.Context, err error) {
	if report, ok := ctx.Value(attemptsKey{}).(func(error)); ok && report != nil {
		report(err)
	}
}
