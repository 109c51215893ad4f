package core

import (
	"context"

	"github.com/carryon-go/carryon/internal/state"
)

// Reloader is a [Backend] that can read a session again.
type Reloader interface {
	// Reload returns the session as it is now. have is the session that the request
	// has loaded or saved. Reload is called under the Core's lock.
	Reload(ctx context.Context, have *state.View) (*state.View, error)
}

// Reload drops the unsaved changes and reads the session again. If it returns an
// error, nothing has changed.
func (c *Core) Reload(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.view == nil {
		return c.load(ctx)
	}
	c.claim()
	sent := c.sealed && !c.open // the changes were sent in cookies and are not in the view
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
