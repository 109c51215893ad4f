// Command revoked measures the cost of being able to end sessions that are in
// cookies. It uses a store with a million revoked users, a hundred thousand
// sessions that began later, and one replica.
//
//	go run ./bench/cmd/revoked              # 2 min, 1 GB of memory
//	go run ./bench/cmd/revoked -scale 0.05  # in seconds
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/carryon-go/carryon/bench"
)

func main() {
	scale := flag.Float64("scale", 1, "factor for the 1,000,000 revoked users and 100,000 sessions")
	seconds := flag.Float64("seconds", 30, "duration of each row, by the program's clock")
	flag.Parse()
	if err := run(os.Stdout, *scale, time.Duration(*seconds*float64(time.Second))); err != nil {
		fmt.Fprintln(os.Stderr, "revoked:", err)
		os.Exit(1)
	}
}

// traffics returns the rows of the table.
func traffics() (all []bench.Traffic) {
	for _, rate := range []int{1000, 10_000} {
		for _, visit := range []int{1, 10} {
			for _, age := range []time.Duration{-1, time.Second, 10 * time.Second} {
				all = append(all, bench.Traffic{Rate: rate, Visit: visit, MaxAge: age})
			}
		}
	}
	return all
}

func run(w io.Writer, scale float64, each time.Duration) error {
	subjects, sessions := max(int(1e6*scale), 10), max(int(1e5*scale), 10)
	began := time.Now()
	r, err := bench.NewRevoked(subjects, sessions)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d revoked users and %d later sessions, made in %.0f s; a record takes %.0f bytes of the memory store\n\n",
		subjects, sessions, time.Since(began).Seconds(), r.RecordBytes)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "requests/s\tin a visit\tRevocationMaxAge\tstore reads/s\treads/request\tmemory MB\tCPU us/request\t")
	for _, traffic := range traffics() {
		l, err := r.Run(traffic, each)
		if err != nil {
			return err
		}
		if l.Refused > 0 {
			return fmt.Errorf("%d requests of valid sessions were refused", l.Refused)
		}
		fmt.Fprintf(t, "%d\t%d\t%v\t%.0f\t%.2f\t%.1f\t%.1f\t\n", traffic.Rate, traffic.Visit, ageText(traffic.MaxAge), l.ReadsPerSecond,
			l.ReadsPerSecond/float64(traffic.Rate), float64(l.MemoryBytes)/1e6, l.CPU/1000)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if err := r.RevokeAgain(sessions); err != nil {
		return err
	}
	l, err := r.Run(bench.Traffic{Rate: 1000, Visit: 1}, 10*time.Second)
	if err == nil && l.Refused != 10_000 {
		err = fmt.Errorf("only %d of 10000 requests of revoked sessions were refused", l.Refused)
	}
	return err
}

func ageText(d time.Duration) string {
	if d < 0 {
		return "every request"
	}
	return d.String()
}
