// Command rotation-lambda is a rotation function of AWS Secrets Manager: it
// rotates a key ring that is kept there, on the schedule that Secrets Manager
// keeps. README.md says how to build it, what it may do, and how to set it up.
//
// Secrets Manager calls it four times for each rotation:
//
//	createSecret  puts a ring with one more key, which is staged, as AWSPENDING
//	setSecret     does nothing: there is no database to tell
//	testSecret    looks whether anyone would lose a session to the pending ring
//	finishSecret  looks again, and makes it AWSCURRENT
//
// A staged key opens and does not seal yet, so a ring can be published at any
// time: the servers see it within a minute or so, and go over to the new key
// together when its hour comes. What AWS calls pending, current and previous are
// versions of the whole ring, and not the keys in it.
//
// Each step can be repeated, and can fail, at any time. Whatever happens, the
// current version is a good ring, and nobody is logged out.
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

// minActivateIn is longer than a server takes to see a ring that looks once a
// minute, as keyring.Func does, and meets a service that fails the first time.
const minActivateIn = 2 * time.Minute

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil))) // CloudWatch reads it
	r, err := newRotator(context.Background(), os.Getenv)
	if err != nil {
		slog.Error("rotation-lambda: cannot start", "error", err.Error())
		os.Exit(1)
	}
	lambda.Start(r.handle)
}

// newRotator takes its settings from the environment.
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

// readPolicy reads how long a key is staged (CARRYON_ACTIVATE_IN), for how long
// it opens after it has retired (CARRYON_OVERLAP) and, to compare the latter
// with, how long sessions live (CARRYON_LIFETIME).
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
		return p, fmt.Errorf("rotation-lambda: CARRYON_OVERLAP is %v, and must be at least CARRYON_LIFETIME and CARRYON_ACTIVATE_IN together, %v: sessions would outlive the key that sealed them", p.Overlap, least)
	}
	return p, nil
}
