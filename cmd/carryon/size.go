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
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/codec/deflate"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// size tells what a session would take under the limits of each platform.
func size(u *ui, args []string) error {
	set := u.flags()
	var c middleware.Config
	n := set.Int("bytes", 0, "instead of a SESSION, take one entry of `N` bytes that do not compress")
	set.StringVar(&c.Name, "name", "", "the cookie's base `NAME`; without it __Host-session")
	set.IntVar(&c.Limits.Parallel, "parallel", 0, "keep room for `N` requests of one visitor that write at the same time; without it 6")
	compress := set.Bool("compress", false, "with the compression of codec/deflate")
	rest, err := u.parse(set, args, -1)
	if err != nil {
		return err
	}
	if *compress {
		c.Compression = deflate.New()
	}
	entries, err := u.sessionOf(rest, *n)
	if err != nil {
		return err
	}
	return u.sizes(c, entries)
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
	value := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(value) // never fails; the same for everybody
	return map[string]any{"session": value}, nil
}

// readSession reads a JSON object, whose members are the entries.
func (u *ui) readSession(name string) (map[string]any, error) {
	in := u.in
	if name != "-" {
		file, err := os.Open(name)
		if err != nil && strings.ContainsAny(name, "{[\"\n") { // may hold what a visitor entered
			return nil, usageError{hint(errors.New("the SESSION is no file; it looks like JSON"), "to give JSON itself, pipe it to: carryon size -")}
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
func (u *ui) sizes(c middleware.Config, entries map[string]any) error {
	w := tabwriter.NewWriter(u.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PLATFORM\tBYTES\tSEALED\tCOOKIES\tREQUEST\tCHANGE\tFITS")
	var f middleware.Footprint
	fits := false
	for _, c.Platform = range middleware.Platforms() {
		var err error
		if f, err = middleware.Estimate(c, func(s *session.Session) { setAll(s, entries) }); err != nil {
			return err
		}
		name := string(c.Platform)
		if c.Platform == middleware.Default {
			name = "(default)"
		}
		said := verdict(f)
		fits = fits || !strings.HasPrefix(said, "no: ")
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", name, f.Session.Bytes, lengths(f), said)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	u.note("REQUEST is in bytes of the Cookie header, CHANGE too: what a change of %q, the largest entry, adds to it", f.Largest)
	u.note("it fits if %s of one visitor can write at the same time; other cookies of the program are not counted",
		count(f.Limits.Parallel, "request"))
	if !fits {
		return hint(errors.New("the session fits no platform without a store"), "set Config.Fallback, or keep less in the session")
	}
	return nil
}

func setAll(s *session.Session, entries map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		session.Key[any](name).Set(s, entries[name])
	}
}

// lengths are the columns of what would be sent, if it can be cut into cookies.
func lengths(f middleware.Footprint) string {
	if f.Session.Cookies > codec.MaxPieces {
		return fmt.Sprintf("%d\t-\t-\t-", f.Session.Sealed)
	}
	change := "-"
	if f.Change.Cookies <= codec.MaxPieces {
		change = strconv.Itoa(f.Change.Request)
	}
	return fmt.Sprintf("%d\t%d\t%d\t%s", f.Session.Sealed, f.Session.Cookies, f.Session.Request, change)
}

// verdict says whether it fits, or which limit it hits and by how much.
func verdict(f middleware.Footprint) string {
	var large *session.TooLargeError
	excess := func() string {
		limit, _, _ := strings.Cut(large.Limit, " (") // the name of its field
		return fmt.Sprintf("%d of %d %s", large.Need, large.Max, limit)
	}
	switch {
	case f.Session.Cookies > codec.MaxPieces:
		return fmt.Sprintf("no: more than %d cookies", codec.MaxPieces)
	case errors.As(f.ChangeErr, &large):
		return "no: " + excess()
	case errors.As(f.BeginErr, &large):
		return "if it grows to this; at once it is " + excess()
	}
	return "yes"
}
