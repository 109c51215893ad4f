package middleware_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"time"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// A page shows at which devices the user is logged in, and logs one of them out.
func ExampleSessions_List() {
	store, err := fallback.NewMemory(fallback.MemoryConfig{}) // for several processes: a store that they share
	if err != nil {
		log.Fatal(err)
	}
	ring, err := keyring.Generate(time.Now()) // in a program: keyring.Open
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := middleware.New(middleware.Config{Keys: ring, Fallback: middleware.Fallback{Store: store, List: true}})
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		s.Login(r.FormValue("user")) // after the password was checked
		session.Label.Set(s, r.Header.Get("User-Agent"))
	})
	mux.HandleFunc("GET /devices", func(w http.ResponseWriter, r *http.Request) {
		user, _ := session.From(r.Context()).Subject()
		list, err := sessions.List(r.Context(), user)
		if err != nil {
			http.Error(w, "The list is not available.", middleware.StatusOf(err))
			return
		}
		for _, device := range list {
			fmt.Fprintln(w, device.Label, device.Current)
		}
	})
	mux.HandleFunc("POST /devices/end", func(w http.ResponseWriter, r *http.Request) {
		user, _ := session.From(r.Context()).Subject()
		list, err := sessions.List(r.Context(), user)
		isOwn := func(device middleware.Listed) bool { return device.ID == r.FormValue("id") }
		if err != nil || !slices.ContainsFunc(list, isOwn) { // the id comes from the visitor
			http.Error(w, "There is no such session.", http.StatusNotFound)
			return
		}
		if err := sessions.Revoke(r.Context(), r.FormValue("id")); err != nil {
			http.Error(w, "The session could not be ended.", middleware.StatusOf(err))
		}
	})
	server := httptest.NewServer(sessions.Handler(mux))
	defer server.Close()

	for _, device := range []string{"phone", "laptop"} {
		client := server.Client()
		client.Jar = &sessiontest.Jar{URL: server.URL}
		r, _ := http.NewRequest(http.MethodPost, server.URL+"/login?user=ada", nil)
		r.Header.Set("User-Agent", device)
		if _, err := client.Do(r); err != nil {
			log.Fatal(err)
		}
		if device == "laptop" {
			page, err := client.Get(server.URL + "/devices")
			if err != nil {
				log.Fatal(err)
			}
			_, _ = io.Copy(os.Stdout, page.Body)
			page.Body.Close()
		}
	}
	// Output:
	// laptop true
	// phone false
}
