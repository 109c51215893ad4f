package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"
	driver "go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/mongostore"
)

// openMongo accepts the same addresses as MongoDB's own programs. The database
// is that of the address, or "carryon". Use readConcernLevel=majority for a
// standalone server.
func openMongo(ctx context.Context, address string) (fallback.Store, func() error, error) {
	o, name, err := mongoOptions(address)
	if err != nil {
		return nil, nil, err
	}
	client, err := mongo.Connect(o)
	if err != nil {
		return nil, nil, errMongoAddress
	}
	done := func() error { return client.Disconnect(context.Background()) }
	store, err := mongostore.New(client.Database(name).Collection(mongostore.DefaultCollection),
		mongostore.Options{MajorityReads: o.ReadConcern != nil && o.ReadConcern.Level == "majority"})
	if err == nil {
		err = askMongo(ctx, store)
	}
	if err != nil {
		_ = done()
		return nil, nil, err
	}
	return store, done, nil
}

// askMongo creates the index and reads a missing record, so that a server
// without the required reads fails now and not for the first visitor.
func askMongo(ctx context.Context, store *mongostore.Store) error {
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	_, err := store.Load(ctx, "playground")
	if errors.Is(err, fallback.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("%w (that option is ?readConcernLevel=majority here)", err)
}

var errMongoAddress = errors.New("the address cannot be read; write mongodb://user:password@host:27017/database?replicaSet=name")

// mongoOptions returns the options and the database's name of an address.
func mongoOptions(address string) (o *driver.ClientOptions, name string, err error) {
	o = driver.Client().ApplyURI(address)
	if o.Validate() != nil { // the driver's error may contain the password
		return nil, "", errMongoAddress
	}
	_, rest, _ := strings.Cut(address, "://")
	rest, _, _ = strings.Cut(rest, "?")
	_, name, _ = strings.Cut(rest, "/")
	if name, err = url.PathUnescape(name); err != nil {
		return nil, "", errMongoAddress
	}
	if name == "" {
		name = "carryon"
	}
	return o, name, nil
}
