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
	logs    bool // report is logReload
}

// ReloadEvery sets how long [Keys.Ring] uses a ring before it checks the
// source again. 0 means the default of the source: 1 second for [File], 1
// minute for [FS], [Func] and [Wrapped], never for [Env]. A negative value
// means never; [Keys.Resolve] still reads the source.
func ReloadEvery(d time.Duration) Option { return func(o *options) { o.every = d } }

// ReloadTimeout sets how long one request waits for a reload before it
// continues with the old ring. 0 or less means [DefaultReloadTimeout], 2
// seconds; a reload always has a limit. The context of [Open] limits the first
// read instead.
func ReloadTimeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// Clock sets the function that returns the current time. nil means [time.Now].
func Clock(now func() time.Time) Option { return func(o *options) { o.clock = now } }

// OnReload sets a function that is called after a reload, as [ReloadEvent]
// describes. It runs in the request that triggered the reload, after the new
// ring is in use, one call at a time. It must be quick and must not call
// [Keys.Refresh] or [Keys.Resolve]. nil means that [slog.Default] logs the
// ring that Open read, every new ring, the first of several failures, and the
// recovery, each with the fingerprint of the ring.
func OnReload(report func(ReloadEvent)) Option { return func(o *options) { o.report = report } }

// A ReloadEvent reports that a read of the source failed, found another ring,
// or succeeded after a failure, or that [Open] has a warning. Lost keys mean
// that an older ring came back, for example after a rolled-back deploy, or
// that someone removed keys by hand. Sessions that the lost keys sealed are
// not recognised until those keys are back. A ReloadEvent holds no secrets,
// provided that the errors of a [Func] hold none.
type ReloadEvent struct {
	Source      string // as [Source.String]
	Fingerprint string // of the ring now in use, as [Ring.Fingerprint]
	Changed     bool   // the ring in use is another one than before
	Lost        []ID   // keys that could still open and that the new ring does not list
	Failures    int    // consecutive failed reads, including this one
	Err         error  // why this read failed; the old ring stays in use
	Warning     error  // only from Open: the ring is in use, but later changes to it may go unnoticed
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
		slog.Warn("keyring: changes to the ring may go unnoticed", "source", e.Source, "ring", e.Fingerprint, "err", e.Warning)
	case e.Err != nil && e.Failures == 1:
		slog.Error("keyring: reload failed, going on with the last good ring", "source", e.Source, "ring", e.Fingerprint, "err", e.Err)
	case e.Err == nil && len(e.Lost) > 0:
		slog.Warn("keyring: reloaded, but the new ring lacks keys that could still open; is it an older ring?", "source", e.Source, "ring", e.Fingerprint, "lost", fmt.Sprint(e.Lost))
	case e.Err == nil:
		slog.Info("keyring: reloaded", "source", e.Source, "ring", e.Fingerprint, "changed", e.Changed)
	}
}
