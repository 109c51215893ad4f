package session_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/carryon-go/carryon/session"
)

// Tokens are what an authorization server gives out. It accepts a refresh token once.
type Tokens struct {
	Access, Refresh string
	Expires         time.Time
}

// Due reports whether the access token is about to expire.
func (t Tokens) Due() bool { return time.Until(t.Expires) < time.Minute }

const tokens session.Once[Tokens] = "tokens"

// Requests that find the tokens due at the same time refresh them once.
func ExampleOnce_Replace() {
	s := fresh()
	tokens.Set(s, Tokens{Access: "a1", Refresh: "r1", Expires: time.Now()})

	refresh := func(ctx context.Context, old Tokens) (Tokens, error) {
		// Send old.Refresh to the authorization server. If it answers with
		// "invalid_grant", return an error that wraps session.ErrSpent.
		return Tokens{Access: "a2", Refresh: "r2", Expires: time.Now().Add(time.Hour)}, nil
	}
	t, err := tokens.Replace(context.Background(), s, Tokens.Due, refresh)
	if errors.Is(err, session.ErrSpent) {
		s.Destroy() // the visitor must log in again
	}
	fmt.Println(t.Access, err)
	// Output: a2 <nil>
}
