package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/carryon-go/carryon/keyring"
)

// A fleet is one run of the command.
type fleet struct {
	*ui
	timeout  time.Duration
	each     bool   // ask every address of a host
	file     string // the ring that replicas should have; "": any, the same
	replicas []*replica
	problems int
}

// A replica is one answer to a question.
type replica struct {
	target
	fleetReport
	clock time.Duration // how far its clock is ahead of ours
	err   error         // it did not answer
}

const (
	defaultFleetTimeout = 5 * time.Second

	// maxClockError is the error of a clock that sessions tolerate.
	maxClockError = 30 * time.Second

	// parallelQuestions is how many replicas are asked at the same time.
	parallelQuestions = 16
)

// keysFleet asks replicas which ring they use. It fails if they do not agree,
// or if one lacks a key that seals or will seal.
func keysFleet(u *ui, args []string) error {
	f := fleet{ui: u}
	set := u.flags()
	set.StringVar(&f.file, "keys", "", "the replicas should use the key ring in `FILE`; default: any ring, but the same")
	u.unwrapFlag(set)
	set.BoolVar(&f.each, "all-addresses", false, "ask every address that a URL's host name has, such as all pods of a headless service")
	set.DurationVar(&f.timeout, "timeout", defaultFleetTimeout, "`DURATION` that one replica may take to answer; default 5s")
	rest, err := u.parse(set, args, -1)
	switch {
	case err != nil:
		return err
	case len(rest) == 0:
		return usageError{errors.New(`"carryon keys fleet" needs at least one URL`)}
	case f.timeout <= 0:
		return usageError{errors.New("--timeout must be positive")}
	}
	var ring *keyring.Ring
	if f.file != "" {
		if ring, err = u.readRing(f.file); err != nil {
			return err
		}
	}
	if err := f.find(rest); err != nil {
		return err
	}
	f.askAll()
	return f.judge(ring)
}

// find sets the replicas that the URLs name.
func (f *fleet) find(urls []string) error {
	for _, text := range urls {
		at, err := url.Parse(text)
		if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" {
			return usageError{errors.New("a URL must look like http://10.0.0.1:9090/keys")}
		}
		targets := []target{{url: at}}
		if f.each {
			ctx, cancel := context.WithTimeout(context.Background(), f.timeout)
			targets, err = resolve(ctx, at)
			cancel()
		}
		if err != nil {
			return err
		}
		for _, t := range targets {
			f.replicas = append(f.replicas, &replica{target: t})
		}
	}
	return nil
}

func (f *fleet) askAll() {
	var running sync.WaitGroup
	free := make(chan struct{}, parallelQuestions)
	for _, r := range f.replicas {
		running.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			ctx, cancel := context.WithTimeout(context.Background(), f.timeout)
			defer cancel()
			began := f.now()
			r.fleetReport, r.err = r.ask(ctx)
			r.clock = r.Time.Sub(began.Add(f.now().Sub(began) / 2)).Round(time.Second)
		})
	}
	running.Wait()
}

// judge prints what the replicas answered, and what is wrong with it.
func (f *fleet) judge(ring *keyring.Ring) error {
	if err := f.table(); err != nil {
		return err
	}
	want := f.expected(ring)
	for _, r := range f.replicas {
		f.judgeReplica(r, want)
	}
	if f.problems > 0 {
		return fmt.Errorf("%s among %s", count(f.problems, "problem"), count(len(f.replicas), "replica"))
	}
	_, err := fmt.Fprintf(f.out, "\nok: %s, all with fingerprint %s\n", count(len(f.replicas), "replica"), want.Fingerprint)
	for _, k := range want.Keys {
		if k.State == keyring.Staged && err == nil {
			_, err = fmt.Fprintf(f.out, "staged key %v is known everywhere; it becomes active at %s\n", k.ID, stamp(k.Active))
		}
	}
	return err
}

// expected returns the report that all replicas should give: that of the ring,
// or else the answer with the newest key.
func (f *fleet) expected(ring *keyring.Ring) (want fleetReport) {
	if ring != nil {
		return reportOf(ring, f.now())
	}
	var newest time.Time
	for _, r := range f.replicas {
		if last := r.last(); r.err == nil && (want.Fingerprint == "" || last.After(newest)) {
			want, newest = r.fleetReport, last
		}
	}
	return want
}

// judgeReplica reports everything that is wrong with one replica.
func (f *fleet) judgeReplica(r *replica, want fleetReport) {
	if r.err != nil {
		f.problem("%v does not answer: %v", r.target, r.err)
		return
	}
	lacks := false
	for _, k := range want.Keys {
		if seals := k.State == keyring.Staged || k.State == keyring.Active; !seals || r.knows(k.ID) {
			continue
		}
		lacks = true
		if k.State == keyring.Active {
			f.problem("%v lacks key %v, which seals already; it does not recognise those sessions", r.target, k.ID)
		} else {
			f.problem("%v lacks staged key %v, which becomes active at %s", r.target, k.ID, stamp(k.Active))
		}
	}
	if !lacks && r.Fingerprint != want.Fingerprint {
		f.problem("%v has another ring, %s instead of %s", r.target, r.Fingerprint, want.Fingerprint)
	}
	if r.clock.Abs() > maxClockError {
		f.warn("the clock of %v is %v from ours; sessions tolerate %v", r.target, r.clock, maxClockError)
	}
}

func (f *fleet) problem(format string, args ...any) {
	f.problems++
	f.say("problem: ", format, args...)
}

// table prints one line for each replica.
func (f *fleet) table() error {
	w := tabwriter.NewWriter(f.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "REPLICA\tFINGERPRINT\tACTIVE\tSTAGED")
	for _, r := range f.replicas {
		fingerprint := "-"
		if r.err == nil {
			fingerprint = r.Fingerprint
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", escape(r.String()), fingerprint, r.ids(keyring.Active), r.ids(keyring.Staged))
	}
	return w.Flush()
}
