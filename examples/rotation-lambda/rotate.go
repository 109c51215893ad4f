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

// rotator carries out the steps.
type rotator struct {
	client *secretsmanager.Client
	policy keyring.Policy
	now    func() time.Time
}

// handle carries out one step. It returns an error for what Secrets Manager
// should repeat, or tell somebody of: it does both.
func (r *rotator) handle(ctx context.Context, e event) error {
	step := map[string]func(context.Context, event) error{
		"createSecret": r.create,
		"setSecret":    func(context.Context, event) error { return nil },
		"testSecret":   r.test,
		"finishSecret": r.finish,
	}[e.Step]
	if step == nil {
		return fmt.Errorf("rotation-lambda: there is no step %q; this function is to be called by Secrets Manager only", e.Step)
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

// admit looks whether Secrets Manager really is rotating the secret to this
// version. It is done if the version is current: a step comes a second time.
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

// create puts the next ring as the version that is pending. If it is there
// already, this step was carried out before: another ring, with another key,
// could not take its place.
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
		return nil // another call of this step was faster; testSecret judges what it put
	}
	return err
}

// next returns the text of the ring that comes after old. While a key is staged
// that is old itself: somebody has rotated less than the propagation delay ago,
// by hand or by a second rotation. One more key would bring nothing but keys
// in an order that nobody planned; an error would bring an alarm and repetitions
// for a ring that is as it should be. So the rotation goes through, and changes
// nothing.
func (r *rotator) next(old *ringVersion) ([]byte, error) {
	next, change, err := old.ring.Rotate(r.now(), r.policy)
	var staged *keyring.StagedError
	if errors.As(err, &staged) {
		slog.Info("rotation-lambda: a key is staged already, so the ring stays as it is", "key", staged.ID.String(), "active", staged.Activates)
		return old.text, nil
	}
	if err != nil {
		return nil, err
	}
	slog.Info("rotation-lambda: key added", "key", change.Added.ID().String(), "active", change.Added.Activates(), "ring", next.Fingerprint())
	return next.Marshal()
}

// test judges the pending ring.
func (r *rotator) test(ctx context.Context, e event) error {
	_, err := r.judge(ctx, e)
	return err
}

// finish makes the pending version the current one. It judges once more: time
// has passed, and somebody may have put another ring meanwhile, to revoke a key
// for example, which must not be undone. Should that happen between the two
// calls, Secrets Manager refuses the second: it names the version that was
// current when it was judged.
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
