package session

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/carryon-go/carryon/internal/core"
)

// Once is the name of a session value that may be replaced only once, together with
// its type. Use it for values that a server gives out in exchange for the old one,
// such as the tokens of OAuth 2.0: a refresh token that is used twice often ends the
// login.
//
//	const tokens session.Once[Tokens] = "tokens"
//
//	t, err := tokens.Replace(ctx, session.From(ctx), Tokens.Expired, refresh)
//
// The value has the same name as a [Key] would have: [Session.Delete] and
// [Session.Has] work. It takes 20 bytes more than the value of a Key.
type Once[T any] string

var (
	// ErrSpent is for the function of [Once.Replace]. It wraps ErrSpent to say that the
	// old value will never be accepted again.
	ErrSpent = errors.New("carryon: the value was refused for good")

	// ErrReplaced is returned by [Once.Replace] (wrapped) if the old value was refused
	// for good, but probably because another request has replaced it. The visitor's
	// next request probably has the new value.
	ErrReplaced = errors.New("carryon: another request has probably replaced the value; send the request again in a second")
)

// replaceGrace is how long after a value was refused a response with the new value
// may still be on its way to the visitor.
const replaceGrace = 10 * time.Second

// held is what a session holds under the name of a Once.
type held[T any] struct {
	_     struct{} `cbor:",toarray"`
	ID    core.OnceID
	Value T
}

// mark notes that a value was refused, while another request may have replaced it.
type mark struct {
	_  struct{} `cbor:",toarray"`
	ID core.OnceID
	At int64 // ms
}

// key returns the key under which the session holds the value.
func (o Once[T]) key() Key[held[T]] { return Key[held[T]](o) }

// refused returns the key of the value's mark.
func (o Once[T]) refused() Key[mark] { return Key[mark](o + " refused") }

// Get returns the value and true. It returns T's zero value and false as [Key.Get]
// does.
func (o Once[T]) Get(s *Session) (T, bool) {
	h, ok := o.key().Get(s)
	return h.Value, ok
}

// Set stores a new value, as [Key.Set] does. It always is a change.
func (o Once[T]) Set(s *Session, v T) { o.key().Set(s, newHeld(v)) }

// Delete removes the value.
func (o Once[T]) Delete(s *Session) {
	o.key().Delete(s)
	o.refused().Delete(s)
}

func newHeld[T any](v T) held[T] {
	h := held[T]{Value: v}
	rand.Read(h.ID[:]) // never fails
	return h
}

// Replace returns the value. If due reports that it is out of date, Replace first
// replaces it with the result of replace.
//
// However many requests find the same value due, replace is called once: in one
// process always, and among all replicas if there is a store
// (middleware.Config.Fallback). The other requests wait for the result and get it,
// as does each request that still carries the old value in the ten minutes that
// follow. So replace must depend on nothing but the value. If several processes
// share no store, each may call its replace.
//
// The end of ctx ends the wait, but not the call of replace, which gets the context's
// values and 30 seconds. A call that is cut short because its process ends is
// repeated by another replica about ten seconds later.
//
// With an error, Replace also returns the old value, which stays in the session; it
// may be good for a while. The error is one of these:
//
//   - [ErrNoValue] (wrapped), a [*DecodeError], or the error of the session's load;
//   - an error that wraps [ErrSpent]: replace has returned it, and no other request
//     has replaced the value. Delete the value, or end the session.
//   - an error that wraps [ErrReplaced]: replace has returned [ErrSpent], but another
//     process may have replaced the value at the same time. If the visitor's session
//     still has the old value ten seconds later, Replace returns ErrSpent.
//   - [ErrLate] (wrapped): the response's header has been written, so that the session
//     could not keep a new value, and no other request has made one. replace was not
//     called.
//   - any other error of replace. It is returned to all requests in the second that
//     follows; then replace is called again.
//   - an error that wraps ctx.Err().
func (o Once[T]) Replace(ctx context.Context, s *Session, due func(T) bool, replace func(context.Context, T) (T, error)) (T, error) {
	h, err := o.key().Lookup(s)
	for err == nil {
		refused := o.checkMark(s, h.ID)
		if !due(h.Value) {
			break
		}
		if err = refused; err != nil {
			break
		}
		var r core.Replacement
		r, err = s.core().Once(ctx, h.ID, func(ctx context.Context) ([]byte, error) {
			v, err := replace(ctx, h.Value)
			if err != nil {
				return nil, err
			}
			return encode(newHeld(v))
		})
		if errors.Is(err, ErrSpent) && !r.Alone {
			err = o.mark(s, h.ID, err)
		}
		if err != nil {
			break
		}
		if h, err = o.accept(s, h.ID, r.Value); !r.Known {
			break // however soon the new value is due
		}
	}
	return h.Value, err
}

// checkMark returns an error if the value with the given id was refused before. It
// removes the mark of another value.
func (o Once[T]) checkMark(s *Session, id core.OnceID) error {
	m, ok := o.refused().Get(s)
	switch {
	case !ok:
		return nil
	case m.ID != id:
		s.core().Offer(string(o.refused()), s.core().Get(string(o.refused())), nil)
		return nil
	case s.core().Now()-m.At < replaceGrace.Milliseconds():
		return ErrReplaced
	}
	return fmt.Errorf("%w, and the session still has it", ErrSpent)
}

// mark notes that the value with the given id was refused, and returns the error for
// that. A mark of an earlier request stays.
func (o Once[T]) mark(s *Session, id core.OnceID, cause error) error {
	name := string(o.refused())
	old := s.core().Get(name)
	raw, err := encode(mark{ID: id, At: s.core().Now()})
	if err != nil {
		return err
	}
	s.core().Offer(name, old, raw)
	return &replacedError{cause}
}

// replacedError is an [ErrReplaced]. It does not match ErrSpent, which is its cause.
type replacedError struct{ cause error }

func (e *replacedError) Error() string        { return ErrReplaced.Error() + ": " + e.cause.Error() }
func (e *replacedError) Is(target error) bool { return target == ErrReplaced }
func (e *replacedError) As(target any) bool   { return errors.As(e.cause, target) }

// accept puts a new value in the place of the one with the given id, unless the
// handler has changed or removed that one meanwhile or the header has been written.
func (o Once[T]) accept(s *Session, id core.OnceID, raw []byte) (held[T], error) {
	next, err := o.key().decode(s, raw)
	if err != nil {
		return next, err
	}
	old := s.core().Get(string(o))
	if old == nil {
		return next, nil
	}
	if have, err := o.key().decode(s, old); err == nil && have.ID == id {
		s.core().Offer(string(o), old, raw)
	}
	return next, nil
}
