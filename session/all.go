package session

import "iter"

// All returns an iterator over the names that have a value, sorted, and their
// values: for pages that help with debugging, and for migrations. A value is
// decoded without its key's type, so a struct or map is a map[string]any, a slice
// is a []any, and an integer is an int64. A value that cannot be decoded without
// its type is a [*DecodeError].
//
// Changes during the iteration may or may not be seen.
func (s *Session) All() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		for _, name := range s.Names() {
			raw := s.core().Get(name)
			if raw == nil {
				continue // deleted meanwhile
			}
			var value any
			if err := decMode.Unmarshal(raw, &value); err != nil {
				value = &DecodeError{Key: name, Err: err}
			}
			if !yield(name, value) {
				return
			}
		}
	}
}
