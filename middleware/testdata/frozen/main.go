// Command frozen is run by TestNeedsNothingBesideRequests: it opens a ring,
// makes sessions, handles requests, and then waits for ever. The Go runtime
// ends it, for nothing is left that could ever wake it.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

const value session.Key[string] = "value"

func main() {
	goroutines, open := runtime.NumGoroutine(), files()
	keys, err := keyring.Open(context.Background(), keyring.Env("CARRYON_KEYS"))
	if err != nil {
		log.Fatal(err)
	}
	store, err := fallback.NewMemory(fallback.MemoryConfig{})
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := middleware.New(middleware.Config{Keys: keys, Fallback: middleware.Fallback{Store: store}})
	if err != nil {
		log.Fatal(err)
	}
	for range 20 {
		visit(sessions)
	}
	if keys.Refresh(context.Background()); runtime.NumGoroutine() != goroutines || !slices.Equal(files(), open) {
		fmt.Printf("%d goroutines became %d, %q open files %q\n", goroutines, runtime.NumGoroutine(), open, files())
		os.Exit(1)
	}
	fmt.Println("nothing is left over")
	select {}
}

// visit logs in, grows into the store, shrinks, and logs out.
func visit(sessions *middleware.Sessions) {
	jar := &sessiontest.Jar{}
	for _, n := range []int{10, 3000, 60_000, 60_001, 10, -1, 0} {
		handler := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch s := session.From(r.Context()); {
			case n > 0:
				value.Set(s, strings.Repeat("x", n))
			case n < 0:
				s.Renew()
			default:
				s.Destroy()
			}
		}))
		if answer := jar.Do(handler, jar.Request("POST", "/", nil)); answer.StatusCode != http.StatusOK {
			log.Fatal(answer.Status)
		}
	}
}

// files lists the open ones, where the system can tell; not the poller of Go's
// runtime, which the first time limit of a request opens.
func files() (open []string) {
	list, _ := os.ReadDir("/proc/self/fd")
	for _, entry := range list {
		if name, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil && !strings.HasPrefix(name, "anon_inode:") {
			open = append(open, name)
		}
	}
	slices.Sort(open)
	return open
}
