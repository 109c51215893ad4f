// Package span formats lengths of time for people.
package span

import (
	"strconv"
	"strings"
	"time"
)

// Day is 24 hours.
const Day = 24 * time.Hour

// String formats d as people type it for the command: 32d, 32d2m, 36h, 1h30m.
// Days begin at two.
func String(d time.Duration) string {
	days := ""
	if d >= 2*Day {
		days, d = strconv.FormatInt(int64(d/Day), 10)+"d", d%Day
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
