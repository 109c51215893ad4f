package scsstore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
)

// Any value from an engine is refused, or is a value that was written.
func FuzzUnpack(f *testing.F) {
	rec := fallback.Record{Revision: fallback.Revision{}.Next(), Data: []byte("data"), Expires: time.UnixMilli(1 << 40)}
	f.Add(pack("id", rec))
	f.Add(pack("", fallback.Record{}))
	f.Add([]byte("c1"))
	f.Add([]byte("c1AAAA"))
	f.Fuzz(func(t *testing.T, value []byte) {
		rec, id, err := unpack(value)
		if err != nil {
			require.Zero(t, id)
			return
		}
		require.Equal(t, string(value), string(pack(id, rec)))
	})
}
