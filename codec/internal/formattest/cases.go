package formattest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/quick"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/reason"
)

func roundTrip(t *testing.T, s Subject) {
	formats, ring := s.formats(t), Ring(t, s.number(), []int{1, 2})
	check(t, s.overhead() >= codec.HeaderSize && s.overhead() <= codec.MaxOverhead, "an overhead of %d", s.overhead())
	for _, n := range []int{0, 1, 2, 3, 4, 15, 16, 17, 63, 64, 65, 1000, 4096, 70_000, codec.MaxPlaintext} {
		plaintext := strings.Repeat("界", n)[:n]
		value := seal(t, formats, ring, binding, plaintext)
		check(t, len(value) == s.overhead()+n, "%d bytes sealed to %d, the overhead is %d", n, len(value), s.overhead())
		check(t, value[0] == s.number() && string(value[1:5]) == ID(2), "header %x", value[:8])
		check(t, bytes.Equal(value, relength(value)), "header %x", value[:8])
		got, why := open(t, formats, ring, binding, value)
		check(t, why == reason.None && got == plaintext, "%d bytes: %s", n, why)
	}
}

func anyBinding(t *testing.T, s Subject) {
	formats, ring := s.formats(t), Ring(t, s.number(), []int{1})
	err := quick.Check(func(audience, base, suffix string, plaintext []byte) bool {
		b := codec.Binding{Audience: audience, Base: base, Suffix: suffix}
		value := seal(t, formats, ring, b, string(plaintext))
		got, why := open(t, formats, ring, b, value)
		again, verdict := s.read(readerRing{secrets: [][]byte{Secret(1)}}, b, base64.RawURLEncoding.EncodeToString(value))
		return why == reason.None && got == string(plaintext) && verdict == "ok" && bytes.Equal(again, plaintext)
	}, nil)
	check(t, err == nil, "%v", err)
}

func neverTheSame(t *testing.T, s Subject) {
	formats, ring := s.formats(t), Ring(t, s.number(), []int{1})
	seen := map[string]bool{}
	for range 200 {
		value := seal(t, formats, ring, binding, "the same")
		seen[string(value)] = true
		// Reusing a nonce of a stream cipher would reveal the plaintext.
		check(t, !bytes.Contains(value, []byte("the same")), "the plaintext is in the value")
	}
	check(t, len(seen) == 200, "200 values, %d different", len(seen))
}

func limits(t *testing.T, s Subject) {
	formats, ring := s.formats(t), Ring(t, s.number(), []int{1})
	dst, err := formats.Seal([]byte("kept"), ring.Active(now), binding, make([]byte, codec.MaxPlaintext+1))
	check(t, reasonOf(t, err) == reason.TooLarge && string(dst) == "kept", "%v", err)
	_, err = formats.Seal(nil, nil, binding, nil)
	check(t, reasonOf(t, err) == reason.NoKey, "%v", err)
	_, _, err = formats.Open(nil, ring, now, binding, strings.Repeat("A", codec.SealedLen(codec.MaxPlaintext)+1))
	check(t, reasonOf(t, err) == reason.TooLarge, "%v", err)
}

// everyBit checks that every flipped bit and every replaced character of a
// value is refused.
func everyBit(t *testing.T, s Subject) {
	formats, ring := s.formats(t), Ring(t, s.number(), []int{1, 2})
	value := seal(t, formats, ring, binding, "a session")
	for i := range len(value) * 8 {
		value[i/8] ^= 1 << (i % 8)
		_, why := open(t, formats, ring, binding, value)
		check(t, why != reason.None, "bit %d of byte %d", i%8, i/8)
		check(t, i < 64 || why == reason.BadSeal, "bit %d of byte %d: %s", i%8, i/8, why)
		value[i/8] ^= 1 << (i % 8)
	}
	text := base64.RawURLEncoding.EncodeToString(value)
	for i := range text {
		for c := range 256 {
			changed := text[:i] + string([]byte{byte(c)}) + text[i+1:]
			_, _, err := formats.Open(nil, ring, now, binding, changed)
			check(t, (err == nil) == (changed == text), "character %d as %d", i, c)
		}
	}
}

// everyLength checks that a truncated or extended value is refused, even if
// its header contains the new length.
func everyLength(t *testing.T, s Subject) {
	formats, ring := s.formats(t), Ring(t, s.number(), []int{1})
	value := seal(t, formats, ring, binding, "sixteen bytes of")
	refused := func(changed []byte, what string, n int) {
		t.Helper()
		_, why := open(t, formats, ring, binding, changed)
		check(t, why == reason.WrongLength, "%s %d: %s", what, n, why)
		_, why = open(t, formats, ring, binding, relength(changed))
		check(t, why == reason.WrongLength && len(changed) < s.overhead() || why == reason.BadSeal, "%s %d, with a matching header: %s", what, n, why)
	}
	for n := codec.HeaderSize + 1; n < len(value); n++ {
		refused(value[:n], "cut to", n)
		for at := codec.HeaderSize; at < n; at += 7 {
			refused(append(bytes.Clone(value[:at]), value[len(value)-n+at:]...), fmt.Sprint("taken out at ", at, " down to"), n)
		}
	}
	for n := 1; n <= 40; n++ {
		refused(append(bytes.Clone(value), make([]byte, n)...), "made longer by", n)
		refused(append(append(bytes.Clone(value[:40]), make([]byte, n)...), value[40:]...), "made longer inside by", n)
	}
}

// onlyItsBinding checks that a value opens only with its own binding, even if
// parts of the binding are moved to another field.
func onlyItsBinding(t *testing.T, s Subject) {
	formats, ring := s.formats(t), Ring(t, s.number(), []int{1})
	bindings := []codec.Binding{
		{}, {Audience: "a"}, {Base: "a"}, {Suffix: "a"},
		{Audience: "a", Base: "b", Suffix: "c"}, {Audience: "ab", Suffix: "c"}, {Audience: "a", Base: "bc"},
		{Base: "abc"}, {Audience: "abc"}, {Suffix: "abc"}, {Audience: "A", Base: "b", Suffix: "c"},
		{Base: "a\x00\x00\x00\x00"}, {Base: "a|1|b"}, {Base: "a", Suffix: "1|b"}, {Base: "a", Suffix: "|1|b"},
	}
	for i, b := range bindings {
		value := seal(t, formats, ring, b, "x")
		for j, other := range bindings {
			_, why := open(t, formats, ring, other, value)
			check(t, (why == reason.None) == (i == j) && (i == j || why == reason.BadSeal), "%+v opened as %+v: %s", b, other, why)
		}
	}
}

// onlyItsKey checks that a retired key opens, a key of another ring is unknown, a
// revoked key is dead, and another key under the same id does not open.
func onlyItsKey(t *testing.T, s Subject) {
	formats := s.formats(t)
	value := seal(t, formats, Ring(t, s.number(), []int{1}), binding, "x")
	for want, ring := range map[reason.Reason][2][]int{
		reason.None:       {{1, 2}, nil},
		reason.UnknownKey: {{2}, nil},
		reason.DeadKey:    {{2}, {1}},
	} {
		_, why := open(t, formats, Ring(t, s.number(), ring[0], ring[1]...), binding, value)
		check(t, why == want, "%v: %s", want, why)
	}
	copy(value[1:5], ID(2))
	_, why := open(t, formats, Ring(t, s.number(), []int{1, 2}), binding, value)
	check(t, why == reason.BadSeal, "under another key: %s", why)
}

// keySelectsFormat checks that the header of a client does not choose the format.
func keySelectsFormat(t *testing.T, s Subject) {
	formats, ring := s.formats(t), Ring(t, s.number(), []int{1})
	value := seal(t, formats, ring, binding, strings.Repeat("x", 100))
	for number := range 256 {
		value[0] = byte(number)
		_, why := open(t, formats, ring, binding, value)
		want := reason.UnknownFormat
		switch {
		case byte(number) == s.number():
			want = reason.None
		case number == 1 || s.has(byte(number)):
			want = reason.WrongFormat
		}
		check(t, why == want, "format %d: %s", number, why)
	}
}

func (s Subject) has(number byte) bool {
	for _, f := range s.Others {
		if f.Number() == number {
			return true
		}
	}
	return false
}

// missingFormat checks that a program without the format neither seals, opens nor
// joins it, and that Check refuses a ring that needs it.
func missingFormat(t *testing.T, s Subject) {
	formats, ring := s.formats(t), Ring(t, s.number(), []int{1, 2})
	check(t, formats.Check(ring, now) == nil, "the ring is refused: %v", formats.Check(ring, now))
	if s.Format == nil {
		return // every program has format 1
	}
	text, err := formats.Seal(nil, ring.Active(now), binding, []byte("x"))
	check(t, err == nil, "Seal: %v", err)

	others, err := codec.NewFormats(s.Others...)
	check(t, err == nil, "NewFormats: %v", err)
	for _, without := range []*codec.Formats{nil, others} {
		_, err = without.Seal(nil, ring.Active(now), binding, nil)
		check(t, reasonOf(t, err) == reason.UnknownFormat, "Seal: %v", err)
		_, _, err = without.Open(nil, ring, now, binding, string(text))
		check(t, reasonOf(t, err) == reason.UnknownFormat, "Open: %v", err)
		_, _, err = without.Join(func(int) (string, bool) { return string(text), true })
		check(t, reasonOf(t, err) == reason.UnknownFormat, "Join: %v", err)
		err = without.Check(ring, now)
		check(t, err != nil && strings.Contains(err.Error(), fmt.Sprintf("%x", ID(1))), "Check: %v", err)
	}
	_, err = codec.NewFormats(s.Format, s.Format)
	check(t, err != nil, "one format twice")
}

// otherFormats checks that a value of one format does not open as another,
// even with the same secret for all formats, which no ring allows.
func otherFormats(t *testing.T, s Subject) {
	formats := s.formats(t)
	numbers := []byte{1}
	for _, f := range s.Others {
		numbers = append(numbers, f.Number())
	}
	mine := Ring(t, s.number(), []int{1})
	for _, number := range numbers {
		if number == s.number() {
			continue
		}
		theirs := Ring(t, number, []int{1})
		value := seal(t, formats, theirs, binding, strings.Repeat("x", 50))
		value[0] = s.number()
		_, why := open(t, formats, mine, binding, value)
		check(t, why == reason.BadSeal, "a value of format %d as one of %d: %s", number, s.number(), why)
		value = seal(t, formats, mine, binding, strings.Repeat("x", 50))
		value[0] = number
		_, why = open(t, formats, theirs, binding, value)
		check(t, why == reason.BadSeal, "a value of format %d as one of %d: %s", s.number(), number, why)
	}
}

// ownSlices checks that arguments are not modified and that results are not
// shared.
func ownSlices(t *testing.T, s Subject) {
	formats, ring := s.formats(t), Ring(t, s.number(), []int{1})
	plaintext := bytes.Repeat([]byte("as it was "), 30)
	buf := append(make([]byte, 0, 4096), "before"...)
	text, err := formats.Seal(buf, ring.Active(now), binding, plaintext)
	check(t, err == nil && bytes.Equal(plaintext, bytes.Repeat([]byte("as it was "), 30)), "Seal has changed the plaintext")
	check(t, string(text[:6]) == "before" && &text[0] == &buf[0], "Seal does not append")
	value := string(text[6:])
	first, _, err := formats.Open(nil, ring, now, binding, value)
	check(t, err == nil, "Open: %v", err)
	second, _, err := formats.Open(append(make([]byte, 0, 4096), "before"...), ring, now, binding, value)
	check(t, err == nil && string(second[:6]) == "before" && bytes.Equal(second[6:], plaintext), "Open does not append: %v", err)
	seal(t, formats, ring, binding, strings.Repeat("!", 400))
	check(t, bytes.Equal(first, plaintext), "a later Seal writes into the result of Open")
}

// boundedAllocation checks that the memory for any input is limited by its
// length, whatever length its header claims.
func boundedAllocation(t *testing.T, s Subject) {
	formats, ring := s.formats(t), Ring(t, s.number(), []int{1})
	huge := append([]byte{s.number()}, ID(1)+"\xff\xff\xff"...)
	forged := relength(append(bytes.Clone(huge), make([]byte, 600_000)...))
	for _, in := range []string{
		"", base64.RawURLEncoding.EncodeToString(append(huge, make([]byte, 100)...)),
		strings.Repeat("A", 100_000), strings.Repeat("A", 8<<20), base64.RawURLEncoding.EncodeToString(forged),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := formats.Open(nil, ring, now, binding, in)
		runtime.ReadMemStats(&after)
		check(t, err != nil, "%d characters of nothing open", len(in))
		check(t, after.TotalAlloc-before.TotalAlloc < uint64(10*len(in)+128<<10), "%d characters cost %d bytes", len(in), after.TotalAlloc-before.TotalAlloc)
	}
}

// fewAllocations checks the number of allocations, which must not grow with
// the value.
func fewAllocations(t *testing.T, s Subject) {
	if racing {
		t.Skip("the race detector drops pooled values")
	}
	formats, ring := s.formats(t), Ring(t, s.number(), []int{1})
	for _, n := range []int{0, 1000, 10_000} {
		plaintext, buf := make([]byte, n), make([]byte, 0, codec.SealedLen(n))
		text, err := formats.Seal(nil, ring.Active(now), binding, plaintext)
		check(t, err == nil, "Seal: %v", err)
		value := string(text)
		seals := testing.AllocsPerRun(50, func() { formats.Seal(buf, ring.Active(now), binding, plaintext) })
		opens := testing.AllocsPerRun(50, func() { formats.Open(buf, ring, now, binding, value) })
		check(t, max(seals, opens) <= s.Allocations, "%d bytes: Seal makes %v allocations, Open %v", n, seals, opens)
	}
}

func concurrentUse(t *testing.T, s Subject) {
	formats, ring := s.formats(t), Ring(t, s.number(), []int{1, 2})
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			b := codec.Binding{Base: "b", Suffix: string(rune('a' + g))}
			plaintext := strings.Repeat(b.Suffix, 10+100*g)
			for range 50 {
				value, err := formats.Seal(nil, ring.Active(now), b, []byte(plaintext))
				if err != nil {
					t.Error(err)
				}
				got, _, err := formats.Open(nil, ring, now, b, string(value))
				if err != nil || string(got) != plaintext {
					t.Error("another goroutine's buffer", err)
				}
			}
		})
	}
	group.Wait()
}

func errorsCarryNothing(t *testing.T, s Subject) {
	formats, ring := s.formats(t), Ring(t, s.number(), []int{1})
	value := seal(t, formats, ring, binding, "a confidential plaintext")
	value[len(value)-1] ^= 1
	text := base64.RawURLEncoding.EncodeToString(value)
	_, _, err := formats.Open(nil, ring, now, binding, text)
	said := fmt.Sprintf("%v %+v %#v", err, err, err)
	for _, secret := range []string{text, text[20:40], "confidential", binding.Suffix, binding.Audience, hexOf(Secret(1)[:8])} {
		check(t, !strings.Contains(said, secret), "the error carries %q", secret)
	}
}
