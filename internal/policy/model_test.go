package policy_test

import (
	"container/heap"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/state"
)

// The model simulates one browser with requests in flight, and calls the functions
// that production calls. Each cookie is encoded and decoded. An oracle records when
// each response landed, and checks each request against "The guarantee" of SPEC.md.

var (
	modelRuns    = flag.Int("model.runs", 120, "runs of each world of the model")
	ablationRuns = flag.Int("model.ablations", 400, "maximum number of runs until an ablation fails")
	modelWorld   = flag.String("model.world", "", "run only the world of this name")
	modelSeed    = flag.Uint64("model.seed", 0, "run only this seed, and print each event")
)

// request is one request in flight.
type request struct {
	at      int64 // time of its next event
	decide  bool  // its next event is the decision; if false, the landing
	built   int64 // when the browser built its Cookie header
	decided int64 // when its response was decided
	total   int64 // ms from built to landing
	op      string
	name    string
	size    int
	seed    uint32
	key     int // the newest key that its replica has
	others  int // bytes of other programs' cookies
	cookies []*state.Cookie
	pieces  map[string][]int // request bytes of each piece under each tag
	view    state.View
	plan    policy.Plan
	refused bool
	order   int // number of the request, for a fixed order of events
}

// requestQueue is a heap of requests by the time of their next events.
type requestQueue []*request

func (q requestQueue) Len() int { return len(q) }
func (q requestQueue) Less(i, j int) bool {
	if q[i].at != q[j].at {
		return q[i].at < q[j].at
	}
	return q[i].order < q[j].order
}
func (q requestQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *requestQueue) Push(x any)   { *q = append(*q, x.(*request)) }
func (q *requestQueue) Pop() any     { old := *q; x := old[len(old)-1]; *q = old[:len(old)-1]; return x }

// row is one row of the model's store.
type row struct {
	rev     state.Revision
	content []byte
}

// model is one run of a world.
type model struct {
	world
	r          *rand.Rand
	now        int64
	jar        map[string]*state.Cookie
	pieces     map[string][]int         // request bytes of each piece under a tag, including surplus pieces
	old        []*state.Cookie          // evicted or overwritten cookies, which some worlds restore
	keys       map[*state.Cookie]int    // number of the key that sealed each cookie of the jar
	content    map[*state.Cookie]string // encodings of the cookies that were read last
	otherBytes int                      // bytes of other programs' cookies
	grew       bool                     // otherBytes has grown since the header last fitted
	queue      requestQueue
	rows       map[string]row
	oracle     oracle
	lastValue  int
	order      int
	trace      bool
	off        ablation
	stats      map[string]int
}

func newModel(w world, seed uint64, off ablation) *model {
	return &model{world: w, r: rand.New(rand.NewPCG(seed, 1)), now: 1_800_000_000_000, jar: map[string]*state.Cookie{}, pieces: map[string][]int{},
		keys: map[*state.Cookie]int{}, content: map[*state.Cookie]string{}, rows: map[string]row{},
		oracle: newOracle(), off: off, stats: map[string]int{}}
}

// run runs the steps of a world, and returns an error if the guarantee is broken.
func (m *model) run() (err error) {
	if m.begin {
		m.send("begin")
		if err := m.drain(); err != nil {
			return err
		}
	}
	steps := m.steps
	if steps == 0 {
		steps = 120
	}
	for range steps {
		n := 1
		if m.burst > 0 && m.r.IntN(8) == 0 {
			n = 1 + m.r.IntN(m.burst)
		}
		for range n {
			m.send(m.pick())
		}
		if err := m.advance(); err != nil {
			return err
		}
		m.disturb()
	}
	if err := m.drain(); err != nil || !m.clean {
		return err
	}
	return m.checkPieces()
}

// checkPieces writes small values one after another. It returns an error if pieces of
// longer values are left.
func (m *model) checkPieces() error {
	m.sizes, m.now = []int{10}, m.now+state.Settled
	for range 20 * m.entries {
		m.send("set")
		if err := m.drain(); err != nil {
			return err
		}
	}
	for tag, pieces := range m.pieces {
		if c := m.jar[tag]; c == nil || c.Kind == state.Cell && len(pieces) > sizer.Of(c).Cookies {
			return fmt.Errorf("surplus pieces are left under %s", tag)
		}
	}
	return nil
}

// advance lets time pass until the next requests.
func (m *model) advance() error {
	until := m.now + m.r.Int64N(m.pause+1)
	switch {
	case m.serial:
		until = m.now + state.Window
	case m.quick && m.r.IntN(3) > 0:
		until = m.now + m.r.Int64N(5*second)
	}
	for len(m.queue) > 0 && (m.queue[0].at <= until || m.serial) {
		if err := m.step(); err != nil {
			return err
		}
	}
	m.now = max(until, m.now)
	if m.serial {
		m.now += m.r.Int64N(m.pause)
	}
	return nil
}

// drain runs all events in the queue.
func (m *model) drain() error {
	for len(m.queue) > 0 {
		if err := m.step(); err != nil {
			return err
		}
	}
	return nil
}

// disturb loses or restores cookies, and changes the bytes of other cookies.
func (m *model) disturb() {
	if m.evict > 0 && m.r.IntN(m.evict) == 0 {
		m.evictOrRestore()
	}
	if m.others > 0 && m.r.IntN(10) == 0 {
		n := m.r.IntN(m.others)
		m.grew = m.grew || n > m.otherBytes
		m.otherBytes = n
	}
}

// evictOrRestore evicts a cookie, restores an old one, or replaces all heads by an old
// one.
func (m *model) evictOrRestore() {
	tags := slices.Sorted(maps.Keys(m.jar))
	switch m.r.IntN(4) {
	case 0:
		for _, tag := range tags {
			if m.jar[tag].Kind == state.Head {
				m.evictTag(tag)
			}
		}
		m.restoreOne(slices.DeleteFunc(slices.Clone(m.old), func(c *state.Cookie) bool { return c.Kind != state.Head }))
	case 1:
		m.restoreOne(m.old)
	default:
		if len(tags) > 0 {
			m.evictTag(tags[m.r.IntN(len(tags))])
		}
	}
}

// restoreOne puts one of some old cookies into the jar. After an old head the model
// restores no other: a client that continues from two old heads can mix the branches,
// and no rule can detect that.
func (m *model) restoreOne(old []*state.Cookie) {
	if len(old) == 0 {
		return
	}
	c := old[m.r.IntN(len(old))]
	m.jar[c.Tag] = c
	if c.Kind == state.Head {
		m.old = slices.DeleteFunc(m.old, func(c *state.Cookie) bool { return c.Kind == state.Head })
	}
}

func (m *model) evictTag(tag string) {
	m.archive(m.jar[tag])
	delete(m.jar, tag)
}

// archive keeps an old cookie, which may be restored later.
func (m *model) archive(c *state.Cookie) {
	if m.evict == 0 || c == nil {
		return
	}
	if m.old = append(m.old, c); len(m.old) > 60 {
		m.old = m.old[1:]
	}
}

// pick returns a random operation of the world.
func (m *model) pick() string {
	n := 0
	for _, w := range m.ops {
		n += w
	}
	n = m.r.IntN(n)
	for _, op := range slices.Sorted(maps.Keys(m.ops)) {
		if n -= m.ops[op]; n < 0 {
			return op
		}
	}
	panic("unreachable")
}

// delay returns a random time from request to landing.
func (m *model) delay() int64 {
	if m.slow == 0 || m.quick && m.r.IntN(10) > 0 {
		return m.r.Int64N(2 * second)
	}
	return m.r.Int64N(m.slow)
}

// entryName returns the name of one of the world's entries.
func (m *model) entryName(i int) string {
	if m.entries <= 26 {
		return string(rune('a'+i)) + "name"
	}
	return fmt.Sprintf("n%d", i)
}

// send adds a request for an operation to the queue.
func (m *model) send(op string) {
	total := m.delay()
	i := m.r.IntN(max(m.entries, 1))
	req := &request{built: m.now, op: op, decide: true, total: total, at: m.now + m.r.Int64N(total+1), seed: m.r.Uint32(), order: m.order,
		name: m.entryName(i), others: m.otherBytes, pieces: map[string][]int{}}
	if op == "refresh" || op == "short" {
		req.name = "token"
	}
	if len(m.sizes) > 0 {
		req.size = m.sizes[m.r.IntN(len(m.sizes))]
		if m.stable {
			req.size = m.sizes[i%len(m.sizes)]
		}
	}
	if req.key = int(m.now / (40 * minute)); m.rings && m.r.IntN(6) == 0 {
		req.key--
	}
	m.order++
	for _, tag := range slices.Sorted(maps.Keys(m.jar)) {
		req.cookies = append(req.cookies, m.jar[tag])
	}
	for tag, pieces := range m.pieces {
		req.pieces[tag] = pieces
	}
	heap.Push(&m.queue, req)
}

// step runs the next event in the queue.
func (m *model) step() error {
	req := heap.Pop(&m.queue).(*request)
	m.now = max(m.now, req.at)
	if req.decide {
		err := m.decideNow(req)
		req.decide, req.at = false, max(req.built+req.total, m.now)
		heap.Push(&m.queue, req)
		return err
	}
	return m.land(req)
}

// clock returns the time by a replica's clock.
func (m *model) clock() int64 {
	if m.skew == 0 {
		return m.now
	}
	return m.now + m.r.Int64N(2*m.skew+1) - m.skew
}

// land applies a response to the jar.
func (m *model) land(req *request) error {
	if req.refused {
		return nil
	}
	p := &req.plan
	for _, tag := range p.Expire {
		m.put(tag, nil, m.piecesSeen(req, tag))
	}
	for _, c := range p.Set {
		c = c.Clone()
		if m.off.cookie != nil {
			m.off.cookie(req, c)
		}
		m.keys[c] = req.key
		m.put(c.Tag, c, m.piecesSeen(req, c.Tag))
		if m.evict > 0 {
			m.oracle.observe(c, &req.view)
		}
	}
	m.note(req)
	return m.measure(req)
}

// piecesSeen returns how many pieces under a tag a response replaces or removes.
func (m *model) piecesSeen(req *request, tag string) int {
	if m.off.surplus {
		return min(len(req.pieces[tag]), 1)
	}
	return len(req.pieces[tag])
}

// put sets or expires a cookie. seen is the number of its pieces in the request.
func (m *model) put(tag string, c *state.Cookie, seen int) {
	m.archive(m.jar[tag])
	delete(m.jar, tag)
	var left []int
	if c != nil {
		m.jar[tag] = c
		left = piecesOf(c)
	}
	if had := m.pieces[tag]; len(had) > max(seen, len(left)) {
		left = append(left, had[max(seen, len(left)):]...)
		m.stats["surplus pieces"]++
	}
	if delete(m.pieces, tag); len(left) > 0 {
		m.pieces[tag] = left
	}
}

// piecesOf returns the request bytes of each piece of a cookie.
func piecesOf(c *state.Cookie) (pieces []int) {
	size := sizer.Of(c)
	for i := range size.Cookies - 1 {
		n := sizer.Name + policy.Digits(i) + 1 + sizer.PieceLimit(i) + 2
		pieces = append(pieces, n)
		size.Request -= n
	}
	return append(pieces, size.Request)
}

// measure returns an error if the next request's header exceeds its limit.
func (m *model) measure(req *request) error {
	size, n := 0, 0
	for _, pieces := range m.pieces {
		for _, bytes := range pieces {
			size += bytes
			n++
		}
	}
	m.logLanding(req, size)
	m.stats["most bytes"] = max(m.stats["most bytes"], size)
	m.stats["most cookies"] = max(m.stats["most cookies"], n)
	if size += m.otherBytes; size <= m.limits.RequestBytes {
		m.grew = false
		return nil
	}
	m.stats["over the limit"]++
	if m.bounded && !m.grew {
		return fmt.Errorf("the header takes %d bytes, more than its limit", size)
	}
	return nil
}

// addTo adds the statistics of a run to a total.
func (m *model) addTo(total map[string]int) {
	for k, n := range m.stats {
		if k == "most bytes" || k == "most cookies" {
			total[k] = max(total[k], n)
		} else {
			total[k] += n
		}
	}
}

func TestModel(t *testing.T) {
	for _, w := range worlds {
		if *modelWorld != "" && w.name != *modelWorld {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			total := map[string]int{}
			first, last := uint64(1), uint64(*modelRuns)
			if w.weight != 0 && *modelWorld == "" {
				last = max(last*uint64(w.weight)/100, 1)
			}
			if *modelSeed != 0 {
				first, last = *modelSeed, *modelSeed
			}
			for seed := first; seed <= last; seed++ {
				m := newModel(w, seed, ablation{})
				m.trace = *modelSeed != 0
				err := m.run()
				m.addTo(total)
				require.NoError(t, err, "go test ./internal/policy -run TestModel -model.world '%s' -model.seed %d", w.name, seed)
			}
			t.Log(total)
		})
	}
}
