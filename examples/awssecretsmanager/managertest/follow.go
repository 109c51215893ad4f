package managertest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
)

// A Manager is a secret manager with one secret, seen from its operator.
type Manager struct {
	Put   func(text string) // makes it the current version
	Break func(broken bool) // has every call fail, or ends that
	Env   []string          // the environment of the program
	Args  []string          // and its arguments, beside -addr and -every
}

// story is one run of [Follow].
type story struct {
	*testing.T
	Manager
	program *Program
	rings   []*keyring.Ring
	ada     *Visitor
}

// Follow runs the program through the life of its ring: a rotation that nobody
// notices but by the key of new sessions, a manager that fails, an older ring that
// comes back for a while, a ring that is broken, a restart, and a start without a ring.
func Follow(t *testing.T, m Manager) {
	s := &story{T: t, Manager: m}
	s.start()
	s.rotate()
	s.failure()
	s.rollback()
	s.brokenRing()
	s.restart()
	s.startWithoutManager()
}

func (s *story) run() *Program {
	return Start(s, s.Env, append([]string{"-addr", "127.0.0.1:0", "-every", "100ms"}, s.Args...)...)
}

// put makes the ring the current version.
func (s *story) put(ring *keyring.Ring) {
	s.rings = append(s.rings, ring)
	s.Put(marshal(s, ring))
}

func (s *story) ring() *keyring.Ring { return s.rings[len(s.rings)-1] }

func (s *story) start() {
	ring, err := keyring.Generate(time.Now().Add(-time.Hour))
	require.NoError(s, err)
	s.put(ring)
	s.program = s.run()
	require.NotEmpty(s, s.program.URL, "the program does not start: %s", s.program.Log())
	s.ada = NewVisitor(s, s.program).Login("Ada")
	require.Equal(s, ring.Active(time.Now()).ID(), s.ada.KeyID())
}

// rotate puts a ring with a staged key. Every program opens what the new key
// seals before the first one seals with it.
func (s *story) rotate() {
	old := s.ring().Active(time.Now()).ID()
	next, change, err := s.ring().Rotate(time.Now(), keyring.Policy{ActivateIn: 3 * time.Second})
	require.NoError(s, err)
	s.put(next)
	waitFor(s, s.program, "the new ring", func() bool {
		s.ada.Greeted("Ada")
		return strings.Contains(s.program.Log(), next.Fingerprint())
	})
	bob := NewVisitor(s, s.program).Login("Bob")
	if time.Now().Before(change.Added.Activates()) { // else this machine was too slow to see it
		require.Equal(s, old, bob.KeyID(), "a staged key must not seal")
	}
	waitFor(s, s.program, "a session that the new key has sealed", func() bool {
		return NewVisitor(s, s.program).Login("Carol").KeyID() == change.Added.ID()
	})
	require.False(s, time.Now().Before(change.Added.Activates()))
	s.ada.Greeted("Ada")
	bob.Greeted("Bob")
	bob.Logout()
}

// failure shows that a program goes on with the last good ring, for those who
// are logged in and for those who log in, and that its log says so.
func (s *story) failure() {
	s.Break(true)
	waitFor(s, s.program, "an event of the failure", func() bool {
		s.ada.Greeted("Ada")
		return strings.Contains(s.program.Log(), "going on with the last good ring")
	})
	NewVisitor(s, s.program).Login("Dora").Greeted("Dora")
	s.Break(false)
	s.follow()
}

// follow rotates once more, to see that the program follows.
func (s *story) follow() {
	next, _, err := s.ring().Rotate(time.Now(), keyring.Policy{})
	if err != nil { // the last one's key is staged for an hour
		next, _, err = s.ring().Rotate(time.Now(), keyring.Policy{AllowStaged: true, ActivateIn: 2 * time.Hour})
	}
	require.NoError(s, err)
	s.put(next)
	waitFor(s, s.program, "the ring after the failure", func() bool {
		s.ada.Greeted("Ada")
		return strings.Contains(s.program.Log(), next.Fingerprint())
	})
}

// rollback puts the first ring again, as somebody does who restores an old
// version: sessions of the second key are not recognised, but nobody loses a
// cookie, and all is well when the newer ring is back.
func (s *story) rollback() {
	carol := NewVisitor(s, s.program).Login("Carol")
	newest := s.ring()
	s.put(s.rings[0])
	waitFor(s, s.program, "an event of the older ring", func() bool {
		NewVisitor(s, s.program).Login("Eve")
		return strings.Contains(s.program.Log(), "is it an older ring?")
	})
	carol.Greeted("stranger")
	s.put(newest)
	waitFor(s, s.program, "the visitor of the newest ring", func() bool { return carol.Home() == "hello Carol\n" })
	s.ada.Greeted("Ada")
}

// brokenRing puts what is no ring: half of one, and nothing at all.
func (s *story) brokenRing() {
	whole := marshal(s, s.ring())
	for _, text := range []string{whole[:len(whole)/2], " "} {
		count := strings.Count(s.program.Log(), "reload failed")
		s.Put(text)
		waitFor(s, s.program, "an event of the broken ring", func() bool {
			s.ada.Greeted("Ada")
			return strings.Count(s.program.Log(), "reload failed") > count
		})
		s.follow()
	}
}

// restart shows that sessions are in the cookies and the keys in the manager.
func (s *story) restart() {
	log := s.program.Log()
	require.Zero(s, s.program.Stop(), log)
	noSecrets(s, log, s.rings...)
	s.program = s.run()
	s.ada.MoveTo(s.program)
	s.ada.Greeted("Ada")
	s.ada.Logout()
	require.Zero(s, s.program.Stop())
}

// startWithoutManager shows that a program makes no ring of its own.
func (s *story) startWithoutManager() {
	s.Break(true)
	p := s.run()
	require.Empty(s, p.URL, "the program started without a ring")
	require.NotZero(s, p.Stop())
	require.Contains(s, p.Log(), "cannot read the ring")
	noSecrets(s, p.Log(), s.rings...)
	s.Break(false)
}
