package playground

import "sync"

// maxTraffic bounds for how many sessions traffic is remembered.
const maxTraffic = 1000

// traffic remembers what no request shows: what the last write of a session sent.
type traffic struct {
	mu   sync.Mutex
	last map[string]sent // by session id
}

// sent is what one response set.
type sent struct{ bytes, lines int }

// wrote notes the Set-Cookie lines of a response, if there are any. A visitor
// without a session has no id.
func (t *traffic) wrote(id string, lines []string) {
	if len(lines) == 0 || id == "" {
		return
	}
	s := sent{lines: len(lines)}
	for _, line := range lines {
		s.bytes += len(line)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.last) >= maxTraffic || t.last == nil {
		t.last = map[string]sent{}
	}
	t.last[id] = s
}

// of returns the last write of a session; nil if none is known.
func (t *traffic) of(id string) *sent {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s, ok := t.last[id]; ok {
		return &s
	}
	return nil
}
