package state

import (
	"bytes"
	"errors"
	"iter"
	"slices"
)

// Limits of a session's subjects.
const (
	// MaxSubjects is the largest number of subjects of a session.
	MaxSubjects = 4
	// MaxSubject is the longest subject, in bytes.
	MaxSubject = 255
)

// Subjects are the names by which a program can end a session, in the form in which
// a head holds them: an array of byte strings. Nil means none. The first one is the
// user whom the program has named.
type Subjects []byte

// ErrSubjects is the error of NewSubjects.
var ErrSubjects = errors.New("carryon: a session has at most 4 subjects of 1 to 255 bytes each; call Login with the user's id first")

// NewSubjects returns the given subjects. It skips repeated ones.
func NewSubjects(first string, also ...string) (Subjects, error) {
	all := make([]string, 0, MaxSubjects)
	for _, name := range append([]string{first}, also...) {
		switch {
		case len(name) == 0 || len(name) > MaxSubject:
			return nil, ErrSubjects
		case slices.Contains(all, name):
			continue
		case len(all) == MaxSubjects:
			return nil, ErrSubjects
		}
		all = append(all, name)
	}
	s := Subjects(appendItemHead(nil, majorArray, uint64(len(all))))
	for _, name := range all {
		s = AppendBytes(s, []byte(name))
	}
	return s, nil
}

// All returns an iterator over the subjects, in order. The caller must not modify
// them.
func (s Subjects) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		r := scanner{b: s}
		for range r.count(majorArray) {
			if !yield(r.bytes(MaxSubject)) {
				return
			}
		}
	}
}

// First returns the first subject, or nil if there is none.
func (s Subjects) First() []byte {
	for name := range s.All() {
		return name
	}
	return nil
}

// subjects reads 1 to MaxSubjects different subjects.
func (s *scanner) subjects() Subjects {
	from := s.at
	n := s.count(majorArray)
	if n == 0 || n > MaxSubjects {
		s.fail()
		return nil
	}
	var seen [MaxSubjects][]byte
	for i := range n {
		seen[i] = s.bytes(MaxSubject)
		if len(seen[i]) == 0 {
			s.fail()
		}
		for _, other := range seen[:i] {
			if bytes.Equal(seen[i], other) {
				s.fail()
			}
		}
		if s.bad {
			return nil
		}
	}
	return Subjects(s.b[from:s.at:s.at])
}
