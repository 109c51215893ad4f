package scsstore_test

import (
	"fmt"
	"time"

	"github.com/alexedwards/scs/v2/memstore"

	"github.com/carryon-go/carryon/fallback/scsstore"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
)

// Any store of scs works; this example uses memstore.
func Example() {
	store, err := scsstore.New(memstore.New(), scsstore.Options{Prefix: "shop:"})
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
