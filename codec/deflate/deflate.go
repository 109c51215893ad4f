// Package deflate compresses sessions that take more than one cookie:
//
//	middleware.Config{Compression: deflate.New(), Secret: []string{"csrf"}}
//
// Read the doc comment of middleware.Config.Compression first: compression tells
// something of what it compresses. Only programs that import this package link
// the compressor, github.com/klauspost/compress.
package deflate

import (
	"bytes"
	"sync"

	"github.com/klauspost/compress/flate"
)

// level is the last of the fast ones: on carts and preferences as JSON or CBOR
// the slower ones save 1 to 4 % more and take up to three times as long.
const level = 6

// A Compressor writes raw DEFLATE (RFC 1951). Make one with [New] and share it;
// it is safe for concurrent use. It keeps about 750 KB for each of the goroutines
// that compress at the same time, until the garbage collector takes them.
type Compressor struct{ writers sync.Pool }

// New returns a compressor.
func New() *Compressor {
	return &Compressor{writers: sync.Pool{New: func() any {
		w, err := flate.NewWriter(nil, level)
		if err != nil { // only for levels that do not exist
			panic("carryon: " + err.Error())
		}
		return w
	}}}
}

// Compress appends src to dst in compressed form.
func (c *Compressor) Compress(dst, src []byte) []byte {
	out := bytes.NewBuffer(dst)
	w := c.writers.Get().(*flate.Writer)
	w.Reset(out)
	_, err := w.Write(src)
	if err == nil {
		err = w.Close()
	}
	if err != nil { // out is memory, which takes everything
		panic("carryon: compressing: " + err.Error())
	}
	w.Reset(nil) // let go of out
	c.writers.Put(w)
	return out.Bytes()
}
