package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/examples/awssecretsmanager/managertest"
	"github.com/carryon-go/carryon/keyring"
)

const (
	day = 24 * time.Hour
	// lifetime is the lifetime of sessions, the default of CARRYON_LIFETIME.
	lifetime = day
)

// year is a fleet that follows the secret while the function rotates it every
// thirty days. One read in five fails, and one call of the function in seven.
// Secrets Manager then repeats the steps.
type year struct {
	*rotation
	chance *rand.Rand
	fleet  []*keyring.Keys
	sealed map[keyring.ID]time.Time // when a key last sealed, on any server

	failures, rotations, restarts int
}

func TestAYearOfRotationsLosesNoSession(t *testing.T) {
	y := &year{rotation: newRotation(t), chance: rand.New(rand.NewPCG(26, 5)), sealed: map[keyring.ID]time.Time{}}
	for _, every := range []time.Duration{time.Minute, 5 * time.Minute, 10 * time.Minute} {
		y.fleet = append(y.fleet, y.server(every))
	}
	for end := y.now.Add(400 * day); y.now.Before(end); {
		y.rotate()
		y.pass(3*time.Hour, 5*time.Minute)
		y.pass(30*day-3*time.Hour, 4*time.Hour)
	}
	t.Logf("%d rotations, %d restarted; %d reads failed; %d keys sealed", y.rotations, y.restarts, y.failures, len(y.sealed))
	require.Len(t, y.sealed, y.rotations+1, "every key has sealed")
	require.Positive(t, y.failures)
	require.Positive(t, y.restarts)
	require.Less(t, len(y.ring(managertest.Current).Keys()), 4, "old keys are pruned")
}

// server follows the secret like examples/awssecretsmanager.
func (y *year) server(every time.Duration) *keyring.Keys {
	opened := false
	fetch := func(context.Context) ([]byte, error) {
		if opened && y.chance.IntN(5) == 0 {
			y.failures++
			return nil, errors.New("the service is busy")
		}
		_, text := y.aws.Version(name, managertest.Current)
		return []byte(text), nil
	}
	keys, err := keyring.Open(y.Context(), keyring.Func(fetch), keyring.ReloadEvery(every),
		keyring.Clock(func() time.Time { return y.now }), keyring.OnReload(func(keyring.ReloadEvent) {}))
	require.NoError(y, err)
	opened = true
	return keys
}

// pass advances the time, with a visit to every server at every step.
func (y *year) pass(d, step time.Duration) {
	y.Helper()
	for end := y.now.Add(d); y.now.Before(end); {
		y.now = y.now.Add(step)
		y.visit()
	}
}

// visit starts a session on every server, and presents every session that may
// still be alive to every server.
func (y *year) visit() {
	y.Helper()
	var rings []*keyring.Ring
	for _, keys := range y.fleet {
		ring := keys.Ring(y.Context())
		y.sealed[ring.Active(y.now).ID()] = y.now
		rings = append(rings, ring)
	}
	for id, at := range y.sealed {
		for i, ring := range rings {
			_, state := ring.Find(id, y.now)
			require.True(y, state.Opens() || y.now.Sub(at) > lifetime, "server %d cannot open what key %v sealed at %v: it is %v", i, id, at, state)
		}
	}
}

// rotate performs a rotation like Secrets Manager: if a step fails, it starts
// again after a while, with the same token as long as that is pending.
func (y *year) rotate() {
	y.Helper()
	y.rotations++
	y.aws.FailCalls(func(string) error {
		if y.chance.IntN(7) == 0 {
			return managertest.Internal()
		}
		return nil
	})
	defer y.aws.FailCalls(nil)
	var token string
	for range 100 {
		if y.version(managertest.Pending) != token || token == "" {
			token = y.begin()
		}
		if y.steps(token) {
			require.Equal(y, token, y.version(managertest.Current))
			return
		}
		y.restarts++
		y.pass(9*time.Minute, 3*time.Minute)
	}
	require.Fail(y, "no rotation in a hundred attempts finished")
}

func (y *year) steps(token string) (done bool) {
	for _, step := range strings.Fields("createSecret setSecret testSecret finishSecret") {
		if y.step(step, token) != nil {
			return false
		}
	}
	return true
}
