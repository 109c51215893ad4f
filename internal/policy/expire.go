package policy

import "github.com/carryon-go/carryon/internal/state"

// leftovers lists the tags of cookies that no request needs any more, and of those
// that no replica can open. A new generation in flight may use a fixed tag, or one
// derived from an earlier generation. Such a tag is expired only once this generation
// is settled.
func (d *decision) leftovers() (tags []string) {
	gen := d.View.Winner.Root.GenID()
	for _, c := range d.View.Cookies {
		if d.isLeftover(c, gen) {
			tags = append(tags, c.Tag)
		}
	}
	for i := range d.Jar {
		if d.Jar[i].Unopenable {
			tags = append(tags, d.Jar[i].Tag)
		}
	}
	return tags
}

// isLeftover reports whether no request needs a cookie any more. gen is the id of the
// session's generation.
func (d *decision) isLeftover(c *state.Cookie, gen state.GenID) bool {
	h := d.View.Winner
	cellOrSeen := c.Kind == state.Cell || c.Kind == state.Seen
	own := cellOrSeen && c.Gen == gen || c.Kind == state.Head && c.Root == h.Root
	switch {
	case c == h:
		return false
	case !own:
		return cellOrSeen || c.UnderOwnTag() || d.Now-h.Born.At >= state.Settled
	case c.Kind == state.Head:
		return c.Turn < h.Turn || c.Turn == h.Turn && !state.IsFixed(c.Tag)
	case c.Kind == state.Cell:
		return c.Turn < h.Turn && d.Now-h.Since >= state.Settled && !d.Conflict && !d.headLists(c.Entry.Name) && !d.isShown(c)
	}
	return false
}

// isShown reports whether an entry shows from a cell.
func (d *decision) isShown(c *state.Cookie) bool {
	e := d.View.Find(c.Entry.Name)
	return e != nil && e.From == c
}

// cellTags lists the tags of the session's cells and seen cookies.
func (d *decision) cellTags() (tags []string) {
	gen := d.View.Winner.Root.GenID()
	for _, c := range d.View.Cookies {
		if c.Gen == gen && (c.Kind == state.Cell || c.Kind == state.Seen) {
			tags = append(tags, c.Tag)
		}
	}
	return tags
}

// replacedHeads lists the tags of the heads that a new head under tag replaces.
func (d *decision) replacedHeads(tag string) (tags []string) {
	for _, c := range d.View.Cookies {
		if c.Kind == state.Head && c.Tag != tag && (c.Root == d.View.Winner.Root || state.IsFixed(c.Tag) && !state.IsFixed(tag)) {
			tags = append(tags, c.Tag)
		}
	}
	return tags
}

// tagsExcept lists the tags of all session cookies in the request but one.
func (d *decision) tagsExcept(except string) (tags []string) {
	for i := range d.Jar {
		if d.Jar[i].Tag != except {
			tags = append(tags, d.Jar[i].Tag)
		}
	}
	return tags
}
