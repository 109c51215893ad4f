package state

// Map keys of a head and a logout, in the order of the encoding. A field that has
// its default value is left out.
const (
	keyKind = iota + 1
	keyRoot
	keyCreated
	keyEnd
	keyBorn
	keyOrphan
	keyBrowser
	keyTurn
	keyFloor // default: Born
	keySince // default: Born.At
	keySeen  // default: Born.At
	keyIdle
	keySubjects
	keyBound
	keyRow
	keyBack
	keyEntries
)

// tagPacked is the CBOR tag before a byte string that is a packed value.
const tagPacked = 0xc6

// Plaintext returns the encoding of c, as it is sealed. The caller must modify neither
// the result nor c afterwards.
func (c *Cookie) Plaintext() []byte {
	if c.plaintext == nil {
		c.plaintext = c.Append(make([]byte, 0, c.estimatedLen()))
	}
	return c.plaintext
}

// estimatedLen returns an estimate of the plaintext's length. It is usually a little
// too high.
func (c *Cookie) estimatedLen() int {
	n := 112 + len(c.Subjects) + len(c.Entry.Name) + len(c.Entry.Value)
	for i := range c.Entries {
		n += 8 + len(c.Entries[i].Name) + len(c.Entries[i].Value)
	}
	for i := range c.SeenEntries {
		n += 8 + len(c.SeenEntries[i].Name)
	}
	return n
}

// Append appends the encoding of c to b.
func (c *Cookie) Append(b []byte) []byte {
	switch c.Kind {
	case Cell:
		return c.appendCell(b)
	case Seen:
		b = appendItemHead(b, majorArray, 3)
		b = appendUint(b, uint64(Seen))
		b = AppendBytes(b, c.Gen[:])
		return appendTime(b, c.SeenAt)
	}
	w := headWriter{b: append(b, majorMap<<5), at: len(b), c: c}
	w.originFields()
	if c.Kind == Head {
		w.headFields()
	}
	w.b[w.at] |= w.fields // the map's item head is one byte, because there are fewer than 24 fields
	return w.b
}

// appendTime appends a time as six bytes, enough for MaxTime.
func appendTime(b []byte, ms int64) []byte {
	return append(appendItemHead(b, majorBytes, 6), byte(ms>>40), byte(ms>>32), byte(ms>>24), byte(ms>>16), byte(ms>>8), byte(ms))
}

func (c *Cookie) appendCell(b []byte) []byte {
	e := &c.Entry
	b = appendItemHead(b, majorArray, 8)
	b = appendUint(b, uint64(Cell))
	b = AppendBytes(b, c.Gen[:])
	b = appendUint(b, c.Turn)
	b = appendTime(b, e.Stamp.At)
	b = appendUint(b, uint64(e.Stamp.ID))
	b = AppendText(b, e.Name)
	b = appendValue(b, e)
	b = appendItemHead(b, majorArray, uint64(2*len(c.SeenEntries)))
	for _, s := range c.SeenEntries {
		b = AppendText(b, s.Name)
		n := 2 * uint64(e.Stamp.At-s.At) // never negative: the stamp is above all seen entries
		if s.Deleted {
			n++
		}
		b = appendUint(b, n)
	}
	return b
}

// appendValue appends a value, or null for a tombstone.
func appendValue(b []byte, e *Entry) []byte {
	switch {
	case e.Form == Deleted:
		return append(b, simpleNull)
	case e.Packed:
		b = append(b, tagPacked)
	}
	return AppendBytes(b, e.Value)
}

// headWriter encodes a head or a logout.
type headWriter struct {
	b      []byte
	at     int // index in b of the map's item head
	c      *Cookie
	fields byte // number of fields so far
}

func (w *headWriter) key(k uint64) {
	w.fields++
	w.b = appendUint(w.b, k)
}

// offset appends a time relative to Created, which is the earliest time in a head
// or a record.
func (w *headWriter) offset(ms int64) { w.b = appendUint(w.b, uint64(max(ms-w.c.Created, 0))) }

func (w *headWriter) stamp(key uint64, s Stamp) {
	w.key(key)
	w.b = appendItemHead(w.b, majorArray, 2)
	w.offset(s.At)
	w.b = appendUint(w.b, uint64(s.ID))
}

func (w *headWriter) time(key uint64, ms, def int64) {
	if ms != def {
		w.key(key)
		w.offset(ms)
	}
}

func (w *headWriter) flag(key uint64, set bool) {
	if set {
		w.key(key)
		w.b = append(w.b, simpleTrue)
	}
}

func (w *headWriter) number(key, n uint64) {
	if n != 0 {
		w.key(key)
		w.b = appendUint(w.b, n)
	}
}

func (w *headWriter) bytes(key uint64, v []byte) {
	if v != nil {
		w.key(key)
		w.b = AppendBytes(w.b, v)
	}
}

// originFields appends the fields that a head and a logout share.
func (w *headWriter) originFields() {
	c := w.c
	w.number(keyKind, uint64(c.Kind))
	w.bytes(keyRoot, c.Root[:])
	w.key(keyCreated)
	w.b = appendUint(w.b, uint64(c.Created))
	w.key(keyEnd)
	w.offset(c.End)
	w.stamp(keyBorn, c.Born)
	w.flag(keyOrphan, c.Orphan)
}

// headFields appends the fields that only a head has.
func (w *headWriter) headFields() {
	c := w.c
	w.flag(keyBrowser, c.Browser)
	w.number(keyTurn, c.Turn)
	if c.Floor != c.Born {
		w.stamp(keyFloor, c.Floor)
	}
	w.time(keySince, c.Since, c.Born.At)
	w.time(keySeen, c.SeenAt, c.Born.At)
	w.number(keyIdle, uint64(c.Idle))
	if c.Subjects != nil {
		w.key(keySubjects)
		w.b = append(w.b, c.Subjects...)
	}
	w.time(keyBound, c.Bound, 0)
	if c.Stored() {
		w.key(keyRow)
		w.b = appendItemHead(w.b, majorArray, 2)
		w.b = appendUint(w.b, c.Row.Number)
		w.b = AppendBytes(w.b, c.Row.Tag[:])
	}
	w.flag(keyBack, c.Back)
	w.entries()
}

// entries appends each entry's name, and one of: a value whose stamp is the floor,
// the time of a listed entry, or a stamp and a value or null.
func (w *headWriter) entries() {
	if len(w.c.Entries) == 0 {
		return
	}
	w.key(keyEntries)
	w.b = appendItemHead(w.b, majorArray, uint64(2*len(w.c.Entries)))
	for i := range w.c.Entries {
		e := &w.c.Entries[i]
		w.b = AppendText(w.b, e.Name)
		switch {
		case e.Form == Listed:
			w.offset(e.Stamp.At)
		case e.Form == Value && e.Stamp == w.c.Floor:
			w.b = appendValue(w.b, e)
		default:
			w.entry(e)
		}
	}
}

// entry appends a stamp and a value or null. For a copy it also appends Above.
func (w *headWriter) entry(e *Entry) {
	n := uint64(3)
	if e.Copied() {
		n += 2
	}
	w.b = appendItemHead(w.b, majorArray, n)
	w.offset(e.Stamp.At)
	w.b = appendUint(w.b, uint64(e.Stamp.ID))
	w.b = appendValue(w.b, e)
	if e.Copied() {
		w.offset(e.Above.At)
		w.b = appendUint(w.b, uint64(e.Above.ID))
	}
}
