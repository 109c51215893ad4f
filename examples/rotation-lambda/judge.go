package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/carryon-go/carryon/keyring"
)

// ringVersion is a version of the secret.
type ringVersion struct {
	id     string
	text   []byte
	binary bool
	ring   *keyring.Ring
}

// value reads the version with the label. The pending version must be that of
// the event.
func (r *rotator) value(ctx context.Context, e event, label string) (*ringVersion, error) {
	in := &secretsmanager.GetSecretValueInput{SecretId: &e.SecretID, VersionStage: &label}
	if label == pending {
		in.VersionId = &e.ClientRequestToken
	}
	out, err := r.client.GetSecretValue(ctx, in)
	if err != nil {
		return nil, err
	}
	v := &ringVersion{id: aws.ToString(out.VersionId), text: []byte(aws.ToString(out.SecretString))}
	if out.SecretString == nil {
		v.text, v.binary = out.SecretBinary, true
	}
	return v, nil
}

// read is value, but the version must be a ring.
func (r *rotator) read(ctx context.Context, e event, label string) (*ringVersion, error) {
	v, err := r.value(ctx, e, label)
	if err == nil {
		v.ring, err = keyring.Parse(v.text)
	}
	if err != nil {
		return nil, fmt.Errorf("rotation-lambda: the version %s is not a valid ring: %w", label, err)
	}
	return v, nil
}

// judge returns the current version if the pending one may replace it.
// Otherwise it gives up the pending one.
func (r *rotator) judge(ctx context.Context, e event) (*ringVersion, error) {
	old, err := r.read(ctx, e, current)
	if err != nil {
		return nil, err
	}
	next, err := r.value(ctx, e, pending)
	if err != nil {
		return nil, err
	}
	if err := r.safe(old, next); err != nil {
		return nil, r.giveUp(ctx, e, err)
	}
	return old, nil
}

// safe returns an error if next must not replace old now because sessions
// would be lost. It ignores losses that old itself causes, because a rotation
// cannot repair them and must not stop for them. Up to half of the time for
// which the new key is staged may have passed; the servers need the rest to
// see the key.
func (r *rotator) safe(old, next *ringVersion) error {
	ring, err := keyring.Parse(next.text)
	if err != nil {
		return err
	}
	policy, now := r.policy, r.now()
	policy.ActivateIn /= 2
	before, err := old.ring.Check(now, policy)
	if err != nil {
		return err
	}
	after, err := old.ring.CheckNext(ring, now, policy)
	for _, p := range after {
		if p.Loses && !slices.Contains(before, p) {
			err = errors.Join(err, errors.New(p.String()))
		}
	}
	return err
}

// giveUp removes the label AWSPENDING from a version that must not be
// published. A version cannot be changed, and Secrets Manager starts no other
// rotation while one is pending, so someone would otherwise have to remove it
// by hand.
func (r *rotator) giveUp(ctx context.Context, e event, why error) error {
	_, err := r.client.UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: &e.SecretID, VersionStage: aws.String(pending), RemoveFromVersionId: &e.ClientRequestToken,
	})
	if err != nil {
		return fmt.Errorf("rotation-lambda: the pending ring must not be published, and AWSPENDING could not be removed from it: %w", errors.Join(why, err))
	}
	return fmt.Errorf("rotation-lambda: the pending ring must not be published, so it is not pending any more; the next rotation makes a new one, or start it now with: aws secretsmanager rotate-secret --secret-id ID: %w", why)
}
