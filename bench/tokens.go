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

// token is one of the CSRF tokens, all of one length.
func token(i int) string { return tokens[i%len(tokens)] }

// nextToken gives a token unlike the one before, so that a change changes.
func nextToken() string { return token(int(turn.Add(1)) % len(tokens)) }
