package codec_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/codec/internal/formattest"
)

// Format 1 keeps the promises that are common to all formats.
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

// readFormat1 is the second reader of independent_test.go.
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
		"is nil":        {nil},
		"comparable":    {wrongFormat{good, 2, 80, nil}},
		"number 0":      {&wrongFormat{good, 0, 80, nil}},
		"there already": {codec.Renumbered(1)},
		"format 2 is":   {good, &wrongFormat{good, 2, 80, nil}},
		"adds 81":       {&wrongFormat{good, 2, 81, nil}},
		"adds 7":        {&wrongFormat{good, 2, 7, nil}},
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

// A format that cannot be used is found when its ring comes, and seals nothing.
func TestUnusableFormat(t *testing.T) {
	formats, err := codec.NewFormats(unusable{codec.Renumbered(9)})
	require.NoError(t, err)
	ring := formattest.Ring(t, 9, []int{1})
	err = formats.Check(ring, now)
	require.ErrorIs(t, err, errUnusable)
	require.ErrorIs(t, err, codec.UnknownFormat)
	_, err = formats.Seal(nil, ring.Active(now), binding, nil)
	require.Equal(t, codec.UnknownFormat, reasonOf(t, err))

	able, err := codec.NewFormats(codec.Renumbered(9))
	require.NoError(t, err)
	value, err := able.Seal(nil, ring.Active(now), binding, nil)
	require.NoError(t, err)
	_, _, err = formats.Open(nil, ring, now, binding, string(value))
	require.Equal(t, codec.UnknownFormat, reasonOf(t, err))
}

// A ring of keys that are all of known formats passes, and so does no ring.
func TestCheckFormats(t *testing.T) {
	var none *codec.Formats
	require.NoError(t, none.Check(testRing(t, []int{1, 2}), now))
	require.NoError(t, none.Check(nil, now))
	err := none.Check(formattest.Ring(t, 2, []int{1}), now)
	require.ErrorIs(t, err, codec.UnknownFormat)
	require.ErrorContains(t, err, testID(t, 1))
	require.ErrorContains(t, err, "format 2")
}
