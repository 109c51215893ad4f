package mongostore_test

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/carryon-go/carryon/fallback/mongostore"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
)

// The client connects on first use. A program would call Migrate at startup,
// which connects.
func Example() {
	client, err := mongo.Connect(options.Client().ApplyURI("mongodb://10.0.0.1,10.0.0.2,10.0.0.3/?replicaSet=rs0"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Disconnect(context.Background())
	store, err := mongostore.New(client.Database("app").Collection(mongostore.DefaultCollection), mongostore.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	keys, err := keyring.Generate(time.Now())
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = middleware.New(middleware.Config{Keys: keys, Fallback: middleware.Fallback{Store: store}})
	fmt.Println(err)
	// Output: <nil>
}
