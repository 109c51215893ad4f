package codec_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/codec/internal/formattest"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/reason"
)

// Format 1 passes the conformance suite of formats.
func TestFormat1(t *testing.T) {
	formattest.Run(t, formattest.Subject{
		Others:      []codec.Format{codec.Renumbered(9)},
		Vectors:     format1Vectors(),
		Read:        readFormat1,
		Allocations: 2,
	})
}

func format1Vectors() (paths []string) {
	for _, name := range generators {
		paths = append(paths, filepath.Join("testdata", "vectors", name+".json"))
	}
	return paths
}

// readFormat1 is the independent reader of independent_test.go.
func readFormat1(secret []byte, id, ctx string, value []byte) ([]byte, bool) {
	plaintext, verdict := plainOpen1(secret, id, ctx, value)
	return plaintext, verdict == "ok"
}

type wrongFormat struct {
	codec.Format
	number   byte
	overhead int
	list     []int
}

func (w wrongFormat) Number() byte  { return w.number }
func (w wrongFormat) Overhead() int { return w.overhead }

func TestNewFormatsRefuses(t *testing.T) {
	good := codec.Renumbered(2)
	for name, wrong := range map[string][]codec.Format{
		"is nil":             {nil},
		"comparable":         {wrongFormat{good, 2, 80, nil}},
		"number 0":           {&wrongFormat{good, 0, 80, nil}},
		"already in the set": {codec.Renumbered(1)},
		"format 2 is":        {good, &wrongFormat{good, 2, 80, nil}},
		"adds 81":            {&wrongFormat{good, 2, 81, nil}},
		"adds 7":             {&wrongFormat{good, 2, 7, nil}},
	} {
		_, err := codec.NewFormats(wrong...)
		require.ErrorContains(t, err, name)
	}
	_, err := codec.NewFormats(good, &wrongFormat{good, 255, 80, nil})
	require.NoError(t, err)
	_, err = codec.NewFormats()
	require.NoError(t, err)
}

type unusable struct{ codec.Format }

var errUnusable = errors.New("not in this program")

func (unusable) Sealer(func(string, int) []byte) (codec.Sealer, error) { return nil, errUnusable }

// An unusable format is found when its ring is checked, and seals nothing.
func TestUnusableFormat(t *testing.T) {
	formats, err := codec.NewFormats(unusable{codec.Renumbered(9)})
	require.NoError(t, err)
	ring := formattest.Ring(t, 9, []int{1})
	err = formats.Check(ring, now)
	require.ErrorIs(t, err, errUnusable)
	require.ErrorIs(t, err, reason.UnknownFormat)
	_, err = formats.Seal(nil, ring.Active(now), binding, nil)
	require.Equal(t, reason.UnknownFormat, reasonOf(t, err))

	able, err := codec.NewFormats(codec.Renumbered(9))
	require.NoError(t, err)
	value, err := able.Seal(nil, ring.Active(now), binding, nil)
	require.NoError(t, err)
	_, _, err = formats.Open(nil, ring, now, binding, string(value))
	require.Equal(t, reason.UnknownFormat, reasonOf(t, err))
}

// A ring whose formats are all known passes the check, and so does a nil ring.
func TestCheckFormats(t *testing.T) {
	var none *codec.Formats
	require.NoError(t, none.Check(testRing(t, []int{1, 2}), now))
	require.NoError(t, none.Check(nil, now))
	err := none.Check(formattest.Ring(t, 2, []int{1}), now)
	require.ErrorIs(t, err, reason.UnknownFormat)
	require.ErrorContains(t, err, testID(t, 1))
	require.ErrorContains(t, err, "format 2")
}

// The format of an expired key is not required, because the key opens nothing.
// The format of a key that still opens is required.
func TestCheckIgnoresExpiredKeys(t *testing.T) {
	row := func(n int, format int, active, expires string) string {
		return fmt.Sprintf(`{"id":%q,"secret":%q,"format":%d,"created":"2026-01-01T00:00:00Z","active":%q%s}`,
			testID(t, n), base64.RawURLEncoding.EncodeToString(testSecret(n)), format, active, expires)
	}
	ring, err := keyring.DangerouslyParseWithExampleKeys([]byte(`{"version":1,"keys":[` +
		row(1, 9, "2026-01-01T00:00:00Z", `,"expires":"2026-02-01T00:00:00Z"`) + "," + row(2, 1, "2026-01-02T00:00:00Z", "") + "]}"))
	require.NoError(t, err)
	var none *codec.Formats
	end := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	require.NoError(t, none.Check(ring, now))
	require.NoError(t, none.Check(ring, end))
	require.ErrorIs(t, none.Check(ring, end.Add(-1)), reason.UnknownFormat)
}

// thin is a format that adds only the header and protects nothing.
type thin struct{}

func (thin) Number() byte                                                    { return 9 }
func (thin) Overhead() int                                                   { return codec.HeaderSize }
func (thin) Sealer(func(purpose string, n int) []byte) (codec.Sealer, error) { return thin{}, nil }
func (thin) Seal(value, _, plaintext []byte) []byte                          { return append(value, plaintext...) }
func (thin) Open(dst, _, value []byte) ([]byte, bool) {
	return append(dst, value[codec.HeaderSize:]...), true
}

// A format with a smaller overhead does not allow a larger plaintext.
func TestFormatsWithASmallerOverhead(t *testing.T) {
	formats, err := codec.NewFormats(thin{})
	require.NoError(t, err)
	ring := formattest.Ring(t, 9, []int{1})
	id := ring.Active(now).ID()
	for n, ok := range map[int]bool{1: true, codec.MaxPlaintext: true, codec.MaxPlaintext + 1: false, codec.MaxPlaintext + codec.MaxOverhead - codec.HeaderSize: false} {
		total := codec.HeaderSize + n
		header := append(append([]byte{9}, id[:]...), byte(total>>16), byte(total>>8), byte(total))
		value := string(codec.AppendEncoded(nil, append(header, make([]byte, n)...)))
		plaintext, _, err := formats.Open(nil, ring, now, binding, value)
		if ok {
			require.NoError(t, err)
			require.Len(t, plaintext, n)
		} else {
			require.Equal(t, reason.WrongLength, reasonOf(t, err), n)
		}
	}
}
