package playground

import "sync"

// maxTraffic bounds for how many sessions traffic is remembered.
const maxTraffic = 1000

// traffic remembers what no request shows: how many calls of a session are
// under way in this process, and what its last write sent.
type traffic struct {
	mu       sync.Mutex
	sessions map[string]*flow
}

// flow is the traffic of one session.
type flow struct {
	calls int
	last  *sent // nil: nothing was written yet
}

// sent is what one response set.
type sent struct{ bytes, lines int }

// enter counts a call of the session with this id until leave is called.
func (t *traffic) enter(id string) (leave func()) {
	f := t.flow(id)
	t.add(f, 1)
	return func() { t.add(f, -1) }
}

func (t *traffic) add(f *flow, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.calls += n
}

// wrote notes the Set-Cookie lines of a response, if there are any.
func (t *traffic) wrote(id string, lines []string) {
	if len(lines) == 0 {
		return
	}
	s := &sent{lines: len(lines)}
	for _, line := range lines {
		s.bytes += len(line)
	}
	f := t.flow(id)
	t.mu.Lock()
	defer t.mu.Unlock()
	f.last = s
}

// of is how many calls are under way, and the last write.
func (t *traffic) of(id string) (calls int, last *sent) {
	f := t.flow(id)
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(f.calls, 1), f.last
}

// flow is the traffic of a session; of a visitor who has none yet, nobody's.
func (t *traffic) flow(id string) *flow {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.sessions[id]
	if f == nil {
		f = &flow{}
		if id == "" {
			return f
		}
		if len(t.sessions) >= maxTraffic || t.sessions == nil {
			t.sessions = map[string]*flow{}
		}
		t.sessions[id] = f
	}
	return f
}
