package core

import "slices"

// Decode scans what [Fragment.AppendPlaintext] writes, or its packed form, and
// accepts nothing else: what it returns encodes to the same plaintext again. The
// fragment keeps parts of plaintext, which must not be written to afterwards.
// Suffix is left empty.
func Decode(plaintext []byte) (*Fragment, error) {
	f := &Fragment{}
	if err := f.Decode(plaintext, Lists{}); err != nil {
		return nil, err
	}
	return f, nil
}

// Lists are memory for what a fragment lists.
type Lists struct {
	Entries []Entry
	Needs   []Need
}

// Decode is the function, into a fragment that is empty. What it lists is put into
// room where that suffices.
func (f *Fragment) Decode(plaintext []byte, room Lists) error {
	if len(plaintext) > 0 && plaintext[0] == packedForm {
		unpacked, err := unpack(plaintext)
		if err != nil {
			return err
		}
		plaintext = unpacked
	}
	r := reader{scanner: scanner{b: plaintext}, f: f, room: room}
	r.content()
	r.f.Seen = r.time()
	if r.left() != 0 || !r.consistent() {
		r.fail()
	}
	return r.err()
}

type reader struct {
	scanner
	f      *Fragment
	room   Lists
	stamps stampTable
	used   int // distinct stamps referred to
	seen   uint64
}

func (r *reader) content() {
	n := r.count(majorMap)
	last := uint64(0)
	for range n {
		key := r.uint(keyMoved)
		if r.bad || key <= last {
			r.fail()
			return
		}
		if last < keyBorn && key != last+1 { // the first five are always there
			r.fail()
			return
		}
		last = key
		r.field(key)
	}
	if last < keyBorn {
		r.fail()
	}
}

func (r *reader) field(key uint64) {
	f := r.f
	switch key {
	case keyKind:
		f.Kind = Kind(r.uint(uint64(Reference)))
	case keyRoot:
		r.fixed(f.Root[:])
	case keyCreated:
		f.Created = int64(r.uint(MaxTime))
	case keyEnd:
		f.End = r.time()
	case keyBorn:
		f.Born = r.stamp()
	case keyFamily:
		r.fixed(f.Family[:])
	case keyOrphan:
		f.Orphan = r.truth()
	case keyBrowser:
		f.Browser = r.truth()
	case keyFloor:
		f.Floor = r.stamp()
	case keyHorizon:
		f.Horizon = r.time()
	default:
		r.laterField(key)
	}
}

func (r *reader) laterField(key uint64) {
	f := r.f
	switch key {
	case keyStamps:
		r.stampTable()
	case keyEntries:
		r.entries()
	case keyNeeds:
		r.needs()
	case keyIdle:
		f.Idle = int64(r.positive(MaxTime))
	case keySubject:
		f.Subject = r.bytes(1024)
	case keyBound:
		f.Bound = r.time()
	case keyNumber:
		f.Number = r.positive(1<<63 - 1)
	case keyETag:
		r.fixed(f.ETag[:])
	case keyMoved:
		f.Moved = r.positive(1<<63 - 1)
	}
}

// positive reads a number that is absent when it is zero.
func (r *reader) positive(most uint64) uint64 {
	n := r.uint(most)
	if n == 0 {
		r.fail()
	}
	return n
}

// fixed reads a byte string of exactly len(dst) that is absent when all zero.
func (r *reader) fixed(dst []byte) {
	v := r.bytes(len(dst))
	if len(v) != len(dst) || allZero(v) {
		r.fail()
		return
	}
	copy(dst, v)
}

func (r *reader) time() int64 { return r.f.Created + int64(r.uint(MaxTime)) }

func (r *reader) stamp() Stamp {
	if r.head(majorArray) != 2 {
		r.fail()
	}
	return r.bareStamp()
}

func (r *reader) bareStamp() Stamp {
	return Stamp{At: r.time(), ID: uint32(r.uint(1<<32 - 1))}
}

// stampTable holds the stamps of a usual session without an allocation.
type stampTable struct {
	first [4]Stamp
	more  []Stamp
	n     int
}

func (t *stampTable) add(s Stamp) {
	if t.n < len(t.first) {
		t.first[t.n] = s
	} else {
		t.more = append(t.more, s)
	}
	t.n++
}

func (t *stampTable) at(i int) Stamp {
	if i < len(t.first) {
		return t.first[i]
	}
	return t.more[i-len(t.first)]
}

func (t *stampTable) equal(all []Stamp) bool {
	return t.n == len(all) && slices.Equal(t.first[:], all[:len(t.first)]) && slices.Equal(t.more, all[len(t.first):])
}

func (r *reader) stampTable() {
	n := r.count(majorArray)
	if n == 0 || n%2 != 0 {
		r.fail()
		return
	}
	for i := 0; i < n && !r.bad; i += 2 {
		s := r.bareStamp()
		if k := r.stamps.n; k > 0 && r.stamps.at(k-1).Compare(s) >= 0 {
			r.fail()
		}
		r.stamps.add(s)
	}
}

// pick reads a reference into the stamp table and notes that it was used.
func (r *reader) pick(i uint64) Stamp {
	if i >= uint64(r.stamps.n) {
		r.fail()
		return Stamp{}
	}
	if i >= 64 || r.seen&(1<<i) == 0 {
		r.used++
	}
	if i < 64 {
		r.seen |= 1 << i
	}
	return r.stamps.at(int(i))
}

func (r *reader) entries() {
	n := r.count(majorArray)
	if n == 0 || n%3 != 0 {
		r.fail()
		return
	}
	// An entry takes at least four bytes, so this is bounded by the input.
	r.f.Entries = roomFor(r.room.Entries, min(n/3, r.left()/4+1))
	last := ""
	for i := 0; i < n && !r.bad; i += 3 {
		e := Entry{Name: r.name(), Stamp: r.pick(r.uint(1 << 32))}
		r.value(&e)
		if e.Name <= last {
			r.fail()
		}
		last = e.Name
		r.f.Entries = append(r.f.Entries, e)
	}
}

func (r *reader) value(e *Entry) {
	switch r.peek() >> 5 {
	case majorBytes:
		e.Value = r.bytes(1 << 24)
	case majorUint:
		if e.Gone = r.time(); e.Gone <= e.Stamp.At {
			r.fail()
		}
	default:
		if r.peek() != simpleNull || r.bad {
			r.fail()
			return
		}
		r.at++
		e.Gone = e.Stamp.At
	}
}

func (r *reader) needs() {
	n := r.count(majorArray)
	if n == 0 || n%2 != 0 {
		r.fail()
		return
	}
	r.f.Needs = roomFor(r.room.Needs, min(n/2, r.left()/3+1))
	last := ""
	for i := 0; i < n && !r.bad; i += 2 {
		name, ref := r.name(), r.uint(1<<32)
		if name <= last {
			r.fail()
		}
		last = name
		r.f.Needs = append(r.f.Needs, Need{Name: name, Stamp: r.pick(ref / 2), Gone: ref%2 == 1})
	}
}

// consistent refuses what the writer would have written otherwise.
func (r *reader) consistent() bool {
	f := r.f
	switch {
	case f.Kind < Data || f.Kind > Reference || f.Created == 0:
		return false
	case f.Kind != Data && len(f.Entries)+len(f.Needs) != 0:
		return false
	case r.stamps.n <= 64 && r.used != r.stamps.n:
		return false
	case r.stamps.n > 64 && !r.stamps.equal(f.stamps(nil)):
		return false
	}
	return true
}
