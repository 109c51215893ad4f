package middleware_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

// largeHeaders returns Cookie headers of about 250 KB that a visitor can build from
// cookies that were sealed for them.
func largeHeaders(tb testing.TB) (a *adversary, headers map[string]string) {
	a = newAdversary(tb, nil)
	root := state.Root{1}
	now := state.Millis(noon)
	born := state.Stamp{At: now - 3_000_000, ID: 1}
	head := &state.Cookie{Kind: state.Head, Root: root, Created: born.At, End: now + 1e8, Born: born, Floor: born, Since: born.At, SeenAt: now, Tag: root.HeadTag(0)}
	seal := func(c *state.Cookie) string {
		value, err := codec.Seal(nil, a.ring.Active(noon), codec.Binding{Base: "__Host-session", Suffix: c.Tag}, c.Plaintext())
		require.NoError(tb, err)
		return "__Host-session." + c.Tag + "=" + string(value)
	}
	cells := func(n, size, sees int, name func(i int) string) string {
		all := []string{seal(head)}
		for i := range n {
			c := &state.Cookie{Kind: state.Cell, Gen: root.GenID(), Turn: 0, Tag: root.CellTag(fmt.Sprint(i), uint64(i)),
				Entry: state.NewEntry(name(i), state.Stamp{At: now - 1000 + int64(i), ID: 7}, append([]byte{0x59, byte(size >> 8), byte(size)}, make([]byte, size)...))}
			for j := range min(sees, i) {
				c.SeenEntries = append(c.SeenEntries, state.SeenEntry{Name: fmt.Sprintf("n%03d", j), At: now - 1000})
			}
			all = append(all, seal(c))
		}
		return strings.Join(all, "; ")
	}
	same := func(int) string { return "n000" }
	own := func(i int) string { return fmt.Sprintf("n%03d", i) }
	return a, map[string]string{
		"250 cells of one entry":                   cells(250, 600, 0, same),
		"250 cells of 250 entries":                 cells(250, 600, 0, own),
		"250 cells that saw all earlier ones":      cells(250, 10, 80, own),
		"60 cells of 3 KB":                         cells(60, 2900, 0, own),
		"250 pieces of one value that are doubled": strings.Repeat(seal(head)+"; ", 400),
		"5,000 short cookies":                      strings.Repeat("__Host-session.aaaaaaaaaa=AAAA; ", 7000),
	}
}

func parseHeader(tb testing.TB, header string) *http.Request {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("POST / HTTP/1.1\r\nHost: a\r\nCookie: " + header + "\r\n\r\n")))
	require.NoError(tb, err)
	return r
}

func carry(m *middleware.Sessions, header string) reason.Reason {
	ctx, x := m.Begin(context.Background(), middleware.Request{Method: http.MethodPost, Cookies: []string{header}})
	s := session.From(ctx)
	session.Key[string]("zzz").Set(s, "new")
	_, _ = x.Commit(ctx, middleware.Response{Status: 200})
	return s.Reason()
}

// The cost of a request grows linearly with the header's size, not quadratically.
// A header of twice the size takes at most about twice the memory; one of 250 KB
// takes a few megabytes.
func TestBurdensAreLinear(t *testing.T) {
	a, headers := largeHeaders(t)
	for name, header := range headers {
		half := header[:strings.LastIndex(header[:len(header)/2], ";")]
		cost := func(header string) (objects, bytes float64) {
			var before, after runtime.MemStats
			carry(a.sessions, header) // warms up pools and caches
			runtime.ReadMemStats(&before)
			for range 4 {
				carry(a.sessions, header)
			}
			runtime.ReadMemStats(&after)
			return float64(after.Mallocs-before.Mallocs) / 4, float64(after.TotalAlloc-before.TotalAlloc) / 4
		}
		objects, bytes := cost(header)
		halfObjects, halfBytes := cost(half)
		require.LessOrEqual(t, objects, 2.5*halfObjects+50, name)
		require.LessOrEqual(t, bytes, 2.5*halfBytes+100_000, name)
		require.Less(t, bytes, 4e6, name)
	}
}

func BenchmarkBurdens(b *testing.B) {
	a, headers := largeHeaders(b)
	for name, header := range headers {
		b.Run(name+"/net-http", func(b *testing.B) {
			b.SetBytes(int64(len(header)))
			for range b.N {
				_ = parseHeader(b, header).Cookies()
			}
		})
		b.Run(name+"/carryon", func(b *testing.B) {
			b.SetBytes(int64(len(header)))
			for range b.N {
				carry(a.sessions, header)
			}
		})
	}
}
