package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/examples/awssecretsmanager/managertest"
	"github.com/carryon-go/carryon/keyring"
)

// givenUp checks that a step has refused the pending ring, that the current
// one is unchanged, and that the next rotation works.
func (r *rotation) givenUp(err error, why string) {
	r.Helper()
	require.ErrorContains(r, err, why)
	require.ErrorContains(r, err, "not pending any more")
	require.Empty(r, r.version(managertest.Pending))
	r.rotate()
}

// Up to half of the delay may pass between the steps. After that, the servers
// would have too little time to see the new key before it seals.
func TestPendingRingGrowsOld(t *testing.T) {
	for _, step := range []string{"testSecret", "finishSecret"} {
		t.Run(step, func(t *testing.T) {
			r := newRotation(t)
			was, token := r.version(managertest.Current), r.begin()
			require.NoError(t, r.step("createSecret", token))
			r.now = r.now.Add(29 * time.Minute)
			require.NoError(t, r.step("testSecret", token))
			r.now = r.now.Add(2 * time.Minute)
			err := r.step(step, token)
			require.Equal(t, was, r.version(managertest.Current))
			r.givenUp(err, "is new and would seal")
		})
	}
}

// A rotation does not undo a concurrent revocation.
func TestRevocationDuringARotation(t *testing.T) {
	for _, step := range []string{"testSecret", "finishSecret"} {
		t.Run(step, func(t *testing.T) {
			r := newRotation(t)
			token := r.begin()
			require.NoError(t, r.step("createSecret", token))
			leaked := r.ring(managertest.Current).Active(r.now).ID()
			ring, _, err := r.ring(managertest.Current).Revoke(leaked, r.now)
			require.NoError(t, err)
			r.put(ring)
			r.givenUp(r.step(step, token), "key "+leaked.String()+" is revoked in the old ring and would come back")
			_, state := r.ring(managertest.Current).Find(leaked, r.now)
			require.Equal(t, keyring.Revoked, state)
		})
	}
}

// The latest moment for another ring is after the check in finishSecret.
// Secrets Manager then refuses to move the label.
func TestRevocationAtTheLastMoment(t *testing.T) {
	r := newRotation(t)
	token := r.begin()
	require.NoError(t, r.step("createSecret", token))
	leaked := r.ring(managertest.Current).Active(r.now).ID()
	ring, _, err := r.ring(managertest.Current).Revoke(leaked, r.now)
	require.NoError(t, err)
	r.aws.FailCalls(func(call string) error {
		if call == "UpdateSecretVersionStage" {
			r.aws.FailCalls(nil)
			r.put(ring)
		}
		return nil
	})
	require.ErrorContains(t, r.step("finishSecret", token), "InvalidParameterException")
	require.Equal(t, ring.Fingerprint(), r.ring(managertest.Current).Fingerprint())
	// Secrets Manager repeats the steps with the same token.
	require.NoError(t, r.step("createSecret", token))
	r.givenUp(r.step("testSecret", token), "would come back")
}

// Someone has stored something else as AWSPENDING.
func TestPendingIsNotTheNextRing(t *testing.T) {
	other, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	text, err := other.Marshal()
	require.NoError(t, err)
	for title, test := range map[string]struct{ text, why string }{
		"no ring":      {"{}", "keyring"},
		"another ring": {string(text), "would be missing"},
	} {
		t.Run(title, func(t *testing.T) {
			r := newRotation(t)
			was, token := r.version(managertest.Current), r.begin()
			r.aws.PutPending(name, token, test.text)
			require.NoError(t, r.step("createSecret", token))
			err := r.step("finishSecret", token)
			require.Equal(t, was, r.version(managertest.Current))
			r.givenUp(err, test.why)
		})
	}
}
