package keyring

// A State says what a key may do at a given time.
type State uint8

// The states of a key, in the order in which it goes through them. Staged,
// Active and Retired keys open; only the Active key seals; Expired and Revoked
// keys are dead.
const (
	Unknown State = iota // the ring never heard of the key
	Staged               // opens what replicas with a faster clock sealed; does not seal yet
	Active               // seals and opens
	Retired              // opens, no longer seals
	Expired              // dead: its time was up
	Revoked              // dead: it was taken out by hand
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
