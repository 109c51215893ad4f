package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/carryon-go/carryon/keyring"
)

// The staging labels that Secrets Manager defines.
const (
	current = "AWSCURRENT"
	pending = "AWSPENDING"
)

type event = events.SecretsManagerSecretRotationEvent

// rotator performs the steps.
type rotator struct {
	client *secretsmanager.Client
	policy keyring.Policy
	now    func() time.Time
}

// handle performs one step. It returns an error for a step that Secrets
// Manager should repeat and report.
func (r *rotator) handle(ctx context.Context, e event) error {
	step := map[string]func(context.Context, event) error{
		"createSecret": r.create,
		"setSecret":    func(context.Context, event) error { return nil },
		"testSecret":   r.test,
		"finishSecret": r.finish,
	}[e.Step]
	if step == nil {
		return fmt.Errorf("rotation-lambda: there is no step %q; only Secrets Manager may call this function", e.Step)
	}
	done, err := r.admit(ctx, e)
	if err == nil && !done {
		err = step(ctx, e)
	}
	if err != nil {
		slog.Error("rotation-lambda: step failed", "step", e.Step, "secret", e.SecretID, "version", e.ClientRequestToken, "error", err.Error())
		return err
	}
	slog.Info("rotation-lambda: step done", "step", e.Step, "secret", e.SecretID, "version", e.ClientRequestToken)
	return nil
}

// admit checks that Secrets Manager is rotating the secret to this version.
// done means that the version is already current, because the step is
// repeated.
func (r *rotator) admit(ctx context.Context, e event) (done bool, err error) {
	secret, err := r.client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &e.SecretID})
	if err != nil {
		return false, err
	}
	labels, known := secret.VersionIdsToStages[e.ClientRequestToken]
	switch {
	case !aws.ToBool(secret.RotationEnabled):
		return false, errors.New("rotation-lambda: rotation is not enabled for this secret; run: aws secretsmanager rotate-secret")
	case !known:
		return false, errors.New("rotation-lambda: the secret has no version of this token to rotate to")
	case slices.Contains(labels, current):
		return true, nil
	case !slices.Contains(labels, pending):
		return false, errors.New("rotation-lambda: the version of this token is not labelled AWSPENDING, so no rotation leads to it")
	}
	return false, nil
}

// create stores the next ring as the pending version. If there is a pending
// ring, the step was performed before; a new ring would have another key and
// cannot replace it.
func (r *rotator) create(ctx context.Context, e event) error {
	var missing *types.ResourceNotFoundException
	if _, err := r.value(ctx, e, pending); !errors.As(err, &missing) {
		return err
	}
	old, err := r.read(ctx, e, current)
	if err != nil {
		return err
	}
	text, err := r.next(old)
	if err != nil {
		return err
	}
	put := &secretsmanager.PutSecretValueInput{
		SecretId: &e.SecretID, ClientRequestToken: &e.ClientRequestToken, VersionStages: []string{pending},
	}
	if e.RotationToken != "" { // the caller is an assumed role, or another account
		put.RotationToken = &e.RotationToken
	}
	if old.binary {
		put.SecretBinary = text
	} else {
		put.SecretString = aws.String(string(text))
	}
	_, err = r.client.PutSecretValue(ctx, put)
	var exists *types.ResourceExistsException
	if errors.As(err, &exists) {
		return nil // another call of this step was faster; testSecret checks its ring
	}
	return err
}

// next returns the text of the ring that follows old. While a key is staged,
// that is old itself: someone has rotated within the propagation delay, by
// hand or with a second rotation. Another key would only lead to an unplanned
// order of keys. An error would cause an alarm and retries although the ring
// is correct. So the rotation succeeds without a change.
func (r *rotator) next(old *ringVersion) ([]byte, error) {
	next, change, err := old.ring.Rotate(r.now(), r.policy)
	var staged *keyring.StagedError
	if errors.As(err, &staged) {
		slog.Info("rotation-lambda: a key is already staged, so the ring is unchanged", "key", staged.ID.String(), "active", staged.Activates)
		return old.text, nil
	}
	if err != nil {
		return nil, err
	}
	slog.Info("rotation-lambda: key added", "key", change.Added.ID().String(), "active", change.Added.Activates(), "ring", next.Fingerprint())
	return next.Marshal()
}

// test checks the pending ring.
func (r *rotator) test(ctx context.Context, e event) error {
	_, err := r.judge(ctx, e)
	return err
}

// finish makes the pending version current. It checks the ring again, because
// time has passed. Someone may also have stored another ring, for example to
// revoke a key, which must not be undone. If that happens between the two
// calls, Secrets Manager refuses the second one, because it names the version
// that was current during the check.
func (r *rotator) finish(ctx context.Context, e event) error {
	old, err := r.judge(ctx, e)
	if err != nil {
		return err
	}
	_, err = r.client.UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: &e.SecretID, VersionStage: aws.String(current),
		MoveToVersionId: &e.ClientRequestToken, RemoveFromVersionId: &old.id,
	})
	return err
}
