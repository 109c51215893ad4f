package session

import "github.com/carryon-go/carryon/internal/state"

// This file encodes and decodes the most frequent types faster than the CBOR library,
// which examines the type of each value. It reads only the form that it writes, and
// leaves all other forms to the library, so that both give the same results.

// appendPlain returns the encoding of the value that p points to. ok reports whether
// the value has one of these types.
func appendPlain(p any) (raw []byte, ok bool) {
	switch v := p.(type) {
	case *string:
		return state.AppendText(make([]byte, 0, state.MaxItemHead+len(*v)), *v), true
	case *[]byte:
		if *v == nil {
			return nil, false // null
		}
		return state.AppendBytes(make([]byte, 0, state.MaxItemHead+len(*v)), *v), true
	case *int:
		return state.AppendInt(make([]byte, 0, state.MaxItemHead), int64(*v)), true
	}
	return nil, false
}

// readPlain decodes raw into the value that p points to. ok reports whether the value
// has one of these types and raw has the form of appendPlain.
func readPlain(raw []byte, p any) (ok bool) {
	switch v := p.(type) {
	case *string:
		var text []byte
		if text, ok = state.Text(raw); ok {
			*v = string(text)
		}
	case *[]byte:
		var b []byte
		if b, ok = state.Bytes(raw); ok {
			*v = append(make([]byte, 0, len(b)), b...)
		}
	case *int:
		var n int64
		if n, ok = state.Int(raw); ok && int64(int(n)) == n {
			*v = int(n)
			return true
		}
		return false
	}
	return ok
}
