package middleware

import (
	"bytes"
	"compress/flate"
	"io"

	"github.com/carryon-go/carryon/internal/core"
)

// Compressor is what [Config.Compression] takes.
type Compressor interface {
	// Compress appends src to dst in compressed form: raw DEFLATE (RFC 1951),
	// without the heads of zlib or gzip. Reading it needs no Compressor. It must
	// be safe for concurrent use, and what it returns must depend on src alone.
	Compress(dst, src []byte) []byte
}

// checkCompression tries a compressor, for what it wrote must come back.
func (s *settings) checkCompression(fault func(bool, string, ...any)) {
	for _, name := range s.Secret {
		fault(name == "" || len(name) > core.MaxName, "Config.Secret: the name of an entry has 1 to %d bytes", core.MaxName)
	}
	if isNil(s.Compression) {
		fault(s.Compression != nil, "Config.Compression is a nil pointer; leave the field out, or make one with deflate.New()")
		return
	}
	sample := bytes.Repeat([]byte("carryon "), 64)
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(s.Compression.Compress(nil, sample))), 1<<10))
	fault(err != nil || !bytes.Equal(text, sample),
		"Config.Compression does not write raw DEFLATE (RFC 1951); zlib's and gzip's forms, which have a head, are something else")
}
