// Command rotation-lambda is a rotation function for AWS Secrets Manager. It
// rotates a key ring that is stored there, on the schedule of Secrets Manager.
// README.md describes how to build it, its permissions, and the setup.
//
// Secrets Manager calls it four times for each rotation:
//
//	createSecret  stores a ring with one more key, which is staged, as AWSPENDING
//	setSecret     does nothing, because there is no database to update
//	testSecret    checks whether the pending ring would lose any session
//	finishSecret  checks again, and makes it AWSCURRENT
//
// A staged key opens and does not seal yet, so a ring can be published at any
// time. The servers see it within about a minute, and switch to the new key
// together at its activation. The labels pending, current and previous of AWS
// apply to versions of the whole ring, not to keys in it.
//
// Each step can be repeated and can fail at any time. In every case the
// current version is a valid ring, and no one is logged out.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/carryon-go/carryon/keyring"
)

// minActivateIn is longer than a server needs to see a ring if it reads once a
// minute, like keyring.Func, and the first read fails.
const minActivateIn = 2 * time.Minute

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil))) // for CloudWatch
	r, err := newRotator(context.Background(), os.Getenv)
	if err != nil {
		slog.Error("rotation-lambda: cannot start", "error", err.Error())
		os.Exit(1)
	}
	lambda.Start(r.handle)
}

// newRotator reads its settings from the environment.
func newRotator(ctx context.Context, env func(string) string) (*rotator, error) {
	policy, err := readPolicy(env)
	if err != nil {
		return nil, err
	}
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	return &rotator{secretsmanager.NewFromConfig(settings), policy, time.Now}, nil
}

// readPolicy reads how long a key is staged (CARRYON_ACTIVATE_IN), how long it
// opens after it retired (CARRYON_OVERLAP), and the lifetime of sessions, to
// check the overlap (CARRYON_LIFETIME).
func readPolicy(env func(string) string) (p keyring.Policy, err error) {
	for _, setting := range []struct {
		name    string
		value   *time.Duration
		initial time.Duration
		least   time.Duration
	}{
		{"CARRYON_ACTIVATE_IN", &p.ActivateIn, keyring.DefaultActivateIn, minActivateIn},
		{"CARRYON_OVERLAP", &p.Overlap, keyring.DefaultOverlap, time.Minute},
		{"CARRYON_LIFETIME", &p.Lifetime, 24 * time.Hour, time.Minute},
	} {
		*setting.value, err = time.ParseDuration(cmp.Or(env(setting.name), setting.initial.String()))
		if err != nil || *setting.value < setting.least || *setting.value > keyring.MaxPolicy {
			return p, fmt.Errorf("rotation-lambda: %s must be a duration of %v to %v, such as 1h or 768h", setting.name, setting.least, keyring.MaxPolicy)
		}
	}
	if least := p.Lifetime + p.ActivateIn; p.Overlap < least {
		return p, fmt.Errorf("rotation-lambda: CARRYON_OVERLAP is %v, and must be at least CARRYON_LIFETIME plus CARRYON_ACTIVATE_IN, %v: sessions would outlive the key that sealed them", p.Overlap, least)
	}
	return p, nil
}
