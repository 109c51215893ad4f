package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/carryon-go/carryon/keyring"
)

const (
	// HeaderSize is the length in bytes of the [Header] that every value begins
	// with, in every format.
	HeaderSize = 8
	// MaxOverhead is the most that a format may add to a plaintext, in bytes, so
	// that what is planned for format 1 ([SealedLen]) has room in any.
	MaxOverhead = overhead1
)

// A Format is one way to seal. All have the same header, text form and binding;
// the rest of the value is the format's own. A key of a ring belongs to one
// format for good, and that is what chooses: never the client, and never a guess.
//
// Its type must be comparable, and equal Formats do the same: what they make of a
// key is kept with the key.
type Format interface {
	// Number is the first byte of every value of the format, and what a key of
	// the ring calls its format. 1 is taken, 2 is codec/xchacha, 3 is
	// codec/securecookieformat.
	Number() byte
	// Overhead is how many bytes a value is longer than its plaintext, header
	// included; at most [MaxOverhead].
	Overhead() int
	// Sealer makes the format's Sealer of one key. derive gives n bytes of
	// HKDF-SHA-256 of the key's secret; format and key are in the label beside the
	// purpose, so that no two derived keys are the same. An error says why the
	// format cannot be used in this program.
	Sealer(derive func(purpose string, n int) []byte) (Sealer, error)
}

// A Sealer is a [Format] under one key. It is safe for concurrent use, and keeps
// none of the slices that it is given, nor changes what is in them.
type Sealer interface {
	// Seal appends what follows the header to value, which is the header. Header
	// and ctx, which says what the value is sealed for, are to be authenticated.
	Seal(value, ctx, plaintext []byte) []byte
	// Open appends the plaintext of a value to dst, if header, ctx and value are
	// those of a Seal. The value has the format's overhead at least.
	Open(dst, ctx, value []byte) ([]byte, bool)
}

// Formats are the formats of one program: format 1, and those that it asks for.
// Which of them seals a value is the ring's choice; one that is not among them is
// refused as [UnknownFormat]. nil, like the functions [Seal], [Open] and [Join],
// knows format 1 alone. Formats are safe for concurrent use.
type Formats struct {
	byNumber [256]*entry
}

// An entry is a Format with the slot in which a keyring.Key remembers its Sealer:
// boxed once, not for each value.
type entry struct {
	Format
	slot any
}

type formatSlot struct{ format Format }

func enter(f Format) *entry { return &entry{Format: f, slot: formatSlot{f}} }

var format1Only = &Formats{byNumber: [256]*entry{1: enter(format1{})}}

// NewFormats adds formats to format 1. It fails for one that is nil, has the number
// of another or 0, or adds more than [MaxOverhead] bytes.
func NewFormats(more ...Format) (*Formats, error) {
	all := *format1Only
	for _, f := range more {
		switch {
		case f == nil:
			return nil, errors.New("codec: a Format is nil")
		case !reflect.TypeOf(f).Comparable():
			return nil, fmt.Errorf("codec: a Format has to be comparable, and %T is not: use a pointer", f)
		case f.Number() == 0:
			return nil, fmt.Errorf("codec: %T has the number 0: a format's number is 1 to 255", f)
		case all.byNumber[f.Number()] != nil:
			return nil, fmt.Errorf("codec: format %d is there already: leave out %T", f.Number(), f)
		case f.Overhead() < HeaderSize || f.Overhead() > MaxOverhead:
			return nil, fmt.Errorf("codec: format %d adds %d bytes: a format adds %d to %d", f.Number(), f.Overhead(), HeaderSize, MaxOverhead)
		}
		all.byNumber[f.Number()] = enter(f)
	}
	return &all, nil
}

// Check refuses a ring with a key that seals, or still opens, a format that is
// not among these or cannot be used in this program. The error is a sentence with
// the key's id, and is [UnknownFormat]. Call it with each new ring: what it
// refuses, [Formats.Seal] and [Formats.Open] refuse for every visitor.
func (f *Formats) Check(ring *keyring.Ring, now time.Time) error {
	for _, k := range ring.Keys() {
		if !k.State(now).Opens() {
			continue
		}
		if f.of(k.Format()) == nil {
			return fmt.Errorf("codec: key %s seals format %d, which this program does not have: add the package of the format to its formats, or use a ring without the key (%w)",
				k.ID(), k.Format(), UnknownFormat)
		}
		if _, err := f.sealer(k); err != nil {
			return fmt.Errorf("codec: key %s seals format %d, which cannot be used in this program: use a ring without the key (%w): %w",
				k.ID(), k.Format(), UnknownFormat, err)
		}
	}
	return nil
}

// of returns the format with that number, or nil.
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

// sealer returns the Sealer of a key, whose format is among these.
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

// context is the ctx of SPEC.md, which is not stored: the purpose, which has the
// format's number in it, and the binding.
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
