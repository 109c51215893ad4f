package playground

import "sync"

// maxTraffic is the number of sessions whose traffic is remembered.
const maxTraffic = 1000

// A traffic remembers the last write of each session, which requests do not
// show.
type traffic struct {
	mu   sync.Mutex
	last map[string]sent // by session id
}

// A sent is the size of the cookies that a response set.
type sent struct{ bytes, lines int }

// wrote records the Set-Cookie lines of a response, if there are any. A visitor
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

// of returns the last write of a session, or nil if it is unknown.
func (t *traffic) of(id string) *sent {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s, ok := t.last[id]; ok {
		return &s
	}
	return nil
}
