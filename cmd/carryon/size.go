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

// size says whether a session fits under the limits of each platform, what it
// takes there, and what the largest value is that fits.
func size(u *ui, args []string) error {
	set := u.flags()
	var c middleware.Config
	n := set.Int("bytes", 0, "instead of a SESSION, take one entry of `N` random bytes")
	set.StringVar(&c.Cookie.Name, "name", "", "the cookie's base `NAME`; without it __Host-session")
	platform := set.String("platform", "", "only on the platform `NAME`: "+strings.Join(platformNames(), ", "))
	rest, err := u.parse(set, args, -1)
	if err != nil {
		return err
	}
	platforms := middleware.Platforms()
	if *platform != "" {
		i := slices.Index(platformNames(), *platform)
		if i < 0 {
			return usageError{fmt.Errorf("there is no platform %q; there are %s", *platform, strings.Join(platformNames(), ", "))}
		}
		platforms = platforms[i : i+1]
	}
	entries, err := u.sessionOf(rest, *n)
	if err != nil {
		return err
	}
	return u.sizes(c, platforms, entries)
}

// platformNames are those of the platforms, as the table has them.
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

// sessionOf reads the SESSION that is named, or makes one of n bytes.
func (u *ui) sessionOf(args []string, n int) (map[string]any, error) {
	switch {
	case len(args) == 1 && n == 0:
		return u.readSession(args[0])
	case len(args) != 0 || n == 0:
		return nil, usageError{errors.New(`"carryon size" takes a SESSION or --bytes N`)}
	case n < 0 || n > codec.MaxPlaintext:
		return nil, usageError{fmt.Errorf("--bytes must be from 1 to %d", codec.MaxPlaintext)}
	}
	return map[string]any{"session": random()[:n]}, nil
}

// random is as many random bytes as can be sealed; the same for everybody.
var random = sync.OnceValue(func() []byte {
	value := make([]byte, codec.MaxPlaintext)
	_, _ = rand.NewChaCha8([32]byte{}).Read(value) // never fails
	return value
})

// readSession reads a JSON object, whose members are the entries.
func (u *ui) readSession(name string) (map[string]any, error) {
	in := u.in
	if name != "-" {
		file, err := os.Open(name)
		if err != nil && (json.Valid([]byte(name)) || strings.ContainsAny(name, "{[\"\n")) { // may hold what a visitor entered
			return nil, hint(usageError{errors.New("the SESSION is no file; it looks like JSON")}, "to give JSON itself, pipe it to: carryon size -")
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
		return nil, hint(errors.New("the session is not one JSON object with members"),
			`each member is an entry of the session, as in {"user": {"name": "Ada"}, "theme": "dark"}`)
	}
	for name, value := range entries {
		entries[name] = kept(value)
	}
	return entries, nil
}

// kept turns JSON's numbers into what a program keeps: integers where they are.
func kept(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, member := range v {
			v[k] = kept(member)
		}
	case []any:
		for i, item := range v {
			v[i] = kept(item)
		}
	case json.Number:
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return n
		}
		n, _ := v.Float64() // what is out of its range is infinite
		return n
	}
	return v
}

// sizes prints the table, a line for each platform.
func (u *ui) sizes(c middleware.Config, platforms []middleware.Platform, entries map[string]any) error {
	c.Clock = slowly(u.now())
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
	u.note("REQUEST is bytes of the Cookie header, RESPONSE of the Set-Cookie lines, CHANGE of those that change %q, the largest entry", f.Largest)
	u.note("LARGEST is the most bytes for one value alone; RAISE is what Config.Limits would have to be; other cookies of the program are not counted")
	u.note(`"cells": of writes of different entries that overlap none is lost; "whole": of writes that overlap the last response counts`)
	if fits {
		return nil
	}
	err := errors.New("the session fits no platform without a store")
	if len(platforms) == 1 {
		err = fmt.Errorf("the session does not fit %s without a store", platformName(c.Platform))
	}
	return hint(err, "keep less in the session, set Config.Fallback, or raise Config.Limits as far as your proxy or platform permits")
}

// slowly is a clock that shows an hour more each time. So the change that is
// estimated comes well after the beginning; times that differ take bytes.
func slowly(now time.Time) func() time.Time {
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

// verdict says how a session of this size is kept.
func verdict(f middleware.Footprint) string {
	switch {
	case !f.Fits():
		return "no"
	case f.Whole:
		return "whole"
	}
	return "cells"
}

// lengths are the columns of what would be sent, if it can be cut into cookies.
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

// largest returns how many bytes one value may have that is the whole session.
func largest(c middleware.Config, l middleware.Limits) int {
	return sort.Search(min(l.RequestBytes, codec.MaxPlaintext), func(n int) bool {
		f, err := estimate(c, map[string]any{"session": random()[:n+1]})
		return err != nil || !f.Fits()
	})
}

// raise says which limits would have to be raised for the session to fit, and
// to what: "-" if it fits, "no limit helps" if nothing that Config.Limits takes
// has room for it.
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

// most is the most that Config.Limits may say.
var most = middleware.Limits{RequestBytes: cookiejar.MaxBytes, ResponseBytes: 250_000, Cookies: 150, SetCookieLines: 64}
