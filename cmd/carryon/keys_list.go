package main

import (
	"cmp"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/carryon-go/carryon/keyring"
)

// keysList prints a table of the keys, oldest first, a picture of their times,
// and the fingerprint.
func keysList(u *ui, args []string) error {
	set := u.flags()
	ascii := set.Bool("ascii", false, "draw with ASCII characters only")
	u.unwrapFlag(set)
	rest, err := u.parse(set, args, 1)
	if err != nil {
		return err
	}
	ring, err := u.readRing(rest[0])
	if err != nil {
		return err
	}
	if err := u.table(ring); err != nil {
		return err
	}
	picture := timeline{ring: ring, now: u.now(), width: u.width(), pens: plainPens}
	if *ascii {
		picture.pens = asciiPens
	}
	picture.color = u.colors()
	_, err = fmt.Fprintf(u.out, "\n%s\nfingerprint %s\n", picture.draw(), ring.Fingerprint())
	return err
}

func (u *ui) table(ring *keyring.Ring) error {
	now := u.now()
	w := tabwriter.NewWriter(u.out, 0, 0, 2, ' ', 0)
	form := formColumn(ring)
	fmt.Fprintln(w, "ID\tSTATE\tSINCE\tUNTIL"+form(nil))
	for _, d := range ring.Dead() {
		fmt.Fprintf(w, "%v\t%v\t%s\t-\n", d.ID, d.State, stamp(d.At))
	}
	for _, k := range ring.Keys() {
		from, until := phase(k, now)
		fmt.Fprintf(w, "%v\t%v\t%s\t%s%s\n", k.ID(), k.State(now), stamp(from), stamp(until), form(k))
	}
	return w.Flush()
}

// formColumn returns a function that writes the last column of the table, and
// its heading for nil. The column is empty if all keys have format 1.
func formColumn(ring *keyring.Ring) func(*keyring.Key) string {
	usual := true
	for _, k := range ring.Keys() {
		usual = usual && k.Format() == 1
	}
	return func(k *keyring.Key) string {
		switch {
		case usual:
			return ""
		case k == nil:
			return "\tFORM"
		}
		f := form(k.Format())
		return "\t" + cmp.Or(f.String(), strconv.Itoa(int(f)))
	}
}

// phase returns when the current state of a key began and when it ends.
func phase(k *keyring.Key, now time.Time) (from, until time.Time) {
	switch k.State(now) {
	case keyring.Staged:
		return k.Created(), k.Activates()
	case keyring.Active:
		return activeSince(k), k.Retires()
	case keyring.Retired:
		return k.Retires(), k.Expires()
	}
	return k.Expires(), time.Time{}
}
