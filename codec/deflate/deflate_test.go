package deflate_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec/deflate"
)

// inflate reads with the standard library, as the middleware does.
func inflate(t require.TestingT, stream []byte) []byte {
	in := bytes.NewReader(stream)
	text, err := io.ReadAll(flate.NewReader(in))
	require.NoError(t, err)
	require.Zero(t, in.Len(), "nothing stands behind the last block")
	return text
}

func texts() map[string][]byte {
	random := make([]byte, 100_000)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	return map[string][]byte{
		"nothing":  nil,
		"one byte": {7},
		"prose":    []byte(strings.Repeat("请尽快发货, please ring twice. ", 300)),
		"random":   random,
		"zeros":    make([]byte, 1<<20),
	}
}

func TestCompressedTextComesBack(t *testing.T) {
	c := deflate.New()
	for what, text := range texts() {
		t.Run(what, func(t *testing.T) {
			stream := c.Compress(nil, text)
			require.Equal(t, string(text), string(inflate(t, stream)))
			require.LessOrEqual(t, len(stream), len(text)+len(text)/1000+16)
			require.Equal(t, stream, c.Compress(nil, text), "what came before does not matter")
		})
	}
}

func TestCompressAppends(t *testing.T) {
	c := deflate.New()
	got := c.Compress([]byte("before:"), []byte("text"))
	require.Equal(t, "before:", string(got[:7]))
	require.Equal(t, "text", string(inflate(t, got[7:])))
}

func TestCompressorIsShared(t *testing.T) {
	c := deflate.New()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 50 {
				text := strings.Repeat(fmt.Sprintf("visitor %d, request %d; ", i, n), n)
				if got := inflate(t, c.Compress(nil, []byte(text))); string(got) != text {
					t.Error("another's text")
				}
			}
		})
	}
	wg.Wait()
}

func FuzzCompress(f *testing.F) {
	for _, text := range texts() {
		f.Add(text[:min(len(text), 1000)])
	}
	c := deflate.New()
	f.Fuzz(func(t *testing.T, text []byte) {
		require.True(t, bytes.Equal(text, inflate(t, c.Compress(nil, text))))
	})
}

func BenchmarkCompress(b *testing.B) {
	c, text := deflate.New(), []byte(strings.Repeat(`{"sku":"SKU-1F2E3D","title":"Umbrella, windproof","qty":2},`, 140))
	b.ReportAllocs()
	for b.Loop() {
		c.Compress(nil, text)
	}
}

func ExampleCompressor_Compress() {
	stream := deflate.New().Compress(nil, bytes.Repeat([]byte("teapot, "), 100))
	fmt.Println(len(stream) < 40)
	// Output: true
}
