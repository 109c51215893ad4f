// Command usual is the server of "without" with log/slog and JSON responses,
// like most programs. Sessions need these packages, too.
package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
)

func main() {
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var from struct{ Name string }
		if err := json.NewDecoder(r.Body).Decode(&from); err != nil {
			slog.Error("hello", "error", err)
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"hello": from.Name})
	})
	if len(os.Args) == 1 { // for cmd/start, which measures only the start
		return
	}
	panic(http.ListenAndServe(os.Args[1], hello))
}
