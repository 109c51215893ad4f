package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/cookiejar"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// size prints, for each platform, whether a session fits, how many bytes it
// needs, and the largest value that fits.
func size(u *ui, args []string) error {
	set := u.flags()
	var c middleware.Config
	n := set.Int("bytes", 0, "measure one entry of `N` random bytes instead of a SESSION")
	set.StringVar(&c.Cookie.Name, "name", "", "base `NAME` of the cookie; default __Host-session")
	platform := set.String("platform", "", "show only the platform `NAME`: "+strings.Join(platformNames(), ", "))
	rest, err := u.parse(set, args, -1)
	if err != nil {
		return err
	}
	platforms := middleware.Platforms()
	if *platform != "" {
		i := slices.Index(platformNames(), *platform)
		if i < 0 {
			return usageError{fmt.Errorf("unknown platform %q; use one of %s", *platform, strings.Join(platformNames(), ", "))}
		}
		platforms = platforms[i : i+1]
	}
	entries, err := u.sessionOf(rest, *n)
	if err != nil {
		return err
	}
	return u.sizes(c, platforms, entries)
}

// platformNames returns the names of the platforms, in the order of the table.
func platformNames() (names []string) {
	for _, p := range middleware.Platforms() {
		names = append(names, platformName(p))
	}
	return names
}

func platformName(p middleware.Platform) string {
	if p == middleware.Default {
		return "default"
	}
	return string(p)
}

// sessionOf reads the given SESSION, or makes one with an entry of n bytes.
func (u *ui) sessionOf(args []string, n int) (map[string]any, error) {
	switch {
	case len(args) == 1 && n == 0:
		return u.readSession(args[0])
	case len(args) != 0 || n == 0:
		return nil, usageError{errors.New(`"carryon size" needs either a SESSION or --bytes N`)}
	case n < 0 || n > codec.MaxPlaintext:
		return nil, usageError{fmt.Errorf("--bytes must be from 1 to %d", codec.MaxPlaintext)}
	}
	return map[string]any{"session": random()[:n]}, nil
}

// random returns as many random bytes as a cookie can hold, always the same.
var random = sync.OnceValue(func() []byte {
	value := make([]byte, codec.MaxPlaintext)
	_, _ = rand.NewChaCha8([32]byte{}).Read(value) // never fails
	return value
})

// readSession reads a JSON object; its members are the entries.
func (u *ui) readSession(name string) (map[string]any, error) {
	in := u.in
	if name != "-" {
		file, err := os.Open(name)
		if err != nil && (json.Valid([]byte(name)) || strings.ContainsAny(name, "{[\"\n")) { // do not repeat the text: it can hold what a visitor entered
			return nil, hint(usageError{errors.New("SESSION must be a file; it looks like JSON")}, "pipe the JSON to: carryon size -")
		}
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxPaste+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the session: %w", err)
	}
	if len(text) > maxPaste {
		return nil, fmt.Errorf("the session has more than %d bytes", maxPaste)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var entries map[string]any
	err = d.Decode(&entries)
	if _, end := d.Token(); err != nil || end != io.EOF || len(entries) == 0 {
		return nil, hint(errors.New("the session must be a JSON object with at least one member"),
			`each member is an entry of the session, as in {"user": {"name": "Ada"}, "theme": "dark"}`)
	}
	for name, value := range entries {
		entries[name] = storedNumbers(value)
	}
	return entries, nil
}

// storedNumbers converts JSON numbers to the types that programs store: integers where
// possible.
func storedNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, member := range v {
			v[k] = storedNumbers(member)
		}
	case []any:
		for i, item := range v {
			v[i] = storedNumbers(item)
		}
	case json.Number:
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return n
		}
		n, _ := v.Float64() // a number out of range becomes an infinity
		return n
	}
	return v
}

// sizes prints the table, with a row for each platform.
func (u *ui) sizes(c middleware.Config, platforms []middleware.Platform, entries map[string]any) error {
	c.Clock = hourlyClock(u.now())
	w := tabwriter.NewWriter(u.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PLATFORM\tFITS\tCOOKIES\tREQUEST\tRESPONSE\tCHANGE\tLARGEST\tRAISE")
	var f middleware.Footprint
	fits := false
	for _, c.Platform = range platforms {
		var err error
		if f, err = estimate(c, entries); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", platformName(c.Platform), verdict(f), lengths(f), largest(c, f.Limits), raise(c, f, entries))
		fits = fits || f.Fits()
	}
	if err := w.Flush(); err != nil {
		return err
	}
	u.note("bytes: REQUEST of the Cookie header, RESPONSE of all Set-Cookie lines, CHANGE of the Set-Cookie lines after a change of %q, the largest entry", f.Largest)
	u.note("LARGEST is the size of the largest single value that fits; RAISE lists the Config.Limits that the session needs; other cookies of the program are not counted")
	u.note(`FITS "cells": overlapping writes to different entries are all kept; FITS "whole": of overlapping writes, the last response wins`)
	if fits {
		return nil
	}
	err := errors.New("the session fits no platform without a store")
	if len(platforms) == 1 {
		err = fmt.Errorf("the session does not fit %s without a store", platformName(c.Platform))
	}
	return hint(err, "store less in the session, set Config.Fallback, or raise Config.Limits if your proxy or platform permits")
}

// hourlyClock returns a clock that advances by an hour per call. Times that differ
// take more bytes, so the estimated change must be later than the first write.
func hourlyClock(now time.Time) func() time.Time {
	return func() time.Time {
		now = now.Add(time.Hour)
		return now
	}
}

func estimate(c middleware.Config, entries map[string]any) (middleware.Footprint, error) {
	return middleware.Estimate(c, func(s *session.Session) {
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			session.Key[any](name).Set(s, entries[name])
		}
	})
}

// verdict returns how a session of this size is stored.
func verdict(f middleware.Footprint) string {
	switch {
	case !f.Fits():
		return "no"
	case f.Whole:
		return "whole"
	}
	return "cells"
}

// lengths returns the columns with sizes, or dashes if the session needs too
// many cookies.
func lengths(f middleware.Footprint) string {
	if f.Session.Cookies > codec.MaxPieces {
		return "-\t-\t-\t-"
	}
	change := "-"
	if f.Fits() {
		change = strconv.Itoa(f.Change.Response)
	}
	return fmt.Sprintf("%d\t%d\t%d\t%s", f.Session.Cookies, f.Session.Request, f.Session.Response, change)
}

// largest returns the size of the largest value that fits as the only entry.
func largest(c middleware.Config, l middleware.Limits) int {
	return sort.Search(min(l.RequestBytes, codec.MaxPlaintext), func(n int) bool {
		f, err := estimate(c, map[string]any{"session": random()[:n+1]})
		return err != nil || !f.Fits()
	})
}

// raise returns which limits to raise so that the session fits, and to which
// values. It returns "-" if the session fits, and "no limit helps" if it is too
// large for all values that Config.Limits accepts.
func raise(c middleware.Config, f middleware.Footprint, entries map[string]any) string {
	if f.Fits() {
		return "-"
	}
	was := f.Limits
	c.Limits = most
	fits := func() bool {
		f, err := estimate(c, entries)
		return err == nil && f.Fits()
	}
	if !fits() {
		return "no limit helps"
	}
	var all []string
	for _, l := range []struct {
		field    string
		least    int
		it, most *int
	}{
		{"RequestBytes", was.RequestBytes, &c.Limits.RequestBytes, &most.RequestBytes},
		{"ResponseBytes", was.ResponseBytes, &c.Limits.ResponseBytes, &most.ResponseBytes},
		{"Cookies", was.Cookies, &c.Limits.Cookies, &most.Cookies},
		{"SetCookieLines", was.SetCookieLines, &c.Limits.SetCookieLines, &most.SetCookieLines},
	} {
		more := sort.Search(*l.most-l.least, func(n int) bool {
			*l.it = l.least + n
			return fits()
		})
		if *l.it = l.least + more; more > 0 {
			all = append(all, fmt.Sprintf("%s to %d", l.field, *l.it))
		}
	}
	return strings.Join(all, ", ")
}

// most holds the largest values that Config.Limits accepts.
var most = middleware.Limits{RequestBytes: cookiejar.MaxBytes, ResponseBytes: 250_000, Cookies: 150, SetCookieLines: 64}
