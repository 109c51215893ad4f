// The other Go code of docs/oidc.md; program_test.go is its program. Both are compiled
// only: examples/oidc is the same program, and is run with browsers.
package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/oidcsession"
)

func orders(auth *oidcsession.Auth[Claims]) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		response, err := auth.Client(r.Context()).Get("https://api.example.com/orders")
		if err != nil {
			http.Error(w, "The orders are not available.", oidcsession.StatusOf(err))
			return
		}
		defer response.Body.Close()
		io.Copy(w, response.Body)
	}
}

func devices(sessions *middleware.Sessions, auth *oidcsession.Auth[Claims], issuer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := oidcsession.SubjectName(issuer, auth.Subject(r.Context()))
		list, err := sessions.List(r.Context(), name)
		if err != nil {
			http.Error(w, "The list is not available.", middleware.StatusOf(err))
			return
		}
		for _, device := range list {
			fmt.Fprintln(w, device.Label, device.LastSeen, device.Current)
		}
	}
}

var _, _ = orders, devices
