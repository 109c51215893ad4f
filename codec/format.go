package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/reason"
)

const (
	// HeaderSize is the length in bytes of the [Header], with which every
	// value of every format begins.
	HeaderSize = 8
	// MaxOverhead is the maximum number of bytes that a format may add to a
	// plaintext. It is that of format 1, so a size computed with [SealedLen]
	// suffices for all formats.
	MaxOverhead = overhead1
)

// A Format is one way to seal. All formats share the header, text form and
// binding; the rest of the value depends on the format. Each key of a ring
// belongs to one format permanently. The key determines the format, never the
// client or a guess.
//
// The type of a Format must be comparable. Equal Formats must behave equally,
// because a key caches the Sealer of a Format.
type Format interface {
	// Number is the first byte of every value of the format, and the format
	// number in the key ring. 1 is built in, 2 is codec/xchacha, 3 is
	// codec/securecookieformat.
	Number() byte
	// Overhead is the length of a value minus the length of its plaintext, in
	// bytes, including the header. The maximum is [MaxOverhead].
	Overhead() int
	// Sealer returns the format's Sealer for one key. derive returns n bytes
	// of HKDF-SHA-256 of the key's secret. Its label includes the format and
	// the key as well as the purpose, so no two derived keys are equal. An
	// error means that the format cannot be used in this program.
	Sealer(derive func(purpose string, n int) []byte) (Sealer, error)
}

// A Sealer seals and opens under one key. It must be safe for concurrent use,
// and must not keep or modify its arguments.
type Sealer interface {
	// Seal appends the sealed data to value, which contains the header. It
	// must authenticate the header and ctx, the binding of the value.
	Seal(value, ctx, plaintext []byte) []byte
	// Open decrypts value and appends the plaintext to dst, if header, ctx and
	// data match those of a Seal. The value is at least Overhead bytes long.
	Open(dst, ctx, value []byte) ([]byte, bool)
}

// Formats is the set of formats of a program: format 1 and opt-in formats. The
// ring's key selects the one that seals a value. A format that is not in the
// set is refused as [reason.UnknownFormat]. A nil *Formats contains only format 1,
// like the functions [Seal], [Open] and [Join]. Formats are safe for
// concurrent use.
type Formats struct {
	byNumber [256]*entry
}

// An entry is a Format and the slot under which a keyring.Key caches its
// Sealer. The slot is boxed once, not for each value.
type entry struct {
	Format
	slot any
}

type formatSlot struct{ format Format }

func enter(f Format) *entry { return &entry{Format: f, slot: formatSlot{f}} }

var format1Only = &Formats{byNumber: [256]*entry{1: enter(format1{})}}

// NewFormats returns format 1 plus the given formats. It fails for a nil
// format, a number that is 0 or already used, and an overhead above
// [MaxOverhead].
func NewFormats(more ...Format) (*Formats, error) {
	all := *format1Only
	for _, f := range more {
		switch {
		case f == nil:
			return nil, errors.New("codec: a Format is nil")
		case !reflect.TypeOf(f).Comparable():
			return nil, fmt.Errorf("codec: a Format must be comparable, and %T is not: use a pointer", f)
		case f.Number() == 0:
			return nil, fmt.Errorf("codec: %T has the number 0: a format's number is 1 to 255", f)
		case all.byNumber[f.Number()] != nil:
			return nil, fmt.Errorf("codec: format %d is already in the set: leave out %T", f.Number(), f)
		case f.Overhead() < HeaderSize || f.Overhead() > MaxOverhead:
			return nil, fmt.Errorf("codec: format %d adds %d bytes: a format adds %d to %d", f.Number(), f.Overhead(), HeaderSize, MaxOverhead)
		}
		all.byNumber[f.Number()] = enter(f)
	}
	return &all, nil
}

// Check returns an error if a key of the ring seals or opens a format that f
// does not contain or that cannot be used in this program. The error names the
// key's id and wraps [reason.UnknownFormat]. Call Check with each new ring, because
// [Formats.Seal] and [Formats.Open] would fail for every visitor with such a
// key.
func (f *Formats) Check(ring *keyring.Ring, now time.Time) error {
	for _, k := range ring.Keys() {
		if !k.State(now).Opens() {
			continue
		}
		if f.of(k.Format()) == nil {
			return fmt.Errorf("codec: key %s seals format %d, which this program does not have: add the package of the format to its formats, or use a ring without the key (%w)",
				k.ID(), k.Format(), reason.UnknownFormat)
		}
		if _, err := f.sealer(k); err != nil {
			return fmt.Errorf("codec: key %s seals format %d, which cannot be used in this program: use a ring without the key (%w): %w",
				k.ID(), k.Format(), reason.UnknownFormat, err)
		}
	}
	return nil
}

// of returns the format with the given number, or nil.
func (f *Formats) of(number byte) *entry {
	if f == nil {
		f = format1Only
	}
	return f.byNumber[number]
}

type keyed struct {
	sealer Sealer
	err    error
}

// sealer returns the Sealer of a key whose format is in f.
func (f *Formats) sealer(key *keyring.Key) (Sealer, error) {
	format := f.of(key.Format())
	k := key.Derived(format.slot, func(derive func([]byte, string, int) []byte) any {
		id := key.ID()
		prefix := "carryon/" + strconv.Itoa(int(format.Number())) + " "
		sealer, err := format.Sealer(func(purpose string, n int) []byte {
			return derive(nil, prefix+purpose+string(id[:]), n)
		})
		return keyed{sealer, err}
	}).(keyed)
	return k.sealer, k.err
}

// context returns the ctx of SPEC.md, which is not stored. It contains the
// purpose with the format's number, and the binding.
func (b Binding) context(dst []byte, format byte) []byte {
	dst = strconv.AppendUint(append(dst, "carryon/"...), uint64(format), 10)
	dst = append(dst, " cookie"...)
	dst = appendPrefixed(dst, b.Audience)
	dst = appendPrefixed(dst, b.Base)
	return appendPrefixed(dst, b.Suffix)
}

func appendPrefixed(dst []byte, x string) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(x))), x...)
}
