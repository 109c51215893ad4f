package oidcsession

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math"
	mathrand "math/rand/v2"
	"strconv"

	"github.com/carryon-go/carryon/session"
)

// MaxFlows is how many sign-ins of one visitor can be under way at once, in as many
// tabs. A new one takes the place of the oldest.
//
// Each has one of MaxFlows entries, chosen at random among the free ones, so that any
// number of parallel requests adds no more entries than that. If two requests choose
// the same entry, one of the two sign-ins is lost and begins again at its callback.
const MaxFlows = 10

// flow is a sign-in that has begun: a secret from which the values of the protocol are
// derived. The session holds it until the callback, and then for a moment the result.
type flow struct {
	_      struct{} `cbor:",toarray"`
	Secret [16]byte
	Began  int64 // ms
	Result *result
}

// result is the provider's answer to the code of a flow.
type result struct {
	_       struct{} `cbor:",toarray"`
	IDToken string
	tokens
}

// The labels of the values that are derived from a flow's secret.
const (
	labelState    = "state"
	labelNonce    = "nonce"
	labelVerifier = "code_verifier"
)

// derive returns a value of the flow for one purpose: n bytes as base64url.
func (f *flow) derive(label string, n int) string {
	key, err := hkdf.Key(sha256.New, f.Secret[:], nil, "carryon oidc "+label, n)
	if err != nil {
		panic("oidcsession: deriving a value of the sign-in: " + err.Error()) // fails only for more than 255 hashes of output
	}
	return base64.RawURLEncoding.EncodeToString(key)
}

// id returns the id of the flow, which the state parameter carries.
func (f *flow) id() string { return f.derive(labelState, 16) }

// flowKey returns the key of a flow's entry, from 0 to MaxFlows-1.
func (k *keys[C]) flowKey(slot int) session.Once[flow] {
	return session.Once[flow](k.flowPrefix() + strconv.Itoa(slot))
}

func (k *keys[C]) flowPrefix() string { return k.prefix + "flow " }

// beginFlow adds a flow to the session.
func (a *Auth[C]) beginFlow(ctx context.Context, s *session.Session) (flow, error) {
	f := flow{Began: a.now()}
	rand.Read(f.Secret[:]) // never fails
	key := a.keys.flowKey(a.freeSlot(s))
	key.Set(s, f)
	err := s.Save(ctx)
	if errors.Is(err, session.ErrTooLarge) { // other tabs' sign-ins make room
		a.removeFlows(s)
		key.Set(s, f)
		err = s.Save(ctx)
	}
	return f, err
}

// freeSlot returns a slot without a flow, or that of the oldest one.
func (a *Auth[C]) freeSlot(s *session.Session) int {
	a.dropExpiredFlows(s)
	var free []int
	oldest, began := 0, int64(math.MaxInt64)
	for slot := range MaxFlows {
		f, ok := a.keys.flowKey(slot).Get(s)
		switch {
		case !ok:
			free = append(free, slot)
		case f.Began < began:
			oldest, began = slot, f.Began
		}
	}
	if len(free) == 0 {
		return oldest
	}
	return free[mathrand.IntN(len(free))]
}

// dropExpiredFlows removes the flows that have expired.
func (a *Auth[C]) dropExpiredFlows(s *session.Session) {
	for slot := range MaxFlows {
		key := a.keys.flowKey(slot)
		if f, ok := key.Get(s); ok && a.flowExpired(f) {
			key.Delete(s)
		}
	}
}

// removeFlows removes all flows.
func (a *Auth[C]) removeFlows(s *session.Session) {
	for slot := range MaxFlows {
		a.keys.flowKey(slot).Delete(s)
	}
}

func (a *Auth[C]) flowExpired(f flow) bool {
	age := a.now() - f.Began
	return age >= flowLifetime.Milliseconds() || age < -clockSkew.Milliseconds()
}

// findFlow returns the flow with the given id and its key, and reports whether the
// session has it.
func (a *Auth[C]) findFlow(s *session.Session, id string) (f flow, key session.Once[flow], ok bool) {
	for slot := range MaxFlows {
		key = a.keys.flowKey(slot)
		if f, ok = key.Get(s); ok && equal(f.id(), id) && !a.flowExpired(f) {
			return f, key, true
		}
	}
	return flow{}, key, false
}
