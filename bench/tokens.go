package bench

import (
	"fmt"
	"sync/atomic"
)

var tokens = newTokens()

var turn atomic.Uint32

func newTokens() (list [64]string) {
	for i := range list {
		list[i] = fmt.Sprintf("%02dq3Zl0v2m6nB8xT4yK1wR9", i)
	}
	return list
}

// token returns a CSRF token. All tokens have the same length.
func token(i int) string { return tokens[i%len(tokens)] }

// nextToken returns a token that differs from the previous one. A rig is
// prepared with one half of the list and measured with the other, so that each
// measured change really changes the token.
func nextToken() string {
	half := len(tokens) / 2
	at := int(turn.Add(1)) % half
	if !preparing.Load() {
		at += half
	}
	return tokens[at]
}

var preparing atomic.Bool
