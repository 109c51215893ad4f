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

// explain has the library judge the cookies of a program.
func (in *inspection) explain(p *program) {
	sessions, err := middleware.New(middleware.Config{
		Keys: in.ring, Formats: []codec.Format{xchacha.New(), securecookieformat.New()},
		Cookie: middleware.Cookie{Name: p.base, FixedName: p.fixed}, Audience: in.audience, Lifetimes: middleware.Lifetimes{Idle: in.idle},
		Clock: in.now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		p.fault = err
		return
	}
	p.found = sessions.Explain(&http.Request{Method: http.MethodGet, Header: http.Header{"Cookie": {p.header()}}})
}

// cookie returns how the library judges the cookies of a tag. It is nil if the
// library was not asked, or if there are no such cookies.
func (p *program) cookie(tag string) *middleware.CookieReport {
	i := slices.IndexFunc(p.found.Cookies, func(c middleware.CookieReport) bool { return c.Tag == tag })
	if i < 0 {
		return nil
	}
	return &p.found.Cookies[i]
}

// verdict returns how the library judges all cookies of a program, in the words
// of its events.
func (p *program) verdict() []line {
	e := &p.found
	switch {
	case p.fault != nil:
		return []line{{"reason", "not known: " + strings.ReplaceAll(p.fault.Error(), "\n", "; ")}}
	case e.Reason == reason.StoreDown:
		return []line{{"reason", "none from the cookies; the session is in the store, which carryon does not read"}}
	case e.Reason == reason.None:
		return append([]line{{"session", e.SessionID}, {"reason", "none: the session is recognised, unless it was revoked"}}, p.refused()...)
	}
	return append([]line{{"reason", e.Reason.String()}, {"meaning", e.Reason.Meaning()}, {"hint", e.Reason.Hint()}}, p.refused()...)
}

// refused lists why single cookies were refused, if that differs from the
// common reason.
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
