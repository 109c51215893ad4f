package sealedform

import (
	"slices"
	"strings"
)

// Sealed is a value of any format with its intermediate values.
type Sealed interface{ Bytes() []byte }

// A Sealing seals plaintext under the n-th example key, with random bytes
// derived from the hash of a name.
type Sealing func(n int, audience, base, suffix, plaintext, nonceName string) Sealed

// Cases returns the vectors that every format except format 1 has: values that
// open, and one value for each kind of refusal. The marks are positions of
// single bytes that must not change, counted from the end if negative.
func Cases(number byte, seal Sealing, marks map[string]int) []Vector {
	usual := seal(1, "", Base, Suffix, "hello", "refused").Bytes()
	all := opening(seal)
	refused := func(name, reason string, value []byte) { all = append(all, Refused(name, Text(value), reason)) }
	with := func(at int, b byte) []byte {
		value := slices.Clone(usual)
		value[at] = b
		return value
	}

	refused("no format", "unknown format", with(0, 0))
	refused("format 255", "unknown format", with(0, 255))
	long := seal(1, "", Base, Suffix, strings.Repeat("hello ", 20), "refused").Bytes()
	refused("format 1", "wrong format", slices.Concat([]byte{1}, long[1:]))
	refused("another key of the ring", "bad seal", slices.Concat(usual[:1], KeyID(2), usual[5:]))
	refused("a revoked key", "dead key", slices.Concat(usual[:1], KeyID(3), usual[5:]))
	refused("a key of nobody", "unknown key", slices.Concat(usual[:1], KeyID(4), usual[5:]))
	refused("total one more", "wrong length", with(7, usual[7]+1))
	refused("total 2^23 more", "wrong length", with(5, 0x80))
	refused("a byte less", "wrong length", usual[:len(usual)-1])
	refused("a byte more", "wrong length", append(slices.Clone(usual), 0))
	refused("a byte less, and the header says so", "bad seal", relength(usual[:len(usual)-1]))
	refused("a byte more, and the header says so", "bad seal", relength(append(slices.Clone(usual), 0)))
	refused("the header alone", "wrong length", relength(usual[:9]))
	for _, name := range sorted(marks) {
		at := marks[name]
		if at < 0 {
			at += len(usual)
		}
		refused(name, "bad seal", with(at, usual[at]^1))
	}
	for name, b := range map[string][3]string{
		"another audience": {"x", Base, Suffix}, "another base": {"", "session", Suffix}, "another suffix": {"", Base, "k7m2qv5xye"},
		"no suffix": {"", Base, ""}, "the suffix in the base": {"", Base + Suffix, ""}, "the base as audience": {Base, "", Suffix},
	} {
		v := Refused("opened for "+name, Text(usual), "bad seal")
		v.Audience, v.Base, v.Suffix = b[0], b[1], b[2]
		all = append(all, v)
	}
	all = append(all, texts(Text(usual))...)
	first := Seal(1, "", Base, Suffix, strings.Repeat("hello ", 20), "refused").Bytes()
	first[0] = number
	refused("a value of format 1 under this number", "bad seal", first)
	slices.SortStableFunc(all, func(a, b Vector) int { return strings.Compare(outcome(a), outcome(b)) })
	return all
}

func opening(seal Sealing) (all []Vector) {
	for _, c := range []struct {
		name                              string
		key                               int
		audience, base, suffix, plaintext string
	}{
		{"short", 1, "", Base, Suffix, "hello"},
		{"empty", 1, "", Base, Suffix, ""},
		{"one byte", 1, "", Base, Suffix, "\xff"},
		{"another key", 2, "", Base, Suffix, "hello"},
		{"audience", 1, "shop", Base, Suffix, "hello"},
		{"fixed name", 1, "", Base, "", "hello"},
		{"no binding", 1, "", "", "", "hello"},
		{"binding of other bytes", 1, "|1|", "Sitzung für\x00", "|", "hello"},
		{"64 bytes", 1, "", Base, Suffix, strings.Repeat("0123456789abcde\n", 4)},
		{"two kilobytes", 1, "", Base, Suffix, strings.Repeat("0123456789abcde\n", 128)},
	} {
		v := seal(c.key, c.audience, c.base, c.suffix, c.plaintext, c.name)
		all = append(all, Vector{Name: c.name, Audience: c.audience, Base: c.base, Suffix: c.suffix,
			Value: Text(v.Bytes()), Open: "ok", Plaintext: Hex(c.plaintext), Steps: v})
	}
	return all
}

// texts returns other spellings of a value, all of them invalid.
func texts(text string) []Vector {
	return []Vector{
		Refused("padding", text+"=", "malformed"),
		Refused("spare bits that are not zero", text[:len(text)-1]+string(text[len(text)-1]+1), "malformed"),
		Refused("a line feed", text+"\n", "malformed"),
		Refused("a space in front", " "+text, "malformed"),
		Refused("eleven characters", text[:11], "wrong length"),
	}
}

func relength(value []byte) []byte {
	value = slices.Clone(value)
	n := len(value)
	value[5], value[6], value[7] = byte(n>>16), byte(n>>8), byte(n)
	return value
}

// outcome sorts values that open first, then refusals by reason and name.
func outcome(v Vector) string {
	if v.Open == "ok" {
		return ""
	}
	return v.Open + "/" + v.Name
}

func sorted(marks map[string]int) (names []string) {
	for name := range marks {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
