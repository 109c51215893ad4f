package bench

import (
	"context"
	"net/http"
)

type contextKey struct{}

// buildContext is the least that a middleware can do: one value in the context.
func buildContext(Data) (*Site, error) {
	value := new(int)
	wrapped := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := context.WithValue(r.Context(), contextKey{}, value)
		untouched.ServeHTTP(w, r.WithContext(ctx))
	})
	return &Site{Untouched: wrapped}, nil
}
