//go:build !race

package codec_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
)

// The race detector drops pooled values on purpose, so it is excluded. Two
// allocations are the message's AES and GCM; the third is the result, unless
// the caller provides capacity.
func TestFewAllocations(t *testing.T) {
	ring := testRing(t, []int{1})
	for _, n := range []int{0, 1, 1000, 50_000} {
		plaintext := make([]byte, n)
		value := sealed(t, ring, binding, string(plaintext))
		text, buf := make([]byte, 0, len(value)), make([]byte, 0, n)
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() { codec.Seal(nil, ring.Active(now), binding, plaintext) }), 3.0)
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() { codec.Open(nil, ring, now, binding, value) }), 3.0)
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() { codec.Seal(text, ring.Active(now), binding, plaintext) }), 2.0)
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() { codec.Open(buf, ring, now, binding, value) }), 2.0)
	}
}

// Opening several pieces allocates as much as opening one.
func TestPiecesAllocations(t *testing.T) {
	ring := testRing(t, []int{1})
	for _, n := range []int{100, 1000, 64_000} {
		pieces := split(t, sealed(t, ring, binding, string(make([]byte, n))), same(3700))
		buf := make([]byte, 0, n)
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
			(*codec.Formats)(nil).OpenPieces(buf, ring, now, binding, func(i int) (string, bool) {
				if i >= len(pieces) {
					return "", false
				}
				return pieces[i], true
			})
		}), 2.0)
	}
}

// Encoding into a slice of exactly the required capacity allocates nothing.
func TestTextAllocations(t *testing.T) {
	for n := range 40 {
		bin := make([]byte, n)
		text := string(codec.AppendEncoded(nil, bin))
		buf, back := make([]byte, 0, len(text)), make([]byte, 0, n)
		require.Zero(t, testing.AllocsPerRun(10, func() { codec.AppendEncoded(buf, bin) }))
		require.Zero(t, testing.AllocsPerRun(10, func() { codec.AppendDecoded(back, text) }))
	}
}

// Each session has its own secret, so each record derives its keys. That
// accounts for nearly all allocations, whatever the size of the record.
func TestRecordAllocations(t *testing.T) {
	for _, n := range []int{0, 1000, 100_000} {
		plaintext := make([]byte, n)
		record := sealedRecord(t, plaintext)
		buf := make([]byte, 0, len(record))
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() { codec.SealRecord(buf, recordSecret, recordBinding, plaintext) }), 60.0)
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() { codec.OpenRecord(buf, recordSecret, recordBinding, record) }), 60.0)
	}
}
