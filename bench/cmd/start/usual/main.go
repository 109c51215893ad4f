// Command usual is the hello server of "without" that logs and answers in JSON,
// as nearly all do: packages that sessions need as well.
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
	if len(os.Args) == 1 { // as cmd/start runs it: only the start is measured
		return
	}
	panic(http.ListenAndServe(os.Args[1], hello))
}
