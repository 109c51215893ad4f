//go:build unix

package keyring_test

import (
	"context"
	"fmt"
	"os"

	"github.com/carryon-go/carryon/keyring"
)

func ExampleFile() {
	home, _ := os.Getwd()
	dir := mustTempDir()
	defer os.RemoveAll(dir)
	os.Chdir(dir)
	defer os.Chdir(home)
	os.WriteFile("ring.json", []byte("{}"), 0o600)
	os.Chmod("ring.json", 0o644)

	_, err := keyring.Open(context.Background(), keyring.File("ring.json"))
	fmt.Println(err)
	// Output: keyring: cannot read the ring from the file ring.json: its mode is 0644, so other users can read or change the keys; run: chmod 600 ring.json
}
