package session

// Reason says why a visitor was not recognised, or a cookie refused. The words
// are stable: logs, metrics and alerts may be built on them.
type Reason string

// The reasons.
const (
	// Recognised: nothing was refused.
	Recognised Reason = ""
	// Absent: the request carried no session cookie.
	Absent Reason = "absent"
	// Malformed: the cookie is not of the form that this library writes.
	Malformed Reason = "malformed"
	// WrongLength: the cookie is too short to be one of ours, or not as long as it
	// says.
	WrongLength Reason = "wrong length"
	// UnknownFormat: it was sealed in a format that this version lacks.
	UnknownFormat Reason = "unknown format"
	// UnknownKey: it was sealed by a key that this replica's ring does not have
	// (yet). The cookie is left where it is.
	UnknownKey Reason = "unknown key"
	// DeadKey: it was sealed by a key that has expired or was revoked.
	DeadKey Reason = "dead key"
	// NoKey: nothing could be sealed, for no key of the ring seals now.
	NoKey Reason = "no key"
	// BadSeal: it was changed, made up, or moved here from another cookie,
	// program or audience; these cannot be told apart.
	BadSeal Reason = "bad seal"
	// Torn: pieces of it are missing, or one was cut or extended on its way.
	Torn Reason = "torn"
	// Expired: its absolute lifetime has ended.
	Expired Reason = "expired"
	// ExpiredIdle: it was not used for longer than the idle timeout.
	ExpiredIdle Reason = "expired (idle)"
	// LoggedOut: it was destroyed.
	LoggedOut Reason = "logged out"
	// Revoked: it was ended from elsewhere: its id was revoked, or all sessions of
	// its subject were.
	Revoked Reason = "revoked"
	// Superseded: it belongs to a session that was renewed or replaced.
	Superseded Reason = "superseded"
	// WrongFormat: its key is in the ring, for another format.
	WrongFormat Reason = "wrong format"
	// TooMany: the request carried more of our cookies than are looked at.
	TooMany Reason = "too many"
	// TooLarge: it does not fit the limits.
	TooLarge Reason = "too large"
	// RecordMissing: it lives in the store, which has no such record (any more):
	// it was evicted, cleared or lost there.
	RecordMissing Reason = "record missing"
	// StoreDown: it lives in the store, which does not answer. The cookie is
	// left where it is.
	StoreDown Reason = "store down"
	// StoreRolledBack: the store has an older state of it than the visitor's
	// cookie has seen: a fail-over or a restored backup has lost writes.
	StoreRolledBack Reason = "store rolled back"
	// ImportFailed: another library's session could not be taken over.
	ImportFailed Reason = "import failed"
	// LateChange: it was changed after the response's header.
	LateChange Reason = "late change"
)

// Reasons lists all of them but [Recognised], for tables and metrics: a reason is never made of
// what a visitor sent.
func Reasons() []Reason {
	return []Reason{Absent, Malformed, WrongLength, UnknownFormat, UnknownKey, DeadKey, NoKey, BadSeal, Torn, Expired, ExpiredIdle, LoggedOut, Revoked, Superseded, WrongFormat, TooMany, TooLarge, RecordMissing, StoreDown, StoreRolledBack, ImportFailed, LateChange}
}
