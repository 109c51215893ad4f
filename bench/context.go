package bench

import (
	"context"
	"net/http"
)

type contextKey struct{}

// buildContext builds the minimal middleware: it puts one value into the
// context.
func buildContext(Data) (*Site, error) {
	value := new(int)
	wrapped := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := context.WithValue(r.Context(), contextKey{}, value)
		untouched.ServeHTTP(w, r.WithContext(ctx))
	})
	return &Site{Untouched: wrapped}, nil
}
