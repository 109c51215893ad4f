package frameworks_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
)

// walk is a visit whose session moves to the store and back to cookies, with
// its content and place after each step.
var walk = []struct {
	step, arg, want string
	stored          bool
}{
	{"read", "it", " 0 0", false},
	{"login", "ada", "ada 0 0", false},
	{"count", "it", "ada 0 1", false},
	{"grow", "900", "ada 900 1", false},
	{"grow", "16000", "ada 16000 1", true},
	{"count", "it", "ada 16000 2", true},
	{"grow", "20000", "ada 20000 2", true},
	{"shrink", "it", "ada 0 2", false},
	{"read", "it", "ada 0 2", false},
	{"count", "it", "ada 0 3", false},
	{"logout", "it", " 0 0", false},
	{"read", "it", " 0 0", false},
}

// TestSameWalkSameCookies compares every framework with net/http: each response
// must set, change and expire the same cookies. Random names and values are
// ignored.
func TestSameWalkSameCookies(t *testing.T) {
	var first []string
	for _, framework := range all {
		t.Run(framework.name, func(t *testing.T) {
			s := newSite(t, framework)
			shape := s.walk(t)
			if first == nil {
				first = shape
			}
			require.Equal(t, first, shape)
		})
	}
}

func (s *site) walk(t *testing.T) (shape []string) {
	stored := false
	for _, step := range walk {
		s.wait(time.Minute)
		moves := s.count(middleware.EventSpilled) - s.count(middleware.EventReturned)
		response, text := s.do(step.step, step.arg)
		require.Equal(t, step.want, text)
		if now := s.count(middleware.EventSpilled) - s.count(middleware.EventReturned); now != moves {
			stored = now > moves
		}
		require.Equal(t, step.stored, stored, "%s %s", step.step, step.arg)
		shape = append(shape, fmt.Sprintf("%s %s: %v, stored %v, %q %q, holds %d", step.step, step.arg,
			lines(response.Header), stored, response.Header["Cache-Control"], response.Header["Vary"], len(s.jar.Names())))
	}
	return shape
}

// lines returns the Set-Cookie lines without their random parts.
func lines(h http.Header) (all []string) {
	for _, line := range h["Set-Cookie"] {
		cookie, attributes, _ := strings.Cut(line, "; ")
		name, value, _ := strings.Cut(cookie, "=")
		parts := strings.Split(name, ".")
		parts[1] = "*"
		what := "set"
		if value == "" {
			what = "expire"
		}
		all = append(all, what+" "+strings.Join(parts, ".")+" "+attributes)
	}
	return all
}
