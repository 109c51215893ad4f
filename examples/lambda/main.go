// Command lambda serves the playground's page and API as an AWS Lambda
// function behind an API Gateway REST or HTTP API, a function URL or a load
// balancer. docs/serverless.md describes the setup of each.
//
//	CGO_ENABLED=0 GOOS=linux GOARCH=arm64 go build -tags lambda.norpc -trimpath -ldflags "-s -w" -o bootstrap ./examples/lambda
//	zip function.zip bootstrap
//
// Environment variables:
//
//	CARRYON_KEYS      the key ring itself, as "carryon keys init -" prints it; or
//	CARRYON_SECRET    the name of the secret in AWS Secrets Manager that holds it
//	CARRYON_RELOAD    how old a ring from there may be, default 1m
//	CARRYON_STORE     dynamodb:TABLE, redis://… or rediss://…, for sessions that are too large for cookies; optional
//	CARRYON_PLATFORM  the platform whose limits apply, such as alb; default apigateway
//	CARRYON_FIXED_NAME  1: one cookie, for a load balancer without multi-value headers
//	CARRYON_STREAM    1: the function URL streams (InvokeMode RESPONSE_STREAM)
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/redis/go-redis/v9"

	"github.com/carryon-go/carryon/examples/internal/playground"
	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/dynamostore"
	"github.com/carryon-go/carryon/fallback/redisstore"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/lambdasession"
)

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	if err := run(context.Background()); err != nil {
		slog.Error("lambda: the function cannot start", "error", err)
		os.Exit(1)
	}
}

// run serves requests; it returns only if it cannot start.
func run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 9*time.Second) // Lambda allows ten seconds for a start
	defer cancel()
	keys, err := openKeys(ctx)
	if err != nil {
		return err
	}
	store, err := openStore(ctx, os.Getenv("CARRYON_STORE"))
	if err != nil {
		return err
	}
	platform, set := os.LookupEnv("CARRYON_PLATFORM")
	if !set {
		platform = string(middleware.APIGateway)
	}
	o := playground.Options{
		Name: middleware.DefaultName, Limits: platform, FixedName: os.Getenv("CARRYON_FIXED_NAME") == "1",
		Lifetime: middleware.DefaultLifetime, Idle: middleware.DefaultIdleTimeout,
	}
	c := o.Config(keys)
	if store != nil {
		c.Fallback.Store = store
		o.Store, _, _ = strings.Cut(os.Getenv("CARRYON_STORE"), ":")
	}
	sessions, err := middleware.New(c)
	if err != nil {
		return err
	}
	var list []lambdasession.Option
	if os.Getenv("CARRYON_STREAM") == "1" {
		list = append(list, lambdasession.Stream(lambdasession.FunctionURL))
	}
	lambdasession.Start(playground.New(sessions, o), list...)
	return nil
}

// openKeys reads the ring at startup. A ring from a secret is read again when
// a request finds that it is old, because a frozen process has no timer.
func openKeys(ctx context.Context) (keyring.Provider, error) {
	secret := os.Getenv("CARRYON_SECRET")
	if secret == "" {
		return keyring.Open(ctx, keyring.Env("CARRYON_KEYS"))
	}
	var every time.Duration // 0 means the default
	if text := os.Getenv("CARRYON_RELOAD"); text != "" {
		var err error
		if every, err = time.ParseDuration(text); err != nil {
			return nil, fmt.Errorf("CARRYON_RELOAD is %q; it must be a duration such as 1m", text)
		}
	}
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	client := secretsmanager.NewFromConfig(settings)
	return keyring.Open(ctx, keyring.Func(func(ctx context.Context) ([]byte, error) {
		out, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &secret})
		if err != nil {
			return nil, err
		}
		if out.SecretString == nil {
			return nil, errors.New("the secret contains no text")
		}
		return []byte(*out.SecretString), nil
	}), keyring.ReloadEvery(every))
}

// openStore does not contact the store, so that a start does not wait for it.
// The DynamoDB table must exist: call dynamostore.Store.Migrate and Check when
// you deploy the function.
func openStore(ctx context.Context, address string) (fallback.Store, error) {
	if address == "" {
		return nil, nil
	}
	if table, found := strings.CutPrefix(address, "dynamodb:"); found {
		settings, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return nil, err
		}
		return dynamostore.New(dynamodb.NewFromConfig(settings, dynamostore.ClientOptions), dynamostore.Options{Table: table})
	}
	o, err := redis.ParseURL(address)
	if err != nil {
		return nil, errors.New("CARRYON_STORE cannot be read; write dynamodb:TABLE, or redis://user:password@host:6379/0")
	}
	client := redisstore.NewClient(&redis.UniversalOptions{ // a process handles one event at a time
		Addrs: []string{o.Addr}, Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLSConfig, PoolSize: 2,
	})
	return redisstore.New(client, redisstore.Options{})
}
