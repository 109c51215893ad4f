package session

import "fmt"

// Key is the name of a session value together with its type. Declare each key once,
// as a constant, so that all code agrees on both.
//
//	const cart session.Key[[]Item] = "cart"
//
// Keep values that must agree with each other, such as a user and that user's role,
// under one key: overlapping requests are merged key by key.
type Key[T any] string

// Get returns the value and true. It returns T's zero value and false if there is no
// value, if the value does not decode as a T, or if the session could not be
// loaded. [Key.Lookup] returns the reason.
func (k Key[T]) Get(s *Session) (T, bool) {
	raw := s.core().Get(string(k))
	if raw == nil {
		var zero T
		return zero, false
	}
	v, err := k.decode(s, raw)
	return v, err == nil
}

// GetOr returns the value, or otherwise if [Key.Get] returns false.
func (k Key[T]) GetOr(s *Session, otherwise T) T {
	if v, ok := k.Get(s); ok {
		return v
	}
	return otherwise
}

// Lookup returns the value, or an error if there is none: [ErrNoValue] (wrapped), a
// [*DecodeError], or the error of the session's load.
func (k Key[T]) Lookup(s *Session) (T, error) {
	raw := s.core().Get(string(k))
	if raw == nil {
		var zero T
		if err := s.core().LoadErr(); err != nil {
			return zero, err
		}
		return zero, fmt.Errorf("%w: %q", ErrNoValue, string(k))
	}
	return k.decode(s, raw)
}

func (k Key[T]) decode(s *Session, raw []byte) (T, error) {
	var v T
	if readPlain(raw, &v) {
		return v, nil
	}
	return k.decodeAny(s, raw)
}

func (k Key[T]) decodeAny(s *Session, raw []byte) (v T, err error) {
	if err := decMode.Unmarshal(raw, &v); err != nil {
		var zero T
		failed := &DecodeError{Key: string(k), Err: err}
		s.core().Undecodable(string(k), failed)
		return zero, failed
	}
	return v, nil
}

// Set stores a value. It encodes the value at once. If the encoding equals the
// stored one, nothing changes. A value that cannot be encoded, such as a channel or
// a struct without exported fields, makes the response fail: the commit returns an
// [*EncodeError], and [Session.Err] returns it earlier.
func (k Key[T]) Set(s *Session, v T) {
	raw, err := encode(v)
	if err != nil {
		s.core().Fault(&EncodeError{Key: string(k), Err: err})
		return
	}
	s.core().Set(string(k), raw)
}

// Update replaces the value with the result of f, which gets T's zero value if there
// is none. If the value does not decode as a T, it stays, f is not called, and the
// commit returns a [*DecodeError]; delete the value first to start over. If the
// session could not be loaded, f is not called.
//
// Update is atomic among the goroutines of one request. f may be called again if
// another goroutine changed the value, so it must be quick, have no side effects,
// and not change this key itself.
//
// Update is not atomic among requests: if two update one key at the same time, the
// last response counts. So counters, attempt limits and one-time codes must not be
// kept in a session.
func (k Key[T]) Update(s *Session, f func(T) T) {
	for {
		old := s.core().Get(string(k))
		if s.core().LoadErr() != nil {
			return
		}
		var have T
		if old != nil {
			v, err := k.decode(s, old)
			if err != nil {
				s.core().Fault(err)
				return
			}
			have = v
		}
		raw, err := encode(f(have))
		if err != nil {
			s.core().Fault(&EncodeError{Key: string(k), Err: err})
			return
		}
		if s.core().Swap(string(k), old, raw) {
			return
		}
	}
}

// Pop returns the value as Get does, and removes it: use it for flash messages. In a
// prefetch request (Sec-Purpose: prefetch) the value stays, because the visitor may
// never see the response. If a Pop and another request's Set overlap, either may
// count.
func (k Key[T]) Pop(s *Session) (T, bool) {
	raw := s.core().Pop(string(k))
	if raw == nil {
		var zero T
		return zero, false
	}
	v, err := k.decode(s, raw)
	return v, err == nil
}

// Delete removes the value. Removing what is not there is no change.
func (k Key[T]) Delete(s *Session) { s.core().Delete(string(k)) }

// Label is the name under which the visitor's session is listed, such as "Firefox on
// Linux"; see middleware.Sessions.List. The list shows its first 128 bytes.
const Label Key[string] = "label"
