package main

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/examples/awssecretsmanager/managertest"
	"github.com/carryon-go/carryon/keyring"
)

const name = "carryon/session-keys"

// rotation is the function with its secret.
type rotation struct {
	*testing.T
	aws      *managertest.AWS
	function *rotator
	now      time.Time
}

// newRotation makes a ring with one key of an hour ago, and the function with
// default settings.
func newRotation(t *testing.T) *rotation {
	aws := managertest.NewAWS(t)
	aws.Setenv(t)
	t.Setenv("AWS_MAX_ATTEMPTS", "1") // the SDK must not retry planned failures
	function, err := newRotator(t.Context(), func(string) string { return "" })
	require.NoError(t, err)
	r := &rotation{t, aws, function, time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)}
	function.now = func() time.Time { return r.now }
	ring, err := keyring.Generate(r.now.Add(-time.Hour))
	require.NoError(t, err)
	r.put(ring)
	aws.EnableRotation(name, true)
	return r
}

// put makes the ring current, like an operator by hand.
func (r *rotation) put(ring *keyring.Ring) string {
	text, err := ring.Marshal()
	require.NoError(r, err)
	return r.aws.PutSecret(name, string(text))
}

func (r *rotation) ring(label string) *keyring.Ring {
	r.Helper()
	_, text := r.aws.Version(name, label)
	ring, err := keyring.Parse([]byte(text))
	require.NoError(r, err)
	return ring
}

func (r *rotation) version(label string) string {
	id, _ := r.aws.Version(name, label)
	return id
}

func (r *rotation) begin() (token string) {
	r.Helper()
	token, err := r.aws.BeginRotation(name)
	require.NoError(r, err)
	return token
}

// step sends the event of a step as JSON, like Lambda.
func (r *rotation) step(step, token string) error {
	return r.send(map[string]string{"Step": step, "SecretId": r.aws.ARN(name), "ClientRequestToken": token})
}

func (r *rotation) send(event map[string]string) error {
	text, err := json.Marshal(event)
	require.NoError(r, err)
	_, err = lambda.NewHandler(r.function.handle).Invoke(context.Background(), text)
	return err
}

// rotate performs a whole rotation.
func (r *rotation) rotate() {
	r.Helper()
	token := r.begin()
	for _, step := range []string{"createSecret", "setSecret", "testSecret", "finishSecret"} {
		require.NoError(r, r.step(step, token), step)
	}
	require.Equal(r, token, r.version(managertest.Current))
}

func TestRotationStep(t *testing.T) {
	r := newRotation(t)
	first := r.ring(managertest.Current)
	was, token := r.version(managertest.Current), r.begin()

	require.NoError(t, r.step("createSecret", token))
	next := r.ring(managertest.Pending)
	require.Len(t, next.Keys(), 2)
	added := next.Keys()[1]
	require.Equal(t, keyring.Staged, added.State(r.now))
	require.Equal(t, r.now.Add(time.Hour), added.Activates())
	require.Equal(t, was, r.version(managertest.Current), "the pending version is not published")

	require.NoError(t, r.step("setSecret", token))
	require.NoError(t, r.step("testSecret", token))
	require.Equal(t, was, r.version(managertest.Current))

	require.NoError(t, r.step("finishSecret", token))
	require.Equal(t, token, r.version(managertest.Current))
	require.Equal(t, was, r.version(managertest.Previous))
	require.Equal(t, next.Fingerprint(), r.ring(managertest.Current).Fingerprint())
	require.Equal(t, first.Active(r.now).ID(), next.Active(r.now).ID(), "it does not seal before its time")
	require.Equal(t, added.ID(), next.Active(r.now.Add(time.Hour)).ID())
}

// Lambda calls a step at least once, so it may be repeated.
func TestEveryStepCanBeRepeated(t *testing.T) {
	r := newRotation(t)
	token := r.begin()
	var ring string
	for _, step := range []string{"createSecret", "setSecret", "testSecret", "finishSecret"} {
		for range 3 {
			require.NoError(t, r.step(step, token), step)
			if ring == "" {
				ring = r.ring(managertest.Pending).Fingerprint()
			}
			require.Equal(t, ring, r.ring(managertest.Pending).Fingerprint(), "a second ring was created")
		}
	}
	// The whole rotation is repeated after its end.
	r.aws.EndRotation(name)
	for _, step := range []string{"createSecret", "setSecret", "testSecret", "finishSecret"} {
		require.NoError(t, r.step(step, token), step)
	}
	require.Equal(t, ring, r.ring(managertest.Current).Fingerprint())
}

// Of two concurrent calls of createSecret, the second finds that the version
// exists.
func TestCreateAtTheSameTime(t *testing.T) {
	r := newRotation(t)
	token := r.begin()
	r.aws.FailCalls(func(call string) error {
		if call == "PutSecretValue" {
			r.aws.FailCalls(nil)
			require.NoError(t, r.step("createSecret", token))
		}
		return nil
	})
	require.NoError(t, r.step("createSecret", token))
	require.NoError(t, r.step("testSecret", token))
	require.NoError(t, r.step("finishSecret", token))
	require.Len(t, r.ring(managertest.Current).Keys(), 2)
}

func TestOtherCallsAreRefused(t *testing.T) {
	const nobodys = "00000000-0000-0000-0000-000000000000"
	tests := []struct {
		title, want string
		step        func(r *rotation) error
	}{
		{"no such step", `no step "deleteSecret"`, func(r *rotation) error { return r.step("deleteSecret", r.begin()) }},
		{"an empty event", `no step ""`, func(r *rotation) error { return r.send(nil) }},
		{"no such token", "no version of this token", func(r *rotation) error { return r.step("createSecret", nobodys) }},
		{"no such secret", "ResourceNotFoundException", func(r *rotation) error {
			return r.send(map[string]string{"Step": "createSecret", "SecretId": "other", "ClientRequestToken": r.begin()})
		}},
		{"the version is the previous one", "not labelled AWSPENDING", func(r *rotation) error {
			was := r.version(managertest.Current)
			r.put(r.ring(managertest.Current))
			return r.step("finishSecret", was)
		}},
		{"rotation is off", "not enabled", func(r *rotation) error {
			token := r.begin()
			r.aws.EnableRotation(name, false)
			return r.step("createSecret", token)
		}},
		{"nothing was created", "ResourceNotFoundException", func(r *rotation) error { return r.step("testSecret", r.begin()) }},
		{"nothing was created, at the end", "ResourceNotFoundException", func(r *rotation) error { return r.step("finishSecret", r.begin()) }},
		{"the current version is not a ring", "AWSCURRENT is not a valid ring", func(r *rotation) error {
			r.aws.PutSecret(name, `{"username":"admin"}`)
			return r.step("createSecret", r.begin())
		}},
	}
	for _, test := range tests {
		t.Run(test.title, func(t *testing.T) {
			r := newRotation(t)
			err := test.step(r)
			require.ErrorContains(t, err, test.want)
			for _, call := range r.aws.Calls() {
				require.Contains(t, []string{"DescribeSecret", "GetSecretValue"}, call, "a refused call changes nothing")
			}
		})
	}
}

func TestRotationTokenIsPassedOn(t *testing.T) {
	r := newRotation(t)
	token := r.begin()
	event := map[string]string{"Step": "createSecret", "SecretId": r.aws.ARN(name), "ClientRequestToken": token,
		"RotationToken": "abcd1234-efgh-5678-ijkl-8ab4515a7db0"}
	require.NoError(t, r.send(event))
	require.Equal(t, event["RotationToken"], r.aws.RotationToken(name, token))

	r = newRotation(t)
	token = r.begin()
	require.NoError(t, r.step("createSecret", token))
	require.Empty(t, r.aws.RotationToken(name, token))
}

// A binary secret stays binary, because the servers may not read any other
// kind.
func TestBinarySecretStaysBinary(t *testing.T) {
	r := newRotation(t)
	text, err := r.ring(managertest.Current).Marshal()
	require.NoError(t, err)
	r.aws.PutBinary(name, text)
	r.rotate()
	got, err := r.function.read(t.Context(), event{SecretID: name}, current)
	require.NoError(t, err)
	require.True(t, got.binary)
	require.Len(t, got.ring.Keys(), 2)
}

func TestRotationWhileAKeyIsStagedChangesNothing(t *testing.T) {
	r := newRotation(t)
	r.rotate()
	_, before := r.aws.Version(name, managertest.Current)
	r.now = r.now.Add(30 * time.Minute)
	r.rotate() // succeeds without an alarm
	_, after := r.aws.Version(name, managertest.Current)
	require.Equal(t, before, after)

	r.now = r.now.Add(30 * time.Minute)
	r.rotate()
	require.Len(t, r.ring(managertest.Current).Keys(), 3, "the key is active now")
}

// A key that an operator has staged for a shorter time is the operator's
// decision.
func TestOperatorsShorterDelayIsNoFault(t *testing.T) {
	r := newRotation(t)
	ring, _, err := r.ring(managertest.Current).Rotate(r.now, keyring.Policy{ActivateIn: 10 * time.Minute})
	require.NoError(t, err)
	r.put(ring)
	r.rotate()
	require.Equal(t, ring.Fingerprint(), r.ring(managertest.Current).Fingerprint())
}

func TestSettings(t *testing.T) {
	for _, test := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{}, ""},
		{map[string]string{"CARRYON_ACTIVATE_IN": "10m", "CARRYON_OVERLAP": "49h", "CARRYON_LIFETIME": "48h"}, ""},
		{map[string]string{"CARRYON_ACTIVATE_IN": "0s"}, "CARRYON_ACTIVATE_IN must be a duration of 2m"},
		{map[string]string{"CARRYON_ACTIVATE_IN": "-1h"}, "CARRYON_ACTIVATE_IN must be"},
		{map[string]string{"CARRYON_OVERLAP": "32d"}, "CARRYON_OVERLAP must be"},
		{map[string]string{"CARRYON_OVERLAP": "24h"}, "CARRYON_OVERLAP is 24h0m0s, and must be at least"},
		{map[string]string{"CARRYON_LIFETIME": "768h"}, "must be at least"},
		{map[string]string{"CARRYON_LIFETIME": "90000h"}, "CARRYON_LIFETIME must be"},
	} {
		_, err := readPolicy(func(name string) string { return test.env[name] })
		if test.want == "" {
			require.NoError(t, err, test.env)
		} else {
			require.ErrorContains(t, err, test.want, test.env)
		}
	}
}
