package policy_test

import (
	"fmt"

	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
)

// write is one response's write of an entry, or of a whole session.
type write struct {
	val           int // 0: deleted
	built, landed int64
	excused       bool // it overlapped a whole write, so it may be lost
}

// observation is an entry as the writer of a cookie saw it.
type observation struct {
	at  int64
	val int // 0: deleted
}

// activity is a response that set the last-seen time.
type activity struct{ decided, landed int64 }

// renewal says which generation a new one replaced, and when that was decided.
type renewal struct {
	replaced state.Root
	decided  int64
}

// oracle records when each response landed. The model's checks compare this with
// "The guarantee" of SPEC.md.
type oracle struct {
	writes       map[state.Root]map[string][]write
	wholes       map[state.Root][]write
	deleting     map[string]int                    // by entry: deletions that were saved in a record and have not landed
	observations map[string]map[string]observation // by the encoding of a cell or a head, then by entry
	ended        map[state.Root]int64              // landing of a renewal or logout that had seen the generation
	activities   map[state.Root][]activity         // responses that set the last-seen time
	lastDecided  map[state.Root]int64              // when the generation's last request was decided

	written  map[state.Root]int64      // landing of the login or the first write
	orphans  map[state.Root]bool       // generations of first requests
	logouts  map[state.Root][]activity // by the generation that they ended
	renewals map[state.Root]renewal    // by the new generation

	lastBegin, lastLogout int64 // times of landing
}

func newOracle() oracle {
	return oracle{writes: map[state.Root]map[string][]write{}, wholes: map[state.Root][]write{}, deleting: map[string]int{},
		observations: map[string]map[string]observation{}, ended: map[state.Root]int64{}, written: map[state.Root]int64{},
		orphans: map[state.Root]bool{}, logouts: map[state.Root][]activity{}, renewals: map[state.Root]renewal{}, activities: map[state.Root][]activity{}, lastDecided: map[state.Root]int64{}}
}

func overlap(a, b write) bool { return a.built <= b.landed && b.built <= a.landed }

func (o *oracle) addWrite(root state.Root, name string, w write) {
	for _, c := range o.wholes[root] {
		w.excused = w.excused || overlap(c, w)
	}
	if o.writes[root] == nil {
		o.writes[root] = map[string][]write{}
	}
	o.writes[root][name] = append(o.writes[root][name], w)
}

// addWhole adds a whole write, and excuses the writes that it overlaps.
func (o *oracle) addWhole(root state.Root, c write) {
	o.wholes[root] = append(o.wholes[root], c)
	for _, writes := range o.writes[root] {
		for i := range writes {
			writes[i].excused = writes[i].excused || overlap(c, writes[i])
		}
	}
}

// excuseAll excuses all writes so far, after a replica has expired cookies that it
// could not open. A response in flight can then set the head again without the later
// writes.
func (o *oracle) excuseAll() {
	clear(o.ended)
	clear(o.written)
	clear(o.renewals)
	for _, entries := range o.writes {
		for _, writes := range entries {
			for i := range writes {
				writes[i].excused = true
			}
		}
	}
}

// observe records the entries that the writer of a cookie saw.
func (o *oracle) observe(c *state.Cookie, v *state.View) {
	if c.Kind != state.Cell && (c.Kind != state.Head || v.Winner == nil || c.Turn <= v.Winner.Turn) {
		return // a head that is set again in its turn does not depend on its writer's view
	}
	saw := map[string]observation{}
	if v.Winner != nil && (c.Kind == state.Cell || c.Root == v.Winner.Root) {
		for i := range v.Entries {
			if e := &v.Entries[i]; c.Kind == state.Head || e.Name != c.Entry.Name {
				saw[e.Name] = observation{e.Stamp.At, valueOf(e)}
			}
		}
	}
	o.observations[string(c.Plaintext())] = saw
}

// deletes returns the name of the entry that a request deletes, or "*" for all.
func (req *request) deletes() string {
	switch req.op {
	case "delete":
		return req.name
	case "clear":
		return "*"
	}
	return ""
}

// note records in the oracle that a response landed.
func (m *model) note(req *request) {
	p, v, o := &req.plan, &req.view, &m.oracle
	if name := req.deletes(); p.Record != nil && name != "" {
		o.deleting[name]--
	}
	var head *state.Cookie
	for _, c := range p.Set {
		if c.Kind == state.Head {
			head = c
		}
	}
	begins := head != nil && (v.Head == nil || head.Root != v.Head.Root)
	if len(p.Set) > 0 && req.op != "logout" {
		root := v.Winner
		if head != nil {
			root = head
		}
		o.activities[root.Root] = append(o.activities[root.Root], activity{req.decided, m.now})
	}
	if head != nil && !begins && p.Record == nil {
		o.noteWritten(head.Root, m.now)
	}
	if !p.Changes {
		return
	}
	if (begins || req.op == "logout") && v.Winner != nil {
		for _, c := range v.Cookies {
			if _, ok := o.ended[c.Root]; !ok && (c.Kind == state.Head || c.Kind == state.Logout) {
				o.ended[c.Root] = m.now
			}
		}
	}
	if v.Unopened > 0 && (begins || req.op == "logout") {
		o.excuseAll()
	}
	m.noteGenerations(req, head, begins)
	if begins {
		o.lastBegin = m.now
	} else if req.op == "logout" {
		o.lastLogout = m.now
		return
	}
	m.noteWrites(req, head, begins)
}

// noteGenerations records which generations a response begins and ends.
func (m *model) noteGenerations(req *request, head *state.Cookie, begins bool) {
	winner, o := req.view.Winner, &m.oracle
	switch {
	case begins && winner == nil && (req.op == "set" || req.op == "clear") && len(req.cookies) == 0:
		o.orphans[head.Root] = true
	case begins && winner == nil:
		o.written[head.Root] = m.now
	case winner == nil || winner.Kind != state.Head:
	case begins:
		o.renewals[head.Root] = renewal{winner.Root, req.decided}
	case req.op == "logout":
		o.logouts[winner.Root] = append(o.logouts[winner.Root], activity{req.decided, m.now})
	}
}

// noteWrites records which entries a response writes.
func (m *model) noteWrites(req *request, head *state.Cookie, begins bool) {
	p, v, o := &req.plan, &req.view, &m.oracle
	if !begins {
		o.noteWritten(v.Winner.Root, m.now)
	}
	w := write{built: req.built, landed: m.now}
	wrote := map[string]int{}
	for _, c := range p.Set {
		if c.Kind == state.Cell {
			wrote[c.Entry.Name] = valueOf(&c.Entry)
		}
	}
	root := v.Winner
	if head != nil {
		root = head
		from := head.Entries
		if p.Record != nil {
			from = p.Record.Entries
		}
		if !begins && (p.Whole || p.Record != nil) {
			wrote[req.name] = 0
		}
		for _, e := range from {
			if begins || wrote[req.name] == 0 && e.Name == req.name && (p.Whole || p.Record != nil) {
				wrote[e.Name] = valueOf(&e)
			}
		}
	}
	if req.op == "clear" && !begins {
		for i := range m.entries {
			if name := m.entryName(i); name != req.name {
				wrote[name] = 0
			}
		}
		for _, e := range root.Entries {
			wrote[e.Name] = valueOf(&e)
		}
	}
	if p.Whole {
		o.addWhole(root.Root, w)
	}
	for name, val := range wrote {
		w.val = val
		o.addWrite(root.Root, name, w)
	}
}

// noteWritten records when a generation was first written to.
func (o *oracle) noteWritten(root state.Root, now int64) {
	if _, ok := o.written[root]; !ok {
		o.written[root] = now
	}
}

func valueOf(e *state.Entry) int {
	if e.Form != state.Value {
		return 0
	}
	v := e.CBOR()
	return int(v[1])<<16 | int(v[2])<<8 | int(v[3])
}

// check returns an error if a request's view breaks the guarantee.
func (m *model) check(req *request, now int64) error {
	v, o := &req.view, &m.oracle
	m.stats["checks"]++
	if v.Unopened > 0 {
		m.stats["unopened"]++
		return nil // this replica does not see the session
	}
	if m.evict > 0 {
		return m.checkAfterEviction(req)
	}
	if err := m.checkTime(req, now); err != nil {
		return err
	}
	if v.Verdict == reason.Torn || v.Verdict == reason.RecordMissing {
		return fmt.Errorf("verdict %d: %s", v.Verdict, v.Reason())
	}
	if v.Verdict != reason.None {
		return m.checkAbsent(req)
	}
	if err := m.checkGeneration(req, v.Winner.Root); err != nil {
		return err
	}
	for name := range o.writes[v.Winner.Root] {
		if err := m.checkEntry(req, name, o.writes[v.Winner.Root][name]); err != nil {
			return err
		}
	}
	return nil
}

// checkAbsent returns an error if a session should show.
func (m *model) checkAbsent(req *request) error {
	v, o := &req.view, &m.oracle
	if o.lastLogout == 0 && o.lastBegin > 0 && o.lastBegin < req.built &&
		v.Verdict != reason.ExpiredIdle && v.Verdict != reason.Expired && (v.Verdict != reason.LoggedOut || !m.store) {
		return fmt.Errorf("a session that had begun does not show: %s", v.Reason())
	}
	if m.idle == 0 && !m.store && o.lastBegin > o.lastLogout+state.Window && o.lastBegin < req.built && !m.logoutInFlight() {
		return fmt.Errorf("a session that began after the last logout does not show: %s", v.Reason())
	}
	return nil
}

// checkGeneration returns an error if another generation should show.
func (m *model) checkGeneration(req *request, root state.Root) error {
	o := &m.oracle
	if b, ok := o.renewals[root]; ok && len(o.logouts[b.replaced]) == 1 { // with several logouts, the last to land counts
		for _, u := range o.logouts[b.replaced] {
			if u.landed < req.built && u.decided > b.decided+2*m.skew+second {
				return fmt.Errorf("a renewed session shows although a later logout of its predecessor had landed")
			}
		}
	}
	if _, ok := o.written[root]; o.orphans[root] && !ok {
		for other, at := range o.written {
			if _, ended := o.ended[other]; !ended && at < req.built {
				return fmt.Errorf("an orphan shows in place of a session that had been written to")
			}
		}
	}
	if at, ok := o.ended[root]; ok && at < req.built {
		return fmt.Errorf("a generation shows although a renewal or logout that had seen it has landed")
	}
	return nil
}

func (m *model) logoutInFlight() bool {
	for _, req := range m.queue {
		if req.op == "logout" {
			return true
		}
	}
	return false
}

// checkEntry returns an error if a view shows a value that it must not show.
func (m *model) checkEntry(req *request, name string, writes []write) error {
	shown := 0
	if e := req.view.Find(name); e != nil {
		shown = valueOf(e)
	}
	ok := func(w write) bool { // no write that had seen w has landed with another value
		for _, x := range writes {
			if x.landed < req.built && x.built > w.landed && x.val != w.val && !x.excused {
				return false
			}
		}
		return true
	}
	known := false
	for _, w := range writes {
		if w.val == shown {
			if known = true; ok(w) {
				return nil
			}
		}
	}
	if shown == 0 && (ok(write{}) || m.oracle.deleting[name]+m.oracle.deleting["*"] > 0) {
		return nil
	}
	if shown != 0 && !known {
		return nil // the value is in a record, and its response has not landed yet
	}
	return fmt.Errorf("%s shows %d, but a later write of another value has landed", name, shown)
}

// checkTime returns an error if a session shows too long or is idle too early.
func (m *model) checkTime(req *request, now int64) error {
	v := &req.view
	if v.Winner == nil || v.Winner.Kind != state.Head || m.idle == 0 {
		return nil
	}
	root := v.Winner.Root
	idle := m.idle
	if v.Winner.Idle != 0 {
		idle = v.Winner.Idle
	}
	switch v.Verdict {
	case reason.None:
		if v.Winner.End <= now {
			return fmt.Errorf("a session shows after its end")
		}
		if at := m.oracle.lastDecided[root]; at > 0 && now-at > idle+2*m.skew {
			return fmt.Errorf("a session shows although it was not used for %d minutes", (now-at)/minute)
		}
	case reason.ExpiredIdle:
		at := int64(0)
		for _, u := range m.oracle.activities[root] {
			if u.landed < req.built {
				at = max(at, u.decided)
			}
		}
		if at > 0 && now-at < idle-m.touchAfter(idle)-state.Slack {
			return fmt.Errorf("a session is idle although it was used %d minutes ago", (now-at)/minute)
		}
	}
	return nil
}

// touchAfter returns the age at which a touch renews the last-seen time.
func (m *model) touchAfter(idle int64) int64 {
	if idle == m.idle {
		return min(idle/12, 2*minute)
	}
	return idle / 2
}

// checkAfterEviction checks a jar that has lost cookies. If the writer of a shown
// value had seen another entry, that entry must not show older by more than Slack.
func (m *model) checkAfterEviction(req *request) error {
	v := &req.view
	if v.Verdict != reason.None {
		m.stats["torn"]++
		return nil
	}
	if err := m.checkObservations(v, v.Winner); err != nil {
		return err
	}
	for i := range v.Entries {
		if c := v.Entries[i].From; c != nil && c.Entry.Live() {
			if err := m.checkObservations(v, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *model) checkObservations(v *state.View, writer *state.Cookie) error {
	for name, saw := range m.oracle.observations[m.contentOf(writer)] {
		have, shown := v.Find(name), 0
		if have != nil {
			shown = valueOf(have)
		}
		switch {
		case shown == saw.val, have != nil && have.Stamp.At >= saw.at-state.Slack:
		case have == nil && v.Floor().At >= saw.at-state.Slack: // deleted, and the floor is above the deletion
		default:
			return fmt.Errorf("%s shows an older value than the writer of %s had seen", name, describe(writer))
		}
	}
	return nil
}
