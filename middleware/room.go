package middleware

import (
	"errors"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// limitFields are the fields of Config by the limit that they set.
var limitFields = map[session.Limit]string{
	session.LimitCookieBytes:    "Limits.CookieBytes",
	session.LimitCookies:        "Limits.Cookies",
	session.LimitRequestBytes:   "Limits.RequestBytes",
	session.LimitResponseBytes:  "Limits.ResponseBytes",
	session.LimitSetCookieLines: "Limits.SetCookieLines",
}

// checkRoom refuses limits with which every write would fail: a session with one
// entry of one byte must be able to begin. If it can begin, it can also change. The
// configuration must not have other faults.
func (s *settings) checkRoom(f *faults) {
	if own := s.limits.CookieBytes - s.sizer.PieceLimit(0); s.sizer.PieceLimit(0) < minPiece {
		f.add(true, "Limits.CookieBytes", "%d is too small: name and attributes of a cookie take %d of it, and a value needs %d; "+
			"raise it to at least %d, or shorten the name, the path or the domain", s.limits.CookieBytes, own, minPiece, own+minPiece)
		return
	}
	smallest := &state.Changes{Root: state.Root{1}, Ops: []state.Op{{Name: "a", Value: []byte{0}}}}
	_, err := policy.Decide(s.input(core.Outcome{View: &state.View{Verdict: reason.Absent}, Changes: smallest, Writes: true}))
	if e, ok := errors.AsType[*session.TooLargeError](err); ok {
		f.add(true, limitFields[e.Limit], "%d is too small: even a session of one byte needs %d; raise it", e.Max, e.Need)
	}
}

// minPiece is the minimum length of a value in a cookie. A session of one byte then
// takes one cookie.
const minPiece = 200
