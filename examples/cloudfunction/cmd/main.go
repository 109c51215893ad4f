// Command cmd runs the function on this machine, like Google's buildpack:
//
//	CARRYON_KEYS=$(carryon keys init -) FUNCTION_TARGET=Visits go run ./cmd
package main

import (
	"cmp"
	"log"
	"os"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	_ "github.com/carryon-go/carryon/examples/cloudfunction"
)

func main() {
	log.Fatal(funcframework.StartHostPort("127.0.0.1", cmp.Or(os.Getenv("PORT"), "8080")))
}
