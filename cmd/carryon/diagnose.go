package main

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// diagnose returns a CBOR item in the diagnostic notation of RFC 8949, section
// 8: {"name": "张三", "since": 0("2026-01-31T15:04:05Z")}. It escapes only what
// could control a terminal. Input that is not one item with definite lengths,
// nested at most 32 deep, is returned as hexadecimal bytes.
func diagnose(item []byte) string {
	d := diagnostic{rest: item}
	if err := d.item(32); err != nil || len(d.rest) > 0 {
		return "h'" + hex.EncodeToString(item) + "' (not CBOR as sessions use it)"
	}
	return d.text.String()
}

type diagnostic struct {
	rest []byte
	text strings.Builder
}

var errItem = errors.New("not a CBOR item")

func (d *diagnostic) item(depth int) error {
	major, info, n, err := d.head()
	if err != nil || depth == 0 {
		return errItem
	}
	switch major {
	case 0:
		d.text.WriteString(strconv.FormatUint(n, 10))
	case 1:
		d.negative(n)
	case 2, 3:
		return d.chars(major, n)
	case 4:
		return d.list("[]", n, func() error { return d.item(depth - 1) })
	case 5:
		return d.list("{}", n, func() error {
			if err := d.item(depth - 1); err != nil {
				return err
			}
			d.text.WriteString(": ")
			return d.item(depth - 1)
		})
	case 6:
		d.text.WriteString(strconv.FormatUint(n, 10))
		return d.list("()", 1, func() error { return d.item(depth - 1) })
	default:
		return d.simple(info, n)
	}
	return nil
}

// head reads the head of an item: its major type, its additional information
// and its argument.
func (d *diagnostic) head() (major, info byte, n uint64, err error) {
	if len(d.rest) == 0 {
		return 0, 0, 0, errItem
	}
	major, info = d.rest[0]>>5, d.rest[0]&31
	d.rest = d.rest[1:]
	if info < 24 {
		return major, info, uint64(info), nil
	}
	size := 1 << (info - 24)
	if info > 27 || len(d.rest) < size {
		return 0, 0, 0, errItem
	}
	var number [8]byte
	copy(number[8-size:], d.rest)
	d.rest = d.rest[size:]
	return major, info, binary.BigEndian.Uint64(number[:]), nil
}

func (d *diagnostic) negative(n uint64) {
	if n == math.MaxUint64 {
		d.text.WriteString("-18446744073709551616")
		return
	}
	d.text.WriteString("-" + strconv.FormatUint(n+1, 10))
}

// list writes n elements between the two marks. Each element takes at least one
// byte, so a larger n is refused at once.
func (d *diagnostic) list(marks string, n uint64, element func() error) error {
	if n > uint64(len(d.rest)) {
		return errItem
	}
	d.text.WriteByte(marks[0])
	for i := range n {
		if i > 0 {
			d.text.WriteString(", ")
		}
		if err := element(); err != nil {
			return err
		}
	}
	d.text.WriteByte(marks[1])
	return nil
}

func (d *diagnostic) chars(major byte, n uint64) error {
	if n > uint64(len(d.rest)) {
		return errItem
	}
	chars := d.rest[:n]
	d.rest = d.rest[n:]
	switch {
	case major == 2:
		d.text.WriteString("h'" + hex.EncodeToString(chars) + "'")
	case !utf8.Valid(chars):
		return errItem
	default:
		d.text.WriteString(quote(string(chars)))
	}
	return nil
}

func (d *diagnostic) simple(info byte, n uint64) error {
	switch info {
	case 20, 21, 22, 23:
		d.text.WriteString([]string{"false", "true", "null", "undefined"}[info-20])
	case 25:
		d.float(half(uint16(n)))
	case 26:
		d.float(float64(math.Float32frombits(uint32(n))))
	case 27:
		d.float(math.Float64frombits(n))
	case 24:
		if n < 32 { // values below 32 must use the short form
			return errItem
		}
		fallthrough
	default:
		d.text.WriteString("simple(" + strconv.FormatUint(n, 10) + ")")
	}
	return nil
}

func (d *diagnostic) float(f float64) {
	switch {
	case math.IsNaN(f):
		d.text.WriteString("NaN")
	case math.IsInf(f, 1):
		d.text.WriteString("Infinity")
	case math.IsInf(f, -1):
		d.text.WriteString("-Infinity")
	default:
		text := strconv.FormatFloat(f, 'g', -1, 64)
		if !strings.ContainsAny(text, ".e") {
			text += ".0" // to differ from an integer
		}
		d.text.WriteString(text)
	}
}

// half converts a 16-bit float.
func half(bits uint16) float64 {
	exponent, fraction := int(bits>>10&31), float64(bits&1023)
	f := math.Ldexp(1024+fraction, exponent-25)
	switch exponent {
	case 0:
		f = math.Ldexp(fraction, -24)
	case 31:
		f = math.Inf(1)
		if fraction != 0 {
			f = math.NaN()
		}
	}
	return math.Copysign(f, -float64(bits>>15&1)+0.5)
}

// quote is strconv.Quote with the escapes of JSON. Letters of every script stay
// readable; characters that do not print are escaped.
func quote(s string) string {
	return `"` + escape(strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(s)) + `"`
}

// escape escapes characters that do not print, as JSON does.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x10000:
			b.WriteString(`\u` + strconv.FormatInt(int64(r)+0x10000, 16)[1:])
		default:
			b.WriteString(`\u{` + strconv.FormatInt(int64(r), 16) + `}`)
		}
	}
	return b.String()
}
