// Package formattest is the conformance suite of codec.Format.
package formattest

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/reason"
)

// A Subject is the format to test.
type Subject struct {
	Format codec.Format // nil: format 1, which every program has
	// Others are further formats of the program. Their values must not open as
	// the Format's.
	Others []codec.Format
	// Vectors are the paths of the format's test vectors.
	Vectors []string
	// Allocations is the maximum number of allocations of a Seal or an Open.
	Allocations float64
	// Read is an independent reader of the format, written from SPEC.md
	// without the package under test. id is that of the key; ctx and value are
	// as in SPEC.md.
	Read func(secret []byte, id, ctx string, value []byte) (plaintext []byte, ok bool)
	// FixedTime runs f with the clock at 2000-01-01T00:00:00Z. It is nil for a
	// format that does not use the time.
	FixedTime func(t *testing.T, f func(*testing.T))
}

func (s Subject) number() byte {
	if s.Format == nil {
		return 1
	}
	return s.Format.Number()
}

func (s Subject) overhead() int {
	if s.Format == nil {
		return 80
	}
	return s.Format.Overhead()
}

// formats returns the formats of a program that has all of them.
func (s Subject) formats(t testing.TB) *codec.Formats {
	var all []codec.Format
	for _, f := range append([]codec.Format{s.Format}, s.Others...) {
		if f != nil {
			all = append(all, f)
		}
	}
	formats, err := codec.NewFormats(all...)
	check(t, err == nil, "NewFormats: %v", err)
	return formats
}

// Run runs the suite. Each subtest checks one guarantee.
func Run(t *testing.T, s Subject) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Subject)
	}{
		{"round trip", roundTrip},
		{"any binding", anyBinding},
		{"never the same twice", neverTheSame},
		{"limits", limits},
		{"every bit", everyBit},
		{"every length", everyLength},
		{"the binding", onlyItsBinding},
		{"the key in the header", onlyItsKey},
		{"the key decides", keySelectsFormat},
		{"not among the formats", missingFormat},
		{"no other format's value", otherFormats},
		{"own slices", ownSlices},
		{"bounded allocation", boundedAllocation},
		{"few allocations", fewAllocations},
		{"concurrent use", concurrentUse},
		{"errors carry nothing", errorsCarryNothing},
		{"vectors", openVectors},
		{"seals the vectors", sealVectors},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, s) })
	}
}

var (
	now     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	binding = codec.Binding{Audience: "shop", Base: "__Host-session", Suffix: "k7m2qv5xyd"}
)

// Secret returns the n-th example secret, which no program's ring accepts.
func Secret(n int) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "carryon test key %d", n))
	return sum[:]
}

// ID returns the id of the n-th example secret.
func ID(n int) string {
	id, err := hkdf.Key(sha256.New, Secret(n), nil, "carryon key id", 4)
	if err != nil {
		panic(err)
	}
	return string(id)
}

// Ring returns a ring with the given example keys, all of one format; the last
// one seals. Those in dead are remembered as revoked.
func Ring(t testing.TB, format byte, keys []int, dead ...int) *keyring.Ring {
	t.Helper()
	text := func(format byte) []byte {
		var rows, gone []string
		for i, n := range keys {
			rows = append(rows, fmt.Sprintf(
				`{"id":"%x","secret":%q,"format":%d,"created":"2026-01-01T00:00:00Z","active":"2026-01-%02dT00:00:00Z"}`,
				ID(n), base64.RawURLEncoding.EncodeToString(Secret(n)), format, i+1))
		}
		for _, n := range dead {
			gone = append(gone, fmt.Sprintf(`{"id":"%x","state":"revoked","at":"2026-01-01T00:00:00Z"}`, ID(n)))
		}
		return []byte(`{"version":1,"keys":[` + strings.Join(rows, ",") + `],"dead":[` + strings.Join(gone, ",") + `]}`)
	}
	ring, err := keyring.DangerouslyParseWithExampleKeys(text(format))
	check(t, err == nil, "the ring: %v", err)
	return ring
}

// WithRandom runs f while crypto/rand returns the given bytes, once.
func WithRandom(random []byte, f func()) {
	old := rand.Reader
	defer func() { rand.Reader = old }()
	rand.Reader = io.MultiReader(bytes.NewReader(random), failing{})
	f()
}

type failing struct{}

func (failing) Read([]byte) (int, error) {
	return 0, errors.New("more random bytes requested than the vector has")
}

func check(t testing.TB, ok bool, format string, args ...any) {
	t.Helper()
	if !ok {
		t.Fatalf(format, args...)
	}
}

func reasonOf(t testing.TB, err error) reason.Reason {
	t.Helper()
	if err == nil {
		return reason.None
	}
	var e *codec.Error
	check(t, errors.As(err, &e), "not a *codec.Error: %v", err)
	return e.Reason
}

// wordOf returns the word that vectors have for the result of a call.
func wordOf(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return "ok"
	}
	return reasonOf(t, err).String()
}

// seal returns the decoded value, because most tests work on bytes.
func seal(t testing.TB, formats *codec.Formats, ring *keyring.Ring, b codec.Binding, plaintext string) []byte {
	t.Helper()
	text, err := formats.Seal(nil, ring.Active(now), b, []byte(plaintext))
	check(t, err == nil, "Seal: %v", err)
	bin, err := base64.RawURLEncoding.Strict().DecodeString(string(text))
	check(t, err == nil, "the text form: %v", err)
	return bin
}

func open(t testing.TB, formats *codec.Formats, ring *keyring.Ring, b codec.Binding, value []byte) (string, reason.Reason) {
	t.Helper()
	plaintext, key, err := formats.Open([]byte("kept"), ring, now, b, base64.RawURLEncoding.EncodeToString(value))
	if err != nil {
		check(t, key == nil && string(plaintext) == "kept", "a refusal with a plaintext or a key")
		return "", reasonOf(t, err)
	}
	check(t, key != nil && strings.HasPrefix(string(plaintext), "kept"), "Open does not append, or returns no key")
	return string(plaintext[4:]), reason.None
}

// relength writes the value's length into its header.
func relength(value []byte) []byte {
	value = bytes.Clone(value)
	n := len(value)
	copy(value[5:8], []byte{byte(n >> 16), byte(n >> 8), byte(n)})
	return value
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }
