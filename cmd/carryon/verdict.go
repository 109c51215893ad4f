package main

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/codec/securecookieformat"
	"github.com/carryon-go/carryon/codec/xchacha"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
)

// explain asks the library what it makes of a program's cookies.
func (in *inspection) explain(p *program) {
	sessions, err := middleware.New(middleware.Config{
		Keys: in.ring, Formats: []codec.Format{xchacha.New(), securecookieformat.New()},
		Name: p.base, FixedName: p.fixed, Audience: in.audience, IdleTimeout: in.idle,
		Clock: in.now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		p.fault = err
		return
	}
	p.found = sessions.Explain(&http.Request{Method: http.MethodGet, Header: http.Header{"Cookie": {p.header()}}})
}

// cookie returns what the library makes of the cookies of one tag; nil if it
// was not asked, or if no cookie of that tag came.
func (p *program) cookie(tag string) *middleware.Cookie {
	i := slices.IndexFunc(p.found.Cookies, func(c middleware.Cookie) bool { return c.Tag == tag })
	if i < 0 {
		return nil
	}
	return &p.found.Cookies[i]
}

// verdict is what the library makes of a program's cookies together, in the
// words of its events.
func (p *program) verdict() []line {
	e := &p.found
	switch {
	case p.fault != nil:
		return []line{{"reason", "not known: " + strings.ReplaceAll(p.fault.Error(), "\n", "; ")}}
	case e.Reason == reason.StoreDown:
		return []line{{"reason", "none so far: the session is in the store, which is not asked"}}
	case e.Reason == reason.None:
		return append([]line{{"session", e.SessionID}, {"reason", "none: it is recognised, unless it was revoked"}}, p.refused()...)
	}
	return append([]line{{"reason", e.Reason.String()}, {"meaning", e.Reason.Meaning()}, {"hint", e.Reason.Hint()}}, p.refused()...)
}

// refused lists why single cookies did not count, where that is not the reason
// of them all.
func (p *program) refused() (lines []line) {
	label := "refused"
	for _, r := range p.found.Refused {
		text := r.Reason.String()
		if r.KeyID != "" {
			text += " (key " + r.KeyID + ")"
		}
		if r.Reason == p.found.Reason || slices.ContainsFunc(lines, func(l line) bool { return l.text == text }) {
			continue
		}
		lines = append(lines, line{label, text})
		label = ""
	}
	return lines
}
