package core

import (
	"slices"
)

// The keys of the content map, ascending on the wire; a field that has its
// default is absent.
const (
	keyKind = iota + 1
	keyRoot
	keyCreated
	keyEnd
	keyBorn
	keyFamily
	keyOrphan
	keyBrowser
	keyFloor
	keyHorizon
	keyStamps
	keyEntries
	keyNeeds
	keyIdle
	keySubject
	keyBound
	keyNumber
	keyETag
	keyMoved
)

// LeastData is how long a plaintext with entries is at least, beside their names
// and values: kind, root, four times and the stamps.
const LeastData = 36

// AppendContent appends the part of f that its name follows from. Times are
// offsets from Created, which every other time of a session is at or after.
func (f *Fragment) AppendContent(b []byte) []byte {
	w := contentWriter{b: append(b, majorMap<<5), at: len(b), f: f}
	w.header()
	w.state()
	w.extras()
	// Fewer than 24 fields: the map's head is one byte, set last.
	w.b[w.at] |= w.fields
	return w.b
}

// AppendPlaintext appends what is sealed: the content, then the last-seen time.
func (f *Fragment) AppendPlaintext(b []byte) []byte {
	return f.appendSeen(f.AppendContent(b))
}

// small is up to which weight a fragment is written for its length's sake: most that
// are weighed are sent, and counting takes as long as copying so little.
const small = 2 << 10

// PlaintextLen is how long Plaintext is, or would be: of several drafts that are
// weighed one is sent, and large values need not be copied for the others.
func (f *Fragment) PlaintextLen() int {
	switch {
	case f.plain != nil || f.plainLen == 0 && f.Weight() <= small:
		return len(f.Plaintext())
	case f.plainLen == 0:
		w := contentWriter{b: append(make([]byte, 0, 48), majorMap<<5), f: f, counts: true}
		w.header()
		w.state()
		w.extras()
		f.plainLen = len(f.appendSeen(w.b)) + w.left
	}
	return f.plainLen
}

func (f *Fragment) appendSeen(b []byte) []byte {
	return appendUint(b, uint64(max(f.Seen-f.Created, 0)))
}

type contentWriter struct {
	b      []byte
	at     int
	f      *Fragment
	fields byte
	bounds []int // with room for them: where the first entry begins and each ends
	counts bool  // it is only to be known how much is written:
	left   int   // so many bytes, and those that are in b
}

// count empties b where its bytes are only counted.
func (w *contentWriter) count() {
	if w.counts {
		w.b, w.left = w.b[:0], w.left+len(w.b)
	}
}

func (w *contentWriter) name(s string) {
	if w.counts {
		w.count()
		w.b, w.left = appendHead(w.b, majorText, uint64(len(s))), w.left+len(s)
		return
	}
	w.b = AppendText(w.b, s)
}

func (w *contentWriter) value(v []byte) {
	if w.counts {
		w.b, w.left = appendHead(w.b, majorBytes, uint64(len(v))), w.left+len(v)
		return
	}
	w.b = AppendBytes(w.b, v)
}

func (w *contentWriter) key(k uint64) {
	w.count()
	w.fields++
	w.b = appendUint(w.b, k)
}

func (w *contentWriter) offset(ms int64) { w.b = appendUint(w.b, uint64(ms-w.f.Created)) }

func (w *contentWriter) stamp(key uint64, s Stamp) {
	w.key(key)
	w.b = appendHead(w.b, majorArray, 2)
	w.offset(s.At)
	w.b = appendUint(w.b, uint64(s.ID))
}

func (w *contentWriter) flag(key uint64, set bool) {
	if set {
		w.key(key)
		w.b = append(w.b, simpleTrue)
	}
}

func (w *contentWriter) number(key, n uint64) {
	if n != 0 {
		w.key(key)
		w.b = appendUint(w.b, n)
	}
}

func (w *contentWriter) bytes(key uint64, v []byte) {
	w.key(key)
	w.b = AppendBytes(w.b, v)
}

func (w *contentWriter) header() {
	f := w.f
	w.number(keyKind, uint64(f.Kind))
	w.bytes(keyRoot, f.Root[:])
	w.key(keyCreated)
	w.b = appendUint(w.b, uint64(f.Created))
	w.key(keyEnd)
	w.offset(f.End)
	w.stamp(keyBorn, f.Born)
	if f.Family != (Family{}) {
		w.bytes(keyFamily, f.Family[:])
	}
	w.flag(keyOrphan, f.Orphan)
	w.flag(keyBrowser, f.Browser)
}

func (w *contentWriter) state() {
	f := w.f
	if !f.Floor.IsZero() {
		w.stamp(keyFloor, f.Floor)
	}
	if f.Horizon != 0 {
		w.key(keyHorizon)
		w.offset(f.Horizon)
	}
	var room [8]Stamp
	stamps := f.stamps(room[:0])
	if len(stamps) > 0 {
		w.key(keyStamps)
		w.b = appendHead(w.b, majorArray, uint64(2*len(stamps)))
		for _, s := range stamps {
			w.count()
			w.offset(s.At)
			w.b = appendUint(w.b, uint64(s.ID))
		}
	}
	w.entries(stamps)
	w.needs(stamps)
}

func (w *contentWriter) entries(stamps []Stamp) {
	if len(w.f.Entries) == 0 {
		return
	}
	w.key(keyEntries)
	w.b = appendHead(w.b, majorArray, uint64(3*len(w.f.Entries)))
	w.bound()
	for _, e := range w.f.Entries {
		w.name(e.Name)
		w.b = appendUint(w.b, index(stamps, e.Stamp))
		switch {
		case !e.Dead():
			w.value(e.Value)
		case e.Gone == e.Stamp.At:
			w.b = append(w.b, simpleNull)
		default: // of a popped value, whose stamp it bears, or told of again
			w.offset(e.Gone)
		}
		w.bound()
	}
}

// bound notes how far the content has come, where anybody wants to know.
func (w *contentWriter) bound() {
	if w.bounds != nil {
		w.bounds = append(w.bounds, len(w.b))
	}
}

func (w *contentWriter) needs(stamps []Stamp) {
	if len(w.f.Needs) == 0 {
		return
	}
	w.key(keyNeeds)
	w.b = appendHead(w.b, majorArray, uint64(2*len(w.f.Needs)))
	for _, n := range w.f.Needs {
		w.name(n.Name)
		ref := 2 * index(stamps, n.Stamp)
		if n.Gone {
			ref++
		}
		w.b = appendUint(w.b, ref)
	}
}

func (w *contentWriter) extras() {
	f := w.f
	w.number(keyIdle, uint64(f.Idle))
	if f.Subject != nil {
		w.bytes(keySubject, f.Subject)
	}
	if f.Bound != 0 {
		w.key(keyBound)
		w.offset(f.Bound)
	}
	w.number(keyNumber, f.Number)
	if f.ETag != ([16]byte{}) {
		w.bytes(keyETag, f.ETag[:])
	}
	w.number(keyMoved, f.Moved)
}

func index(stamps []Stamp, s Stamp) uint64 {
	i, _ := slices.BinarySearchFunc(stamps, s, Stamp.Compare)
	return uint64(i)
}
