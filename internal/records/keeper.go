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

// Keeper is the store of one program. Its fields do not change.
type Keeper struct {
	Store    fallback.Store   // nil: there is none
	Timeout  time.Duration    // of a call; 0: that of the request
	Idle     int64            // the configured idle timeout in milliseconds; 0: none
	Clock    func() time.Time //
	Audience string           // of the program; it keeps subjects of programs that share a store apart
	Name     string           // of the cookies; likewise

	revocations revocations
}

// Listener is told what a request's dealings with the store come to.
type Listener interface {
	// StoreCall is told of a call that has ended.
	StoreCall(ctx context.Context, c Call)
	// RecordRefused is told of a record that does not open.
	RecordRefused(ctx context.Context, root *state.Root, bytes int, err error)
}

// Call is a call of the store: "load", "save" or "touch".
type Call struct {
	What     string
	Bytes    int           // of the record
	Duration time.Duration //
	Err      error         // of an outage; that a record is not there, or has changed, is none
}

// ErrNoStore is what a reference meets if the configuration has no store.
var ErrNoStore = errors.New("Config.Fallback is nil, but the visitor's session was put into a store; configure the same one on every replica")

// ErrBusy means that too many others write to the same record.
var ErrBusy = errors.New("too many requests write to one session at once")

// MaxTries is how often a write is tried again on top of what others have
// written first. Each time one of them has succeeded, so as many writers of one
// record have to be at work at once for the last to be refused.
const MaxTries = 40

// Down returns a failure of the store as callers see it: [session.ErrStoreDown].
func Down(err error) error { return fmt.Errorf("%w: %w", session.ErrStoreDown, err) }

// IsOutage reports whether an error of a store is an outage.
func IsOutage(err error) bool {
	return err != nil && !errors.Is(err, fallback.ErrNotFound) && !errors.Is(err, fallback.ErrConflict) && !errors.Is(err, fallback.ErrTooLarge)
}

// Context bounds a call of the store. A visitor who hangs up stops a load; a
// write that has begun is finished.
func (k *Keeper) Context(ctx context.Context, load bool) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !load {
		ctx = context.WithoutCancel(ctx)
	}
	switch {
	case k.Timeout > 0:
		return context.WithTimeout(ctx, k.Timeout)
	case ok:
		return context.WithDeadline(ctx, deadline)
	}
	return context.WithCancel(ctx)
}

// expires is when a record may go: when no replica's clock can take its session
// for alive any more. A logout stays as long as the session would have.
func (k *Keeper) expires(c *state.Cookie) time.Time {
	end, idle := c.End, k.Idle
	if c.Idle != 0 {
		idle = c.Idle
	}
	if idle > 0 && idle < state.NoIdle && c.Kind != state.Logout {
		end = min(end, c.SeenAt+idle)
	}
	return state.Time(end + state.Settled)
}

// shared is the context of a question whose answer counts for others, too: it has
// the store's time, and not what the visitor who asks has left.
func (k *Keeper) shared(ctx context.Context) context.Context {
	if k.Timeout > 0 {
		return context.WithoutCancel(ctx)
	}
	return ctx
}
