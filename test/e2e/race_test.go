package e2e

import (
	"encoding/json"
	"fmt"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/test/browser"
)

// overHTTP2 returns the address of a proxy in front of the program that uses
// https and HTTP/2.
func overHTTP2(t *testing.T, p *program) string {
	t.Helper()
	target, err := url.Parse(p.url)
	require.NoError(t, err)
	return browser.At(browser.NewTLSServer(t, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}), "app.test")
}

// script runs the body of an async JavaScript function in the tab. The
// functions put(name, value, query) and get(name) call the playground.
func script(t *testing.T, tab browser.Tab, body string, into any) {
	t.Helper()
	require.NoError(t, tab.Eval(`(async () => {
		const path = name => '/api/values/' + encodeURIComponent(name)
		const call = async (address, options) => {
			const response = await fetch(address, {cache: 'no-store', ...options})
			const text = await response.text()
			return {status: response.status, text, protocol: performance.getEntriesByName(response.url).at(-1)?.nextHopProtocol}
		}
		const put = (name, value, query = '') => call(path(name) + query, {method: 'PUT', body: value})
		const get = name => call(path(name))
		const session = () => call('/api/session').then(a => JSON.parse(a.text))
		const sleep = ms => new Promise(done => setTimeout(done, ms))
		`+body+`
	})()`, into))
}

// An answer is a response of the playground.
type answer struct {
	Status         int
	Text, Protocol string
}

// reason returns the reason of a refusal.
func (a answer) reason() (reason string) {
	var refusal struct{ Reason string }
	if json.Unmarshal([]byte(a.Text), &refusal) == nil {
		reason = refusal.Reason
	}
	return reason
}

// TestParallelFetches sends bursts of writes, each to a separate name. A burst
// has six writes, as over HTTP/1.1, or fifteen over HTTP/2, for which twenty
// cookies have room for a cell each. All writes must be accepted and stored.
func TestParallelFetches(t *testing.T) {
	const rounds = 10
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		for _, test := range []struct {
			protocol string
			writers  int
			address  func(*testing.T, *program) string
		}{
			{"http/1.1", 6, func(_ *testing.T, p *program) string { return p.url }},
			{"h2", 15, overHTTP2},
		} {
			t.Run(test.protocol, func(t *testing.T) {
				address := test.address(t, startPlayground(t))
				tab := browser.NewTab(t, b)
				require.NoError(t, tab.Go(address+"/"))
				script(t, tab, "await put('k0', 'begun')", nil)
				want, most := map[string]string{"k0": "begun"}, 0
				for round := range rounds {
					burst := burst(t, tab, test.writers, round)
					for i, a := range burst.Answers {
						require.Equal(t, test.protocol, a.Protocol)
						require.Equal(t, 204, a.Status, a.Text)
						want[fmt.Sprint("k", i)] = fmt.Sprintf("%d of round %d", i, round)
					}
					require.Equal(t, want, burst.Values, "round %d", round)
					most = max(most, burst.Groups)
				}
				require.GreaterOrEqual(t, most, 4, "too few entries have a cell")
				t.Logf("up to %d sealed values", most)
			})
		}
	})
}

// An outcome is the result of a burst.
type outcome struct {
	Answers []answer
	Groups  int               // sealed values after the burst
	Values  map[string]string // all values of the session
}

func burst(t *testing.T, tab browser.Tab, writers, round int) (o outcome) {
	t.Helper()
	script(t, tab, fmt.Sprintf(`
		const answers = await Promise.all([...Array(%d).keys()].map(i => put('k' + i, i + ' of round ' + %d, '?delay=100ms')))
		const {names, groups} = await session()
		const values = await Promise.all(names.map(async n => [n, (await get(n)).text]))
		return {answers, groups: groups.length, values: Object.fromEntries(values)}`, writers, round), &o)
	require.Len(t, o.Answers, writers)
	return o
}

// TestSlowReadDoesNotUndoAWrite makes a read that renews the last-seen time
// respond after a write that it has not seen.
func TestSlowReadDoesNotUndoAWrite(t *testing.T) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		tab := browser.NewTab(t, b)
		require.NoError(t, tab.Go(startPlayground(t, "-touch", "-1s").url+"/"))
		overlap := func(name string) (o struct {
			Unseen, Overlapped bool
			Write              answer
		}) {
			script(t, tab, fmt.Sprintf(`
				const slow = call('/api/session?delay=1s').then(a => ({names: JSON.parse(a.text).names, at: performance.now()}))
				await sleep(200)
				const write = await put(%q, 'kept'), at = performance.now(), read = await slow
				return {write, overlapped: at < read.at, unseen: !read.names.includes(%[1]q)}`, name), &o)
			return o
		}
		script(t, tab, `
			await put('begun', 'kept')
			await Promise.all([1, 2, 3, 4, 5].map(i => put('burst' + i, 'kept', '?delay=200ms')))`, nil)
		names, overlapped := []string{"begun", "burst1", "burst2", "burst3", "burst4", "burst5"}, false
		for i := 0; i < 10 && !overlapped; i++ { // on a busy machine the two may not overlap
			name := fmt.Sprint("late", i)
			o := overlap(name)
			require.Equal(t, 204, o.Write.Status, o.Write.Text)
			names, overlapped = append(names, name), o.Unseen && o.Overlapped
		}
		require.True(t, overlapped, "no read responded after its write")
		for _, name := range names {
			var a answer
			script(t, tab, fmt.Sprintf("return get(%q)", name), &a)
			require.Equal(t, "kept", a.Text, name)
		}
	})
}

func TestSlowWriteDoesNotUndoALogout(t *testing.T) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		tab := browser.NewTab(t, b)
		address := startPlayground(t).url
		require.NoError(t, tab.Go(address+"/"))
		var o struct {
			Write, Read answer
			Overlapped  bool
			Session     struct {
				New   bool
				Names []string
			}
		}
		for i := 0; i < 10 && !o.Overlapped; i++ {
			script(t, tab, `
				await put('name', '张三')
				const slow = put('late', 'x', '?delay=1s').then(write => ({write, at: performance.now()}))
				await sleep(200)
				await call('/api/destroy', {method: 'POST'})
				const at = performance.now(), {write, at: end} = await slow
				return {write, overlapped: at < end, read: await get('name'), session: await session()}`, &o)
			require.Equal(t, 204, o.Write.Status)
		}
		require.True(t, o.Overlapped, "no write responded after the logout")
		require.True(t, o.Session.New)
		require.Empty(t, o.Session.Names)
		require.Equal(t, 404, o.Read.Status)
		require.Equal(t, "logged out", o.Read.reason())
	})
}

// TestGrowAndShrink grows a session from one to eight cookies and shrinks it
// again. From its second write on, the value is in a cell beside the head.
func TestGrowAndShrink(t *testing.T) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		tab := browser.NewTab(t, b)
		address := startPlayground(t, "-limits", "go").url
		require.NoError(t, tab.Go(address+"/"))
		for _, step := range []struct {
			bytes, cookies int
			mode           string
		}{{1000, 1, "inline"}, {5000, 3, "chunked"}, {11_000, 5, "chunked"}, {20_000, 8, "chunked"},
			{11_001, 5, "chunked"}, {5001, 3, "chunked"}, {1001, 2, "inline"}, {5500, 3, "chunked"}, {1, 2, "inline"}} {
			var o struct {
				Write, Read answer
				Session     struct {
					Mode   string
					Chunks int
					Groups []struct {
						Kind   string
						Counts bool
						Pieces int
					}
				}
			}
			script(t, tab, fmt.Sprintf(`
				const write = await put('size', '中'.repeat(%d) + 'x'.repeat(%d))
				return {write, read: await get('size'), session: await session()}`, step.bytes/3, step.bytes%3), &o)
			require.Equal(t, 204, o.Write.Status, "%d bytes: %s", step.bytes, o.Write.Text)
			require.Len(t, o.Read.Text, step.bytes)
			require.Equal(t, step.mode, o.Session.Mode)
			require.Equal(t, step.cookies, o.Session.Chunks, "after %d bytes: %+v", step.bytes, o.Session.Groups)
			cookies, err := tab.Cookies(address)
			require.NoError(t, err)
			require.Len(t, cookies, step.cookies, "after %d bytes no other cookies may remain", step.bytes)
		}
	})
}

// TestGrowBesideParallelWrites sends small writes that overlap with writes
// which grow and shrink the session.
func TestGrowBesideParallelWrites(t *testing.T) {
	browser.Each(t, func(t *testing.T, b browser.Browser) {
		tab := browser.NewTab(t, b)
		address := startPlayground(t, "-limits", "cloudflare").url
		require.NoError(t, tab.Go(address+"/"))
		var o struct {
			Answers []answer
			Names   []string
			Size    int
		}
		for i, size := range []int{500, 5000, 11_000, 5000, 500} {
			script(t, tab, fmt.Sprintf(`
				if (%d === 0) await put('begun', 'x')
				const answers = await Promise.all([put('size', 'x'.repeat(%d), '?delay=100ms'),
					...['a', 'b', 'c'].map(n => put(n + %[1]d, 'x', '?delay=100ms'))])
				return {answers, names: (await session()).names, size: (await get('size')).text.length}`, i, size), &o)
			for _, a := range o.Answers {
				require.Equal(t, 204, a.Status, a.Text)
			}
			require.Len(t, o.Names, 2+3*(i+1), "no entry may be lost")
			require.Equal(t, size, o.Size)
		}
		var last struct{ Chunks int }
		script(t, tab, "return session()", &last)
		cookies, err := tab.Cookies(address)
		require.NoError(t, err)
		require.Len(t, cookies, last.Chunks)
		require.LessOrEqual(t, last.Chunks, 1+len(o.Names), "at most a head and a cell for each entry")
	})
}
