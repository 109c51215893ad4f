package policy_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/session"
)

var sizer = policy.Sizer{Name: 25, Attributes: 70, CookieBytes: 4096}

// open returns the cookies of a request that its replica can open.
func (m *model) open(f *request) (cookies []*state.Cookie, err error) {
	clear(m.content)
	for _, c := range f.cookies {
		if m.keys[c] > f.key && m.rings {
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
func (m *model) read(f *request, now int64) error {
	cookies, err := m.open(f)
	if err != nil {
		return err
	}
	m.merge(f, cookies, nil, now)
	if v := &f.view; v.Winner != nil && v.Winner.Kind == state.Head && v.Winner.Stored() {
		m.readRow(f, now, cookies)
	}
	return nil
}

func (m *model) merge(f *request, cookies []*state.Cookie, content *state.Cookie, now int64) {
	f.view = state.Read(cookies, content, now, m.idle)
	if f.view.Unopened = len(f.cookies) - len(cookies); f.view.Unopened > 0 {
		f.view.Closed = "unknown key"
	}
}

func (m *model) readRow(f *request, now int64, cookies []*state.Cookie) {
	got, ok := m.rows[f.view.Winner.Root.RecordID()]
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
	m.merge(f, cookies, content, now)
	f.view.RowRevision = got.rev
}

func (m *model) decideNow(f *request) error {
	now := m.clock()
	f.decided = m.now
	if err := m.read(f, now); err != nil {
		return err
	}
	if err := m.check(f, now); err != nil {
		return err
	}
	for try := 0; ; try++ {
		in := m.input(f, now)
		in.Conflict = try > 0
		if m.off.input != nil {
			m.off.input(in)
		}
		p, err := policy.Decide(in)
		if err != nil {
			return m.refuse(f, err)
		}
		if m.rings && f.view.Unopened > 0 && in.Writes && !in.Changes.Renewed {
			return fmt.Errorf("a %s succeeded although only another replica can open some cookies", f.op)
		}
		f.plan = p
		if m.off.plan != nil {
			m.off.plan(f)
		}
		if m.save(f, &p) {
			break
		}
		if try > 50 {
			return fmt.Errorf("a record was not saved in 50 tries")
		}
		m.readRow(f, now, f.view.Cookies)
		if f.view.Verdict != state.Present {
			f.refused = true
			return nil
		}
	}
	m.decided(f)
	return nil
}

// save saves the record of a plan. It reports whether the record was still at the
// revision that had been loaded.
func (m *model) save(f *request, p *policy.Plan) bool {
	if p.Record == nil {
		return true
	}
	id := p.Record.Root.RecordID()
	if m.rows[id].rev != p.Old && !m.off.blind {
		return false
	}
	m.rows[id] = row{p.New, slices.Clone(p.Record.Plaintext())}
	m.logf("%-8s %s built %.1f%s saves %s", f.op, f.name, seconds(f.built), flags(p), describe(p.Record))
	return true
}

// refuse records that a request fails. It returns an error if that request must not
// fail.
func (m *model) refuse(f *request, err error) error {
	f.refused = true
	m.stats["refused"]++
	m.logf("%-8s %s refused: %v", f.op, f.name, err)
	free := f.op == "logout" || f.op == "login" && f.size < 200 || f.op == "renew" && f.view.Head == nil
	switch {
	case errors.Is(err, session.ErrUnknownKey) && f.view.Unopened > 0 && !free:
		return nil
	case m.serial || free:
		return fmt.Errorf("a %s was refused: %w", f.op, err)
	}
	return nil
}

// decided records the effects of a plan that precede its landing.
func (m *model) decided(f *request) {
	p := &f.plan
	if name := f.deletes(); p.Record != nil && name != "" {
		m.oracle.deleting[name]++
	}
	if p.EndedByLogout != nil && p.EndedByLogout.Stored() {
		id := p.EndedByLogout.Root.RecordID()
		marker := state.Cookie{Kind: state.Logout, Root: p.EndedByLogout.Root, Created: p.EndedByLogout.Created, End: p.EndedByLogout.End, Born: p.EndedByLogout.Born}
		m.rows[id] = row{state.Revision{Number: m.rows[id].rev.Number + 1, Tag: [16]byte{1}}, marker.Plaintext()}
	}
	for _, c := range p.Set {
		if c.Kind == state.Head || f.view.Winner != nil {
			root := c.Root
			if c.Kind != state.Head {
				root = f.view.Winner.Root
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

func (m *model) input(f *request, now int64) *policy.Input {
	c := m.changes(f)
	in := &policy.Input{View: &f.view, Changes: c, Now: now, ID: f.seed, Fresh: m.root(1, f), Lifetime: 24 * hour, Touch: 1 << 40, Idle: 1 << 40,
		Sizer: sizer, Limits: m.limits, Mode: m.mode, Store: m.store, MayTouch: f.op == "touch", Others: policy.Size{Cookies: min(f.others, 1), Request: f.others}}
	if m.lifetime != 0 {
		in.Lifetime = m.lifetime
	}
	if m.idle != 0 {
		in.Idle, in.Touch = m.idle, m.touchAfter(m.idle)
	}
	if c.Begins(&f.view) {
		c.Root = m.root(2, f)
	}
	switch {
	case c.Destroyed:
	case f.view.Head == nil:
		in.Writes = len(c.Ops) > 0 && f.op != "delete"
	default:
		in.Writes = len(c.Ops) > 0 || c.Renewed
	}
	if !in.Writes && !c.Destroyed {
		*c = state.Changes{}
	}
	in.Jar = m.groups(f)
	for i := range 16 {
		in.RowTag[i] = byte(m.r.Uint32())
	}
	return in
}

func (m *model) root(kind byte, f *request) state.Root {
	return state.Root{kind, byte(f.order), byte(f.order >> 8), byte(f.order >> 16)}
}

// groups returns the groups of a request, opened or not.
func (m *model) groups(f *request) (jar []policy.Group) {
	whole := map[string]bool{}
	for _, c := range f.cookies {
		whole[c.Tag] = true
	}
	for tag, pieces := range f.pieces {
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
func (m *model) changes(f *request) *state.Changes {
	c := &state.Changes{}
	switch f.op {
	case "set":
		c.Ops = []state.Op{{Name: f.name, Value: m.value(f.size)}}
	case "short":
		c.Ops = []state.Op{{Name: "token", Value: m.value(600)}}
	case "refresh":
		c.Ops = []state.Op{{Name: "token", Value: m.token()}}
	case "begin":
		for i := range m.entries {
			c.Ops = append(c.Ops, state.Op{Name: m.entryName(i), Value: m.value(m.sizeAtBegin(f, i))})
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
		c.Ops, c.Cleared = []state.Op{{Name: f.name, Value: m.value(f.size)}}, true
	case "login":
		c.Ops, c.Renewed = []state.Op{{Name: f.name, Value: m.value(f.size)}}, true
	case "renew":
		c.Renewed = true
	case "terms":
		c.Renewed = true
		c.Terms = []state.Terms{{Idle: 40 * minute}, {Idle: state.NoIdle}, {Lifetime: 2 * hour}}[m.r.IntN(3)]
	case "delete":
		if e := f.view.Find(f.name); e != nil && e.Live() {
			c.Ops = []state.Op{{Name: f.name}}
		}
	case "logout":
		c.Destroyed = true
	}
	return c
}

func (m *model) sizeAtBegin(f *request, i int) int {
	if m.stable {
		return m.sizes[i%len(m.sizes)]
	}
	return f.size
}

func (m *model) token() []byte { return append(m.value(4), make([]byte, 3400)...) }
