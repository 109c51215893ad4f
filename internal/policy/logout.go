package policy

import (
	"slices"

	"github.com/carryon-go/carryon/internal/state"
)

// logout expires all session cookies. It also sets a logout if there is anything to
// end, because cookies in flight can still land and other replicas may open cookies
// that this one cannot.
func (d *decision) logout() Plan {
	v := d.View
	if v.Winner != nil && v.Winner.Kind == state.Logout && v.Unopened == 0 && !slices.ContainsFunc(v.Cookies, isHead) {
		cand := candidate{expire: d.tagsExcept(v.Winner.Tag)} // there is nothing left to end
		d.limitExpiries(&cand)
		return cand.plan(len(d.Jar) > 0)
	}
	// A head that was imported or not yet sent is not among the request's cookies.
	cand, exists := candidate{}, len(d.Jar) > 0 || v.Winner != nil
	if !d.FixedName && exists {
		cand.set = append(cand.set, d.logoutMarker())
		cand.expire = d.tagsExcept(cand.set[0].Tag)
	} else {
		cand.expire = d.tagsExcept("-")
	}
	if v.Winner != nil && !sets(cand.set, v.Winner.Tag) {
		cand.expire = append(cand.expire, v.Winner.Tag) // perhaps from an early Save, and not sent yet
	}
	d.limitExpiries(&cand)
	return cand.plan(exists)
}

func isHead(c *state.Cookie) bool { return c.Kind == state.Head }

// logoutMarker returns the logout of the request's session.
func (d *decision) logoutMarker() *state.Cookie {
	m := &state.Cookie{Kind: state.Logout, Root: d.Fresh, Born: d.stamp, Created: d.Now, End: d.Now + max(d.MaxLifetime, d.Lifetime), Tag: state.FixedTag(false, d.Audience)}
	if winner := d.View.Winner; winner != nil {
		m.Created, m.End, m.Tag = winner.Created, winner.End, winner.Root.EndTag()
		if winner.Kind == state.Logout {
			m.Tag = winner.Tag
		}
	}
	return m
}
