package keyring

// A State is what a key may do at a given time.
type State uint8

// The states of a key, in order. Staged, Active and Retired keys open; only
// the Active key seals; Expired and Revoked keys are dead.
const (
	Unknown State = iota // the ring does not list the key
	Staged               // opens, does not seal yet
	Active               // seals and opens
	Retired              // opens, no longer seals
	Expired              // dead: its expiry has passed
	Revoked              // dead: it was revoked by hand
)

var stateNames = [...]string{"unknown", "staged", "active", "retired", "expired", "revoked"}

// String returns the state's name in lower case.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "invalid"
}

// Opens reports whether a key in this state may open a cookie.
func (s State) Opens() bool { return s == Staged || s == Active || s == Retired }

// Dead reports whether a key in this state is gone for good.
func (s State) Dead() bool { return s == Expired || s == Revoked }
