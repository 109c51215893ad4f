package main

import (
	"bytes"
	"fmt"
	"log"
	"net/http"
)

// show sends a page. It renders the whole page first, so that an error is not sent
// as half a page.
func (s *site) show(w http.ResponseWriter, name string, data any) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		log.Printf("oidc: %s: %v", name, err)
		http.Error(w, "The page could not be shown.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = page.WriteTo(w)
}

func writeNumber(w http.ResponseWriter, n int64) {
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprint(w, n)
}
