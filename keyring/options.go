package keyring

import (
	"fmt"
	"log/slog"
	"time"
)

const (
	// DefaultReloadTimeout is how long a reload may take; see [ReloadTimeout].
	DefaultReloadTimeout = 2 * time.Second
)

// An Option changes how [Open] and the [Keys] that it returns work.
type Option func(*options)

type options struct {
	every   time.Duration
	timeout time.Duration
	clock   func() time.Time
	report  func(ReloadEvent)
	logs    bool // report is ours
}

// ReloadEvery sets how long [Keys.Ring] trusts a look at the source. 0 means
// the default of the source: 1 second for [File], 1 minute for [FS] and
// [Func], never for [Env]. Negative means never; [Keys.Resolve] still looks.
func ReloadEvery(d time.Duration) Option { return func(o *options) { o.every = d } }

// ReloadTimeout sets how long one request waits for a reload before it goes
// on with the old ring. 0 or less means [DefaultReloadTimeout], 2 seconds: a
// reload is never without a limit. [Open] is limited by its context instead.
func ReloadTimeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// Clock sets where the time comes from. nil means [time.Now].
func Clock(now func() time.Time) Option { return func(o *options) { o.clock = now } }

// OnReload sets what is told of reloads. It runs in the request that noticed,
// after the new ring is in use, one call at a time; it must be quick, and must
// not call [Keys.Refresh] or [Keys.Resolve]. nil means that the first failure of a row, the
// recovery and every new ring are logged with [slog.Default], and so is the
// ring that Open found; each with its fingerprint.
func OnReload(report func(ReloadEvent)) Option { return func(o *options) { o.report = report } }

// A ReloadEvent tells that a look at the source failed, found another ring, or
// succeeded after one that failed, or that Open has a warning. Lost keys mean
// that an older ring came back, as with a deploy that was rolled back, or that
// someone took keys out by hand: the sessions that they sealed are not
// recognised until the keys are back. It holds no secrets, as far as the errors
// of a [Func] hold none.
type ReloadEvent struct {
	Source      string // as [Source.String]
	Fingerprint string // of the ring now in use, as [Ring.Fingerprint]
	Changed     bool   // another ring is in use than before
	Lost        []ID   // keys that could still open, and that the new ring never heard of
	Failures    int    // how many looks in a row failed, this one included
	Err         error  // why this one failed; the ring in use stays the old one
	Warning     error  // from Open alone: the ring is in use, and yet changes of it may never be seen
}

func newOptions(src Source, list []Option) options {
	o := options{}
	for _, set := range list {
		set(&o)
	}
	if o.every == 0 {
		o.every = src.every
	}
	if o.timeout <= 0 {
		o.timeout = DefaultReloadTimeout
	}
	if o.clock == nil {
		o.clock = time.Now
	}
	if o.report == nil {
		o.report, o.logs = logReload, true
	}
	return o
}

func logReload(e ReloadEvent) {
	switch {
	case e.Warning != nil:
		slog.Warn("keyring: changes of the ring may not be seen", "source", e.Source, "ring", e.Fingerprint, "err", e.Warning)
	case e.Err != nil && e.Failures == 1:
		slog.Error("keyring: reload failed, going on with the last good ring", "source", e.Source, "ring", e.Fingerprint, "err", e.Err)
	case e.Err == nil && len(e.Lost) > 0:
		slog.Warn("keyring: reloaded, and keys are gone that could still open; is it an older ring?", "source", e.Source, "ring", e.Fingerprint, "lost", fmt.Sprint(e.Lost))
	case e.Err == nil:
		slog.Info("keyring: reloaded", "source", e.Source, "ring", e.Fingerprint, "changed", e.Changed)
	}
}
