package main

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// rowOf returns the columns of the only row in a table.
func rowOf(t *testing.T, args ...string) (code int, row []string) {
	t.Helper()
	code, out, said := call(began, "", append([]string{"size"}, args...)...)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 2, said)
	return code, strings.Fields(lines[1])
}

func TestLargestValueFitsAndOneByteMoreDoesNot(t *testing.T) {
	for _, platform := range platformNames() {
		code, row := rowOf(t, "--platform", platform, "--bytes", "1")
		require.Equal(t, exitDone, code, platform)
		n, err := strconv.Atoi(row[6])
		require.NoError(t, err)
		code, row = rowOf(t, "--platform", platform, "--bytes", strconv.Itoa(n))
		require.Equal(t, exitDone, code, "%d bytes on %s: %v", n, platform, row)
		code, row = rowOf(t, "--platform", platform, "--bytes", strconv.Itoa(n+1))
		require.Equal(t, exitFail, code, "%d bytes on %s: %v", n+1, platform, row)
	}
}

// A visitor can really store the largest value, at login and afterwards.
func TestLargestValueIsTakenFromAVisitor(t *testing.T) {
	for _, platform := range middleware.Platforms() {
		if platform == middleware.GoServer {
			continue // its RequestBytes exceed what the library reads from a request
		}
		_, row := rowOf(t, "--platform", platformName(platform), "--bytes", "1")
		v, err := newVisitor(sealingRing(t), func(c *middleware.Config) { c.Platform = platform })
		require.NoError(t, err)
		n, err := strconv.Atoi(row[6])
		require.NoError(t, err)
		require.NoError(t, v.does(func(s *session.Session) {
			s.Renew()
			session.Key[[]byte]("session").Set(s, random()[:n])
		}), platform)
		for i := range 10 {
			v.clock.Advance(time.Minute)
			require.NoError(t, v.does(func(s *session.Session) { session.Key[[]byte]("session").Set(s, random()[i+1:i+1+n]) }), platform)
		}
	}
}

// The limits in the RAISE column suffice, and each of them is needed.
func TestRaisedLimitsLetTheSessionIn(t *testing.T) {
	for _, platform := range platformNames() {
		for _, n := range []int{3000, 12_000, 30_000} {
			c := middleware.Config{Platform: middleware.Platforms()[indexOf(t, platform)], Clock: hourlyClock(began)}
			entries := map[string]any{"session": random()[:n]}
			f, err := estimate(c, entries)
			require.NoError(t, err)
			said := raise(c, f, entries)
			require.Equal(t, f.Fits(), said == "-", "%s: %s", platform, said)
			if f.Fits() {
				continue
			}
			fields := strings.Split(said, ", ")
			for skip := -1; skip < len(fields); skip++ { // all of them, then all but one
				c.Limits = middleware.Limits{}
				for i, field := range fields {
					if i != skip {
						setLimit(t, &c.Limits, field)
					}
				}
				f, err := estimate(c, entries)
				require.NoError(t, err)
				require.Equal(t, skip < 0, f.Fits(), "%s, %d bytes, %s without %d", platform, n, said, skip)
			}
		}
	}
}

func indexOf(t *testing.T, platform string) int {
	for i, name := range platformNames() {
		if name == platform {
			return i
		}
	}
	t.Fatal(platform)
	return 0
}

func setLimit(t *testing.T, l *middleware.Limits, said string) {
	name, number, _ := strings.Cut(said, " to ")
	n, err := strconv.Atoi(number)
	require.NoError(t, err, said)
	switch name {
	case "RequestBytes":
		l.RequestBytes = n
	case "ResponseBytes":
		l.ResponseBytes = n
	case "Cookies":
		l.Cookies = n
	case "SetCookieLines":
		l.SetCookieLines = n
	default:
		t.Fatal(said)
	}
}

// If the library accepts a higher limit than the command knows, the command
// wrongly says that no limit helps.
func TestMostIsTheMostThatConfigLimitsMaySay(t *testing.T) {
	ring, err := keyring.Generate(began)
	require.NoError(t, err)
	_, err = middleware.New(middleware.Config{Keys: ring, Limits: most})
	require.NoError(t, err)
	for field, more := range map[string]func(*middleware.Limits){
		"RequestBytes":   func(l *middleware.Limits) { l.RequestBytes++ },
		"ResponseBytes":  func(l *middleware.Limits) { l.ResponseBytes++ },
		"Cookies":        func(l *middleware.Limits) { l.Cookies++ },
		"SetCookieLines": func(l *middleware.Limits) { l.SetCookieLines++ },
	} {
		l := most
		more(&l)
		_, err := middleware.New(middleware.Config{Keys: ring, Limits: l})
		require.ErrorContains(t, err, field)
	}
}
