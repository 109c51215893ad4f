package policy_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

var sizer = policy.Sizer{Name: 25, Attributes: 70, CookieBytes: 4096}

// open returns the cookies of a request that its replica can open.
func (m *model) open(req *request) (cookies []*state.Cookie, err error) {
	clear(m.content)
	for _, c := range req.cookies {
		if m.keys[c] > req.key && m.rings {
			continue
		}
		d, err := state.Decode(c.Plaintext())
		if err != nil {
			return nil, err
		}
		d.Tag = c.Tag
		if m.off.read != nil {
			m.off.read(d)
		}
		m.content[d] = string(c.Plaintext())
		cookies = append(cookies, d)
	}
	return cookies, nil
}

func (m *model) contentOf(c *state.Cookie) string { return m.content[c] }

// read merges the cookies of a request, with the record if there is one.
func (m *model) read(req *request, now int64) error {
	cookies, err := m.open(req)
	if err != nil {
		return err
	}
	m.merge(req, cookies, nil, now)
	if v := &req.view; v.Winner != nil && v.Winner.Kind == state.Head && v.Winner.Stored() {
		m.readRow(req, now, cookies)
	}
	return nil
}

func (m *model) merge(req *request, cookies []*state.Cookie, content *state.Cookie, now int64) {
	req.view = state.Read(cookies, content, now, m.idle)
	if req.view.Unopened = len(req.cookies) - len(cookies); req.view.Unopened > 0 {
		req.view.Refused = reason.UnknownKey
	}
}

func (m *model) readRow(req *request, now int64, cookies []*state.Cookie) {
	got, ok := m.rows[req.view.Winner.Root.RecordID()]
	if !ok {
		return
	}
	content, err := state.Decode(got.content)
	if err != nil {
		panic(err)
	}
	if m.off.read != nil {
		m.off.read(content)
	}
	m.merge(req, cookies, content, now)
	req.view.RowRevision = got.rev
}

func (m *model) decideNow(req *request) error {
	now := m.clock()
	req.decided = m.now
	if err := m.read(req, now); err != nil {
		return err
	}
	if err := m.check(req, now); err != nil {
		return err
	}
	for try := 0; ; try++ {
		in := m.input(req, now)
		in.Conflict = try > 0
		if m.off.input != nil {
			m.off.input(in)
		}
		p, err := policy.Decide(in)
		if err != nil {
			return m.refuse(req, err)
		}
		if m.rings && req.view.Unopened > 0 && in.Writes && !in.Changes.Renewed {
			return fmt.Errorf("a %s succeeded although only another replica can open some cookies", req.op)
		}
		req.plan = p
		if m.off.plan != nil {
			m.off.plan(req)
		}
		if m.save(req, &p) {
			break
		}
		if try > 50 {
			return fmt.Errorf("a record was not saved in 50 tries")
		}
		m.readRow(req, now, req.view.Cookies)
		if req.view.Verdict != reason.None {
			req.refused = true
			return nil
		}
	}
	m.decided(req)
	return nil
}

// save saves the record of a plan. It reports whether the record was still at the
// revision that had been loaded.
func (m *model) save(req *request, p *policy.Plan) bool {
	if p.Record == nil {
		return true
	}
	id := p.Record.Root.RecordID()
	if m.rows[id].rev != p.Old && !m.off.blind {
		return false
	}
	m.rows[id] = row{p.New, slices.Clone(p.Record.Plaintext())}
	m.logf("%-8s %s built %.1f%s saves %s", req.op, req.name, seconds(req.built), flags(p), describe(p.Record))
	return true
}

// refuse records that a request fails. It returns an error if that request must not
// fail.
func (m *model) refuse(req *request, err error) error {
	req.refused = true
	m.stats["refused"]++
	m.logf("%-8s %s refused: %v", req.op, req.name, err)
	free := req.op == "logout" || req.op == "login" && req.size < 200 || req.op == "renew" && req.view.Head == nil
	switch {
	case errors.Is(err, session.ErrUnknownKey) && req.view.Unopened > 0 && !free:
		return nil
	case m.serial || free:
		return fmt.Errorf("a %s was refused: %w", req.op, err)
	}
	return nil
}

// decided records the effects of a plan that precede its landing.
func (m *model) decided(req *request) {
	p := &req.plan
	if name := req.deletes(); p.Record != nil && name != "" {
		m.oracle.deleting[name]++
	}
	if p.EndedByLogout != nil && p.EndedByLogout.Stored() {
		id := p.EndedByLogout.Root.RecordID()
		marker := state.Cookie{Kind: state.Logout, Root: p.EndedByLogout.Root, Created: p.EndedByLogout.Created, End: p.EndedByLogout.End, Born: p.EndedByLogout.Born}
		m.rows[id] = row{state.Revision{Number: m.rows[id].rev.Number + 1, Tag: [16]byte{1}}, marker.Plaintext()}
	}
	for _, c := range p.Set {
		if c.Kind == state.Head || req.view.Winner != nil {
			root := c.Root
			if c.Kind != state.Head {
				root = req.view.Winner.Root
			}
			m.oracle.lastDecided[root] = max(m.oracle.lastDecided[root], m.now)
		}
	}
	m.stats["decided"]++
	for what, is := range map[string]bool{"whole": p.Whole, "to store": p.ToStore, "returns": p.ToCookies} {
		if is {
			m.stats[what]++
		}
	}
}

// value returns a new value, which differs from all others and cannot be packed.
func (m *model) value(size int) []byte {
	m.lastValue++
	value := make([]byte, max(size, 4))
	for i := range value {
		value[i] = byte(m.r.Uint32() | 0x80)
	}
	value[0], value[1], value[2], value[3] = 0xff, byte(m.lastValue>>16), byte(m.lastValue>>8), byte(m.lastValue)
	return value
}

func (m *model) input(req *request, now int64) *policy.Input {
	c := m.changes(req)
	in := &policy.Input{View: &req.view, Changes: c, Now: now, ID: req.seed, Fresh: m.root(1, req), Lifetime: 24 * hour, Touch: 1 << 40, Idle: 1 << 40,
		Sizer: sizer, Limits: m.limits, Mode: m.mode, Store: m.store, MayTouch: req.op == "touch", Others: policy.Size{Cookies: min(req.others, 1), Request: req.others}}
	if m.lifetime != 0 {
		in.Lifetime = m.lifetime
	}
	if m.idle != 0 {
		in.Idle, in.Touch = m.idle, m.touchAfter(m.idle)
	}
	if c.Begins(&req.view) {
		c.Root = m.root(2, req)
	}
	switch {
	case c.Destroyed:
	case req.view.Head == nil:
		in.Writes = len(c.Ops) > 0 && req.op != "delete"
	default:
		in.Writes = len(c.Ops) > 0 || c.Renewed
	}
	if !in.Writes && !c.Destroyed {
		*c = state.Changes{}
	}
	in.Jar = m.groups(req)
	for i := range 16 {
		in.RowTag[i] = byte(m.r.Uint32())
	}
	return in
}

func (m *model) root(kind byte, req *request) state.Root {
	return state.Root{kind, byte(req.order), byte(req.order >> 8), byte(req.order >> 16)}
}

// groups returns the groups of a request, opened or not.
func (m *model) groups(req *request) (jar []policy.Group) {
	whole := map[string]bool{}
	for _, c := range req.cookies {
		whole[c.Tag] = true
	}
	for tag, pieces := range req.pieces {
		g := policy.Group{Tag: tag, Size: policy.Size{Cookies: len(pieces)}, Unopenable: !whole[tag]}
		for _, n := range pieces {
			g.Size.Request += n
			g.Size.Response += n + sizer.Attributes + len("Set-Cookie: \r\n") - 2
		}
		jar = append(jar, g)
	}
	slices.SortFunc(jar, func(a, b policy.Group) int { return strings.Compare(a.Tag, b.Tag) })
	return jar
}

// changes returns the changes of a request.
func (m *model) changes(req *request) *state.Changes {
	c := &state.Changes{}
	switch req.op {
	case "set":
		c.Ops = []state.Op{{Name: req.name, Value: m.value(req.size)}}
	case "short":
		c.Ops = []state.Op{{Name: "token", Value: m.value(600)}}
	case "refresh":
		c.Ops = []state.Op{{Name: "token", Value: m.token()}}
	case "begin":
		for i := range m.entries {
			c.Ops = append(c.Ops, state.Op{Name: m.entryName(i), Value: m.value(m.sizeAtBegin(req, i))})
		}
		if m.ops["short"] > 0 {
			c.Ops = append(c.Ops, state.Op{Name: "token", Value: m.value(600)})
		}
		if m.ops["refresh"] > 0 {
			c.Ops = append(c.Ops, state.Op{Name: "token", Value: m.token()})
		}
		slices.SortFunc(c.Ops, func(a, b state.Op) int { return strings.Compare(a.Name, b.Name) })
		c.Renewed = true
	case "clear":
		c.Ops, c.Cleared = []state.Op{{Name: req.name, Value: m.value(req.size)}}, true
	case "login":
		c.Ops, c.Renewed = []state.Op{{Name: req.name, Value: m.value(req.size)}}, true
	case "renew":
		c.Renewed = true
	case "terms":
		c.Renewed = true
		c.Terms = []state.Terms{{Idle: 40 * minute}, {Idle: state.NoIdle}, {Lifetime: 2 * hour}}[m.r.IntN(3)]
	case "delete":
		if e := req.view.Find(req.name); e != nil && e.Live() {
			c.Ops = []state.Op{{Name: req.name}}
		}
	case "logout":
		c.Destroyed = true
	}
	return c
}

func (m *model) sizeAtBegin(req *request, i int) int {
	if m.stable {
		return m.sizes[i%len(m.sizes)]
	}
	return req.size
}

func (m *model) token() []byte { return append(m.value(4), make([]byte, 3400)...) }
