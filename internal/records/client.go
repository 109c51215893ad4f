package records

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/session"
)

// Client is a program's configured store. All requests share it. Its fields
// must not change after the first use.
type Client struct {
	Store    fallback.Store   // nil: no store is configured
	Timeout  time.Duration    // of one call; 0: the request's deadline
	Idle     int64            // the configured idle timeout in milliseconds; 0: none
	Clock    func() time.Time // returns the current time
	Audience string           // of the program; programs that share a store have different ones
	Name     string           // base name of the session's cookies
	Sealer   Sealer           // of lists of sessions

	revocations  revocations
	replacements replacements
}

// Listener receives the events of one request's calls to the store.
type Listener interface {
	// StoreCall is called after each call to the store.
	StoreCall(ctx context.Context, c Call)
	// RecordRefused is called for a row that cannot be opened. id is the public id of
	// its session, or "" for a list of sessions.
	RecordRefused(ctx context.Context, id string, bytes int, err error)
}

// Call describes a finished call to the store.
type Call struct {
	Method   string        // "load", "save" or "touch"
	Bytes    int           // length of the sealed record
	Duration time.Duration // of the call
	Err      error         // set only for an outage, not for a missing or a changed record
}

// ErrNoStore reports that a session is in a store, but no store is configured.
var ErrNoStore = errors.New("Config.Fallback.Store is nil, but the visitor's session was put into a store; configure the same one on every replica")

// ErrBusy reports that a write met [MaxTries] conflicts.
var ErrBusy = errors.New("too many requests write to one session at once; send fewer writes of one session at a time")

// MaxTries is how often a write is tried. Each conflict means that another write
// succeeded, so a write fails only if MaxTries others succeed meanwhile.
const MaxTries = 40

// Down wraps the store's error in [session.ErrStoreDown].
func Down(err error) error { return fmt.Errorf("%w: %w", session.ErrStoreDown, err) }

// IsOutage reports whether the store's error means that it is down.
func IsOutage(err error) bool {
	return err != nil && !errors.Is(err, fallback.ErrNotFound) && !errors.Is(err, fallback.ErrConflict) && !errors.Is(err, fallback.ErrTooLarge)
}

// CallContext returns the context of one call to the store. If the visitor
// disconnects, a load is canceled and a write continues.
func (c *Client) CallContext(ctx context.Context, load bool) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !load {
		ctx = context.WithoutCancel(ctx)
	}
	switch {
	case c.Timeout > 0:
		return context.WithTimeout(ctx, c.Timeout)
	case ok:
		return context.WithDeadline(ctx, deadline)
	}
	return context.WithCancel(ctx)
}

// recordExpiry returns when the store may delete a record: when the session has
// expired by every replica's clock. A logout is kept as long as the session
// would have lived.
func (c *Client) recordExpiry(content *state.Cookie) time.Time {
	end, idle := content.End, c.Idle
	if content.Idle != 0 {
		idle = content.Idle
	}
	if idle > 0 && idle < state.NoIdle && content.Kind != state.Logout {
		end = min(end, content.SeenAt+idle)
	}
	return state.Time(end + state.Settled)
}

// sharedContext returns the context of a load that several requests wait for.
// With a configured timeout, the first request's own deadline does not apply.
func (c *Client) sharedContext(ctx context.Context) context.Context {
	if c.Timeout > 0 {
		return context.WithoutCancel(ctx)
	}
	return ctx
}
