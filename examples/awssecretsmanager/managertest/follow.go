package managertest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
)

// A Manager is a secret manager with one secret, as its operator sees it.
type Manager struct {
	Put   func(text string) // makes the text the current version
	Break func(broken bool) // makes every call fail, or stops that
	Env   []string          // environment of the program
	Args  []string          // its arguments, in addition to -addr and -every
}

// story is one run of [Follow].
type story struct {
	*testing.T
	Manager
	program *Program
	rings   []*keyring.Ring
	ada     *Visitor
}

// Follow runs the program through the life of its ring: a rotation without
// effect on visitors, a manager that fails, an older ring that comes back for
// a while, an invalid ring, a restart, and a start without a ring.
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

// rotate stores a ring with a staged key. Every program can open cookies of
// the new key before the first program seals with it.
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
	if time.Now().Before(change.Added.Activates()) { // otherwise this machine was too slow to see it
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

// failure checks that a program continues with the last good ring, for
// existing sessions and for new logins, and that it logs the failure.
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

// follow rotates once more, to check that the program follows.
func (s *story) follow() {
	next, _, err := s.ring().Rotate(time.Now(), keyring.Policy{})
	if err != nil { // the last ring's key is staged for an hour
		next, _, err = s.ring().Rotate(time.Now(), keyring.Policy{AllowStaged: true, ActivateIn: 2 * time.Hour})
	}
	require.NoError(s, err)
	s.put(next)
	waitFor(s, s.program, "the ring after the failure", func() bool {
		s.ada.Greeted("Ada")
		return strings.Contains(s.program.Log(), next.Fingerprint())
	})
}

// rollback stores the first ring again, like someone who restores an old
// version. Sessions of the second key are not recognised, but no visitor loses
// a cookie, and they are recognised again when the newer ring is back.
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

// brokenRing stores invalid rings: half a ring, and nothing.
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

// restart checks that sessions are in the cookies and the keys in the manager.
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

// startWithoutManager checks that a program makes no ring of its own.
func (s *story) startWithoutManager() {
	s.Break(true)
	p := s.run()
	require.Empty(s, p.URL, "the program started without a ring")
	require.NotZero(s, p.Stop())
	require.Contains(s, p.Log(), "cannot read the ring")
	noSecrets(s, p.Log(), s.rings...)
	s.Break(false)
}
