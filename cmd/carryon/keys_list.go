package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/carryon-go/carryon/keyring"
)

// keysList prints a table of the keys, the oldest first, and the fingerprint.
func keysList(u *ui, args []string) error {
	rest, err := u.parse(u.flags(), args, 1)
	if err != nil {
		return err
	}
	ring, err := u.readRing(rest[0])
	if err != nil {
		return err
	}
	now := u.now()
	w := tabwriter.NewWriter(u.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tSINCE\tUNTIL")
	for _, d := range ring.Dead() {
		fmt.Fprintf(w, "%v\t%v\t%s\t-\n", d.ID, d.State, stamp(d.At))
	}
	for _, k := range ring.Keys() {
		since, until := span(k, now)
		fmt.Fprintf(w, "%v\t%v\t%s\t%s\n", k.ID(), k.State(now), stamp(since), stamp(until))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintln(u.out, "fingerprint", ring.Fingerprint())
	return err
}

// span returns when the state of a key began and will end.
func span(k *keyring.Key, now time.Time) (since, until time.Time) {
	switch k.State(now) {
	case keyring.Staged:
		return k.Created(), k.Activates()
	case keyring.Active:
		return k.Activates(), k.Retires()
	case keyring.Retired:
		return k.Retires(), k.Expires()
	}
	return k.Expires(), time.Time{}
}
