package session

import "github.com/carryon-go/carryon/internal/state"

// The types that most values have are encoded and decoded here, for a general
// encoder looks at each value's type anew. What is not in the one form that is
// written is left to it, so that the two never differ in what they take or make.

// appendPlain is the encoding of what p points to, if it is of such a type, which
// ok tells.
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

// readPlain decodes raw into what p points to, and tells whether it could: it is
// of such a type, and raw in the form of appendPlain.
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
