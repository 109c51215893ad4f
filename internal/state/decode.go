package state

// Decode decodes the output of [Cookie.Append] and rejects everything else. The
// result shares memory with plaintext, which must not be modified afterwards. Its
// tag is empty.
func Decode(plaintext []byte) (*Cookie, error) {
	c := &Cookie{}
	if err := c.Decode(plaintext, nil); err != nil {
		return nil, err
	}
	return c, nil
}

// Decode decodes plaintext into c, which must be empty, like the function Decode.
// The entries are stored in scratch if its capacity suffices.
func (c *Cookie) Decode(plaintext []byte, scratch []Entry) error {
	r := reader{scanner: scanner{b: plaintext}, c: c, scratch: scratch}
	if r.peek()>>5 == majorMap {
		r.head()
	} else {
		r.cellOrSeen()
	}
	if r.left() != 0 {
		r.fail()
	}
	return r.err()
}

// reader decodes one content into c.
type reader struct {
	scanner
	c       *Cookie
	scratch []Entry
}

// cellOrSeen reads a cell or a seen cookie.
func (r *reader) cellOrSeen() {
	c := r.c
	n := r.itemHead(majorArray)
	c.Kind = Kind(r.uint(uint64(Seen)))
	r.fixed(c.Gen[:])
	switch {
	case c.Kind == Cell && n == 8:
		r.cell()
	case c.Kind == Seen && n == 3:
		c.SeenAt = r.time()
	default:
		r.fail()
	}
}

func (r *reader) cell() {
	c := r.c
	c.Turn = r.uint(1<<63 - 1)
	c.Entry.Stamp = Stamp{At: r.time(), ID: uint32(r.uint(1<<32 - 1))}
	c.Entry.Name = r.name()
	r.value(&c.Entry)
	n := r.count(majorArray)
	if n%2 != 0 {
		r.fail()
	}
	// Each item takes at least three bytes, so the input bounds the allocation.
	if n > 0 && !r.bad {
		c.SeenEntries = make([]SeenEntry, 0, min(n/2, r.left()/3+1))
	}
	last := ""
	for i := 0; i < n && !r.bad; i += 2 {
		s := SeenEntry{Name: r.name()}
		back := r.uint(2*MaxTime + 1)
		s.At, s.Deleted = c.Entry.Stamp.At-int64(back/2), back%2 == 1
		if s.Name <= last || s.At < 0 {
			r.fail()
		}
		last = s.Name
		c.SeenEntries = append(c.SeenEntries, s)
	}
}

// time reads a time of six bytes.
func (r *reader) time() (ms int64) {
	var b [6]byte
	r.fixed(b[:])
	for _, x := range b {
		ms = ms<<8 | int64(x)
	}
	return ms
}

// value reads a value, or null for a tombstone.
func (r *reader) value(e *Entry) {
	switch first := r.peek(); {
	case first == simpleNull && !r.bad:
		r.at++
		e.Form = Deleted
	case first == tagPacked:
		r.at++
		e.Packed, e.Value = true, r.bytes(1<<24)
		if n, ok := unpackedLen(e.Value); !ok || n <= len(e.Value) {
			r.fail()
		}
	default:
		e.Value = r.bytes(1 << 24)
	}
}

// head reads a head, a record or a logout.
func (r *reader) head() {
	n := r.count(majorMap)
	last := uint64(0)
	c := r.c
	for range n {
		key := r.uint(keyEntries)
		if r.bad || key <= last || last < keyBorn && key != last+1 { // the first five are always there
			r.fail()
			return
		}
		last = key
		if key <= keyOrphan {
			r.originField(key)
		} else {
			r.headField(key)
		}
	}
	if last < keyBorn || c.Kind != Head && c.Kind != Logout || c.Created == 0 || c.Kind == Logout && last > keyOrphan {
		r.fail()
	}
	if c.Kind == Logout {
		c.Floor, c.Since, c.SeenAt = Stamp{}, 0, 0
	}
}

// originField reads a field that a head and a logout share.
func (r *reader) originField(key uint64) {
	c := r.c
	switch key {
	case keyKind:
		c.Kind = Kind(r.uint(uint64(Logout)))
	case keyRoot:
		r.fixed(c.Root[:])
	case keyCreated:
		c.Created = int64(r.uint(MaxTime))
	case keyEnd:
		c.End = r.offset()
	case keyBorn:
		c.Born = r.stamp()
		c.Floor, c.Since, c.SeenAt = c.Born, c.Born.At, c.Born.At // defaults of later fields
	case keyOrphan:
		c.Orphan = r.flag()
	}
}

// headField reads a field that only a head has.
func (r *reader) headField(key uint64) {
	c := r.c
	switch key {
	case keyBrowser:
		c.Browser = r.flag()
	case keyTurn:
		c.Turn = r.positive(1<<63 - 1)
	case keyFloor:
		if c.Floor = r.stamp(); c.Floor == c.Born {
			r.fail()
		}
	case keySince:
		c.Since = r.nonDefaultOffset(c.Born.At)
	case keySeen:
		c.SeenAt = r.nonDefaultOffset(c.Born.At)
	case keyIdle:
		c.Idle = int64(r.positive(MaxTime))
	case keySubjects:
		c.Subjects = r.subjects()
	case keyBound:
		c.Bound = r.offset()
	case keyRow:
		if r.itemHead(majorArray) != 2 {
			r.fail()
		}
		c.Row.Number = r.positive(1<<63 - 1)
		r.fixed(c.Row.Tag[:])
	case keyBack:
		c.Back = r.flag()
	case keyEntries:
		r.entries()
	}
}

// positive reads a number that is not zero, because zero is left out.
func (r *reader) positive(most uint64) uint64 {
	n := r.uint(most)
	if n == 0 {
		r.fail()
	}
	return n
}

// fixed reads a byte string of exactly len(dst) bytes.
func (r *reader) fixed(dst []byte) {
	v := r.bytes(len(dst))
	if len(v) != len(dst) {
		r.fail()
		return
	}
	copy(dst, v)
}

func (r *reader) offset() int64 { return r.c.Created + int64(r.uint(MaxTime)) }

// nonDefaultOffset reads a time that differs from def, because the default is left
// out.
func (r *reader) nonDefaultOffset(def int64) int64 {
	at := r.offset()
	if at == def {
		r.fail()
	}
	return at
}

func (r *reader) stamp() Stamp {
	if r.itemHead(majorArray) != 2 {
		r.fail()
	}
	return r.bareStamp()
}

func (r *reader) bareStamp() Stamp { return Stamp{At: r.offset(), ID: uint32(r.uint(1<<32 - 1))} }

func (r *reader) entries() {
	n := r.count(majorArray)
	if n == 0 || n%2 != 0 {
		r.fail()
		return
	}
	// Each entry takes at least three bytes, so the input bounds the allocation.
	r.c.Entries = scratchFor(r.scratch, min(n/2, r.left()/3+1))
	last := ""
	for i := 0; i < n && !r.bad; i += 2 {
		e := Entry{Name: r.name()}
		r.entry(&e)
		if e.Name <= last {
			r.fail()
		}
		last = e.Name
		r.c.Entries = append(r.c.Entries, e)
	}
}

func (r *reader) entry(e *Entry) {
	switch r.peek() >> 5 {
	case majorUint:
		e.Form, e.Stamp.At = Listed, r.offset()
	case majorArray:
		n := r.itemHead(majorArray)
		e.Stamp = r.bareStamp()
		r.value(e)
		if e.Form == Value && e.Stamp == r.c.Floor || n != 3 && n != 5 {
			r.fail()
		}
		if n == 5 {
			e.Above = r.bareStamp()
		}
	default:
		e.Stamp = r.c.Floor
		r.value(e)
		if e.Form == Deleted {
			r.fail()
		}
	}
}

// scratchFor returns an empty slice with a capacity of at least n: scratch if that
// suffices, else a new one.
func scratchFor[T any](scratch []T, n int) []T {
	if scratch == nil || n > cap(scratch) {
		return make([]T, 0, n)
	}
	return scratch[:0]
}
