package core

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"slices"
	"sync"
)

// MaxPlaintext is the most that a packed fragment may unpack to, in bytes: what
// the seal takes of one that is not packed.
const MaxPlaintext = 1 << 20

const (
	// packedForm is the first byte of a packed fragment; one that is not packed
	// begins with the head of a map, 0xa5 to 0xb3.
	packedForm = 0x01
	// bucket is what the compressed text is padded to a multiple of, in bytes,
	// so that its length tells less of what is in it.
	bucket = 64
	// maxRatio is how often the compressed text, padding included, may be the
	// text: what a reader spends is bounded by what it was sent.
	maxRatio = 64
)

// Packing says how fragments are packed. It changes their form on the wire
// alone: neither what they say nor their names.
type Packing struct {
	// Compress appends src to dst as raw DEFLATE (RFC 1951).
	Compress func(dst, src []byte) []byte
	// Apart are the names of the entries that are not compressed, so that no
	// length tells what is in them.
	Apart []string
	// Worth tells whether a packed form of that many bytes is to be used in
	// place of a plain one. Where 0 bytes are not worth it none is made.
	Worth func(plain, packed int) bool
}

// Wire is what is sealed of f: packed where p is not nil and says that it is
// worth it. It must not be written to. All calls must give the same p.
func (f *Fragment) Wire(p *Packing) []byte {
	if p == nil {
		return f.Plaintext()
	}
	if f.wire == nil {
		if f.wire = p.pack(f); f.wire == nil {
			f.wire = f.Plaintext()
		}
	}
	return f.wire
}

// WireLen is how long Wire is, or would be.
func (f *Fragment) WireLen(p *Packing) int {
	if p == nil {
		return f.PlaintextLen()
	}
	return len(f.Wire(p))
}

// run is a stretch of a plaintext: bytes that stay as they are, then bytes that
// go into the compressed text.
type run struct{ clear, packed int }

const runBytes = 6 // of a run's two numbers on the wire

// pack returns nil where the plain form is to be used.
func (p *Packing) pack(f *Fragment) []byte {
	plain := f.Plaintext()
	if len(f.Entries) == 0 || len(plain) > MaxPlaintext || !p.Worth(len(plain), 0) {
		return nil
	}
	runs := p.runs(f, len(plain))
	if len(runs) > 1<<16-1 {
		return nil
	}
	out := binary.BigEndian.AppendUint16([]byte{packedForm}, uint16(len(runs)))
	var clear, text []byte
	for _, r := range runs {
		out = appendUint24(appendUint24(out, r.clear), r.packed)
		clear = append(clear, plain[:r.clear]...)
		text = append(text, plain[r.clear:r.clear+r.packed]...)
		plain = plain[r.clear+r.packed:]
	}
	if len(text) == 0 {
		return nil // all of it is kept apart
	}
	out = append(append(out, clear...), padded(p.Compress(nil, text), len(text))...)
	if !p.Worth(len(f.Plaintext()), len(out)) {
		return nil
	}
	return out
}

// runs cuts f's plaintext of n bytes: the entries that are not kept apart go
// into the compressed text. The root never does.
func (p *Packing) runs(f *Fragment, n int) (runs []run) {
	bounds := f.bounds()
	r := run{clear: bounds[0]}
	for i, e := range f.Entries {
		size := bounds[i+1] - bounds[i]
		switch {
		case !slices.Contains(p.Apart, e.Name):
			r.packed += size
		case r.packed == 0:
			r.clear += size
		default:
			runs = append(runs, r)
			r = run{clear: size}
		}
	}
	rest := n - bounds[len(bounds)-1]
	if r.packed == 0 {
		return append(runs, run{clear: r.clear + rest})
	}
	return append(runs, r, run{clear: rest})
}

// bounds are where in f's content the first entry begins and each one ends.
func (f *Fragment) bounds() []int {
	w := contentWriter{f: f, bounds: make([]int, 0, len(f.Entries)+1), b: append(make([]byte, 0, f.PlaintextLen()), 0)}
	w.header()
	w.state()
	return w.bounds
}

// padded appends zeros to the compressed form of a text of n bytes.
func padded(stream []byte, n int) []byte {
	size := max(len(stream), (n+maxRatio-1)/maxRatio)
	size = (size + bucket - 1) / bucket * bucket
	return append(stream, make([]byte, size-len(stream))...)
}

// unpack returns the plaintext of a packed fragment. What it takes is bounded
// by what it was given, and by MaxPlaintext.
func unpack(b []byte) ([]byte, error) {
	if len(b) < 3 || len(b)-3 < runBytes*int(binary.BigEndian.Uint16(b[1:])) {
		return nil, errMalformed
	}
	n := int(binary.BigEndian.Uint16(b[1:]))
	runs, rest := b[3:3+n*runBytes], b[3+n*runBytes:]
	var clear, packed int64 // 65,535 times 2^24 each, at most
	for i := range n {
		r := readRun(runs, i)
		clear, packed = clear+int64(r.clear), packed+int64(r.packed)
	}
	stream := int64(len(rest)) - clear
	if stream < 0 || stream%bucket != 0 || packed > maxRatio*stream || packed == 0 || clear+packed > MaxPlaintext {
		return nil, errMalformed
	}
	in := inflaters.Get().(*inflater)
	defer inflaters.Put(in)
	out, ok := in.join(make([]byte, 0, clear+packed), runs, rest[:clear], rest[clear:])
	if !ok {
		return nil, errMalformed
	}
	return out, nil
}

// inflater reads the compressed text. It is kept for its tables (40 KB).
type inflater struct {
	stream bytes.Reader
	text   io.ReadCloser
}

var inflaters = sync.Pool{New: func() any {
	in := new(inflater)
	in.text = flate.NewReader(&in.stream)
	return in
}}

// join appends all runs to out, which has room for them.
func (in *inflater) join(out, runs, clear, stream []byte) ([]byte, bool) {
	in.stream.Reset(stream)
	defer in.stream.Reset(nil)
	if in.text.(flate.Resetter).Reset(&in.stream, nil) != nil {
		return nil, false
	}
	for i := range len(runs) / runBytes {
		r := readRun(runs, i)
		out = append(out, clear[:r.clear]...)
		clear = clear[r.clear:]
		end := len(out) + r.packed
		if _, err := io.ReadFull(in.text, out[len(out):end]); err != nil {
			return nil, false
		}
		out = out[:end]
	}
	if _, err := io.ReadFull(in.text, make([]byte, 1)); err != io.EOF {
		return nil, false // there is more text than the runs say, or it is cut
	}
	// A bytes.Reader is read byte by byte, so what is left is the padding.
	return out, allZero(stream[len(stream)-in.stream.Len():])
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func readRun(runs []byte, i int) run {
	r := runs[i*runBytes:][:runBytes]
	return run{clear: uint24(r), packed: uint24(r[3:])}
}

func uint24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }

func appendUint24(b []byte, n int) []byte { return append(b, byte(n>>16), byte(n>>8), byte(n)) }
