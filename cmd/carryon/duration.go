package main

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

const aDay = 24 * time.Hour

// A duration is a flag that also takes days and weeks, in which people think of
// keys: 30d, 2w, and what Go has, 36h or 1h30m. Days can be followed by what Go
// has, as in 90d2m.
type duration time.Duration

func (d *duration) Set(s string) error {
	i := strings.IndexAny(s, "dw")
	if i < 0 {
		v, err := time.ParseDuration(s)
		if err != nil {
			return errDuration
		}
		*d = duration(v)
		return nil
	}
	count, err := strconv.ParseInt(s[:i], 10, 14) // 8191 weeks fit into a Duration
	if err != nil {
		return errDuration
	}
	whole := time.Duration(count) * map[byte]time.Duration{'d': aDay, 'w': 7 * aDay}[s[i]]
	if s = s[i+1:]; s == "" {
		*d = duration(whole)
		return nil
	}
	rest, err := time.ParseDuration(s)
	if err != nil || rest < 0 || rest >= aDay || s[0] == '+' || whole < 0 {
		return errDuration
	}
	*d = duration(whole + rest)
	return nil
}

var errDuration = errors.New("a duration is like 90s, 36h, 30d or 2w")

func (d *duration) String() string { return span(time.Duration(*d)) }

// span writes a length of time as people would type it: 32d, 32d2m, 1h, 36h, 1h30m.
func span(d time.Duration) string {
	days := ""
	if d >= 2*aDay {
		days, d = strconv.FormatInt(int64(d/aDay), 10)+"d", d%aDay
	}
	if days != "" && d == 0 {
		return days
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return days + s
}

// roughly is span without what does not matter.
func roughly(d time.Duration) string {
	if d >= 2*aDay {
		return span(d.Truncate(aDay))
	}
	return span(d.Truncate(time.Minute))
}
