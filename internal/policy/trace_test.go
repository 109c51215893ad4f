package policy_test

import (
	"fmt"

	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/state"
)

func (m *model) logf(format string, args ...any) {
	if m.trace {
		fmt.Printf("%9.1f "+format+"\n", append([]any{seconds(m.now)}, args...)...)
	}
}

func (m *model) logLanding(req *request, size int) {
	p := &req.plan
	if !m.trace || len(p.Set)+len(p.Expire) == 0 {
		return
	}
	var set []string
	for _, c := range p.Set {
		set = append(set, describe(c))
	}
	m.logf("%-8s %s built %.1f%s set %v expire %v: %d bytes, %d cookies", req.op, req.name, seconds(req.built), flags(p), set, p.Expire, size, len(m.jar))
}

func seconds(ms int64) float64 { return float64(ms%10_000_000_000) / 1000 }

func flags(p *policy.Plan) (s string) {
	for word, set := range map[string]bool{" whole": p.Whole, " to-store": p.ToStore, " returns": p.ToCookies} {
		if set {
			s += word
		}
	}
	return s
}

func describe(c *state.Cookie) string {
	s := fmt.Sprintf("%s:%s@%d", c.Kind, c.Tag[:min(4, len(c.Tag))], c.Turn)
	if c.Kind == state.Cell {
		s += "/" + describeEntry(&c.Entry)
	}
	if c.Stored() {
		s += fmt.Sprintf(" row %d", c.Row.Number)
	}
	if c.Back {
		s += " back"
	}
	for i := range c.Entries {
		s += " " + describeEntry(&c.Entries[i])
	}
	if c.Kind == state.Head {
		s += fmt.Sprintf(" floor %.1f", seconds(c.Floor.At))
	}
	return s
}

func describeEntry(e *state.Entry) string {
	at := seconds(e.Stamp.At)
	switch {
	case e.Form == state.Listed:
		return fmt.Sprintf("%s(listed@%.1f)", e.Name, at)
	case e.Copied():
		return fmt.Sprintf("%s(%d@%.1f above %.1f)", e.Name, valueOf(e), at, seconds(e.Above.At))
	}
	return fmt.Sprintf("%s(%d@%.1f)", e.Name, valueOf(e), at)
}
