package core

import (
	"context"

	"github.com/carryon-go/carryon/internal/state"
)

// Reloader is a [Backend] whose sessions may change elsewhere meanwhile.
type Reloader interface {
	// Reload gives the session as it is now, in place of what the request has
	// loaded or saved. It is called under the Core's lock.
	Reload(ctx context.Context, have *state.View) (*state.View, error)
}

// Reload drops what the request has changed and not saved, and looks again at
// what may have changed elsewhere. With an error all stays as it was.
func (c *Core) Reload(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.view == nil {
		return c.load(ctx)
	}
	c.claim()
	sent := c.sealed && !c.open // the changes are in the visitor's cookies, not in the view
	if c.loadErr != nil && !c.view.Stored() || sent && c.changes.Begins(c.view) {
		return c.loadErr
	}
	now := c.view
	if r, ok := c.backend.(Reloader); ok {
		var err error
		if now, err = r.Reload(ctx, c.view); err != nil {
			return err
		}
	}
	switch {
	case !sent || now.Head == nil:
		c.drop()
	case c.loadErr != nil:
		c.loadErr = nil
	}
	c.view = now
	c.open = c.open && now.Head != nil && now.Stored()
	return nil
}
