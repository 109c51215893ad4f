package bench

import (
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Parallel reads must not wait for each other: the profiles of mutexes and of
// blocking must be empty, except for locks inside of the runtime.
func TestParallelReadsShareNoLock(t *testing.T) {
	site, cookies := parallelReadSite(t)
	require.Empty(t, contention(func() { readOnce(site.Read, cookies) }))
}

// The profiles find contention if there is any.
func TestContentionIsFound(t *testing.T) {
	site, cookies := parallelReadSite(t)
	var one sync.Mutex
	require.NotEmpty(t, contention(func() {
		one.Lock()
		defer one.Unlock()
		readOnce(site.Read, cookies)
		time.Sleep(10 * time.Microsecond)
	}))
}

func parallelReadSite(t *testing.T) (*Site, string) {
	t.Helper()
	data, err := NewData(1000)
	require.NoError(t, err)
	site, err := buildCarryon(data, nil)
	require.NoError(t, err)
	cookies, err := check(site, data, Contestant{})
	require.NoError(t, err)
	return site, cookies
}

func readOnce(h http.Handler, cookies string) { serve(h, Read, cookies) }

// contention runs do in parallel, and returns the stacks on which goroutines
// waited for each other. It disables garbage collection, because the first Get
// of a sync.Pool after a collection takes a lock.
func contention(do func()) []string {
	const goroutines, each = 8, 400
	together := func(n int) {
		var all sync.WaitGroup
		for range goroutines {
			all.Go(func() {
				for range n {
					do()
					runtime.Gosched()
				}
			})
		}
		all.Wait()
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	together(20) // fill the pools of each P
	before := seen()
	defer runtime.SetMutexProfileFraction(runtime.SetMutexProfileFraction(1))
	runtime.SetBlockProfileRate(1)
	defer runtime.SetBlockProfileRate(0)
	together(each)
	var found []string
	for stack, n := range seen() {
		if n > before[stack] {
			found = append(found, stack)
		}
	}
	return found
}

// seen counts the waits of the goroutines of contention in both profiles, by
// stack. The mutex profile also contains locks of the runtime, such as that of
// the heap.
func seen() map[string]int64 {
	counts := map[string]int64{}
	for _, profile := range []func([]runtime.BlockProfileRecord) (int, bool){runtime.MutexProfile, runtime.BlockProfile} {
		n, _ := profile(nil)
		records := make([]runtime.BlockProfileRecord, n+100)
		n, _ = profile(records)
		for _, r := range records[:n] {
			stack := frames(r.Stack())
			if strings.Contains(stack, "bench.") && !strings.HasPrefix(stack, "sync.(*WaitGroup)") && !strings.HasPrefix(stack, "runtime.unlock") && !strings.HasPrefix(stack, "runtime._Lost") {
				counts[stack] += r.Count
			}
		}
	}
	return counts
}

func frames(pcs []uintptr) string {
	var names []string
	all := runtime.CallersFrames(pcs)
	for {
		f, more := all.Next()
		names = append(names, f.Function)
		if !more {
			return strings.Join(names, "\n")
		}
	}
}
