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

// nextToken gives a token unlike the one before. While a rig is prepared they are
// of one half of the list, afterwards of the other, so that a change that is
// measured always changes.
func nextToken() string {
	half := len(tokens) / 2
	at := int(turn.Add(1)) % half
	if !preparing.Load() {
		at += half
	}
	return tokens[at]
}

var preparing atomic.Bool
