package session

import (
	"fmt"
)

// Key is the name of a session value, with the value's type: a constant, so
// that no two places can disagree on either.
//
//	const cart session.Key[[]Item] = "cart"
//
// Values that must agree with one another (a user and that user's role) belong
// under one key: concurrent requests are merged key by key.
type Key[T any] string

// Get returns the value and true, or T's zero value and false where there is
// none, where it does not decode as a T, or where the session could not be
// loaded; [Key.Lookup] says which.
func (k Key[T]) Get(s *Session) (T, bool) {
	raw := s.core().Get(string(k))
	if raw == nil {
		var zero T
		return zero, false
	}
	v, err := k.decode(s, raw)
	return v, err == nil
}

// Lookup returns the value, or why there is none: [ErrNoValue], a
// [*DecodeError], or the error that the session's load ended in.
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

// Set stores a value. It is encoded at once, and a value whose encoding equals
// what is stored is no change. There is no error to check: one that cannot be
// encoded (a channel, a struct without exported fields) is kept by the session
// and reported by the commit, which then sends an error page and no cookie.
func (k Key[T]) Set(s *Session, v T) {
	raw, err := encode(v)
	if err != nil {
		s.core().Fault(&EncodeError{Key: string(k), Err: err})
		return
	}
	s.core().Set(string(k), raw)
}

// Update replaces the value by f of it: of T's zero value if nothing is set. A
// value that does not decode as a T stays, f does not run, and the commit reports
// a [*DecodeError]; a program that wants to start over deletes it first. Update is
// atomic among the goroutines of one request: f runs again if another one came
// between, so it must be quick, have no effects, and not change this key itself.
// If the session could not be loaded, f does not run.
//
// Two requests that update one key at the same time are not atomic: the last one
// to land counts, so that counters, attempt limits and one-time codes must not
// live in a session.
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

// Pop returns the value as Get does and removes it: a flash message. In a request
// that the browser sends ahead of the visitor (Sec-Purpose: prefetch) the value
// stays, because the visitor may never see the response. Of a Pop and a Set in
// another request that overlap, either may count.
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
