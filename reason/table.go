package reason

import (
	"log/slog"
	"net/http"
)

// The reasons. A new one takes a constant, a row of the table, and a row in
// docs/refusals.md.
const (
	// None: nothing was refused, and there is a session.
	None Reason = iota
	// Absent: the request carried no session cookie.
	Absent
	// Malformed: the cookie does not have the form that Carryon writes.
	Malformed
	// WrongLength: the cookie is too short, or not as long as its header says.
	WrongLength
	// UnknownFormat: the cookie, or the key to seal it with, has a format that
	// this program lacks.
	UnknownFormat
	// UnknownKey: the ring does not list the key that sealed the cookie. The
	// ring may be out of date, so the cookie stays where it is.
	UnknownKey
	// DeadKey: the key that sealed the cookie has expired or was revoked.
	DeadKey
	// NoKey: nothing can be sealed, because no key of the ring is active.
	NoKey
	// BadSeal: the cookie was changed, made up, or sealed for another name,
	// program or audience. The signature check cannot distinguish these cases.
	BadSeal
	// Torn: a part of the session is missing, or a piece was cut or extended. A
	// missing piece may still arrive.
	Torn
	// Expired: the session's absolute lifetime has ended.
	Expired
	// ExpiredIdle: the session was not used for longer than its idle timeout.
	ExpiredIdle
	// LoggedOut: the session was destroyed or renewed.
	LoggedOut
	// Revoked: the session was ended from elsewhere, by its id or with all
	// sessions of its subject.
	Revoked
	// Superseded: the request carried a newer session as well.
	Superseded
	// WrongFormat: the key is in the ring with another format.
	WrongFormat
	// TooMany: the request carried more session cookies than are read.
	TooMany
	// TooLarge: the session, or one value, exceeds a limit.
	TooLarge
	// RecordMissing: the session is in the store, which does not have its record.
	RecordMissing
	// StoreDown: the session is in the store, which does not answer. The cookie
	// stays where it is.
	StoreDown
	// StoreRolledBack: the store has an older state of the session than the
	// visitor's cookie.
	StoreRolledBack
	// ImportFailed: another library's session could not be taken over.
	ImportFailed
	// LateChange: the session was changed after the response's header.
	LateChange
)

// row is all that there is to know about a reason.
type row struct {
	word    string     // for logs and metrics; stable
	meaning string     // what happened
	hint    string     // what an operator can do
	level   slog.Level // of a refusal in the log
	status  int        // of a request that fails; 0 if none does
}

const (
	debug = slog.LevelDebug
	warn  = slog.LevelWarn
)

var table = [...]row{
	None: {"", "the request brought a session", "nothing", debug, 0},
	Absent: {"absent", "the request carried no session cookie",
		"nothing, on a first visit; otherwise check SameSite, Path, Domain, blocked cookies, and plain HTTP", debug, 0},
	Malformed: {"malformed", "the cookie does not have the form that Carryon writes",
		"look for something that rewrites cookies on the way", debug, 0},
	WrongLength: {"wrong length", "the cookie was cut or extended",
		"look for something that rewrites cookies on the way, and for a proxy's header limit", debug, 0},
	UnknownFormat: {"unknown format", "the program does not have the format of the cookie or of the key",
		"use the same Config.Formats on every replica, also after a rollback", warn, 0},
	UnknownKey: {"unknown key", "the ring does not have the key that sealed the cookie",
		"compare the key rings of the replicas with 'carryon keys list'", warn, http.StatusServiceUnavailable},
	DeadKey: {"dead key", "the key that sealed the cookie has expired or was revoked",
		"check with 'carryon keys check' that the overlap is not shorter than sessions live", debug, 0},
	NoKey: {"no key", "no key of the ring is active, so nothing can be sealed",
		"look at the ring with 'carryon keys list' and at the server's clock, and add a key with 'carryon keys rotate'", debug, http.StatusServiceUnavailable},
	BadSeal: {"bad seal", "the cookie was changed, made up, or sealed for another name, program or audience",
		"check Config.Cookie.Name and Config.Audience of every replica and program", warn, 0},
	Torn: {"torn", "a part of the session is missing, a piece was cut, or the session was created more than a day in the future",
		"check the header limits of proxies, the limits of browsers, and the servers' clocks", debug, 0},
	Expired: {"expired", "the session's lifetime is over",
		"nothing; Config.Lifetimes.Absolute sets the lifetime", debug, 0},
	ExpiredIdle: {"expired (idle)", "the session was not used for longer than its idle timeout",
		"nothing; Config.Lifetimes.Idle sets the timeout", debug, 0},
	LoggedOut: {"logged out", "the session was destroyed, or renewed, and this is a copy or an older tab",
		"nothing; the visitor may send the request again", debug, http.StatusConflict},
	Revoked: {"revoked", "the session was ended by its id, or with all sessions of its subject",
		"find out who still uses a copy: it may be a thief", debug, http.StatusConflict},
	Superseded: {"superseded", "the session is older than another one in the same request",
		"nothing; the next write expires the older cookies", debug, 0},
	WrongFormat: {"wrong format", "the key is in the ring with another format than the cookie's",
		"use the same Config.Formats on every replica, also after a rollback", warn, 0},
	TooMany: {"too many", "the request carried more than 256 of the session's cookies, or 256 KiB of them",
		"look for an attack, and for programs that set cookies of this name", warn, 0},
	TooLarge: {"too large", "the session or one of its values exceeds a limit",
		"store less, configure a store (Config.Fallback.Store), or raise Config.Limits if your proxy or platform permits", debug, http.StatusInternalServerError},
	RecordMissing: {"record missing", "the store does not have the session's record",
		"check for evictions, for calls of Clear, and that all replicas share one store", warn, 0},
	StoreDown: {"store down", "the session is in the store, which does not answer",
		"check that it runs and that this replica can reach it", debug, http.StatusServiceUnavailable},
	StoreRolledBack: {"store rolled back", "the store has an older state of the session than the visitor has seen",
		"check for a failover, or a restored backup, that lost writes", warn, http.StatusServiceUnavailable},
	ImportFailed: {"import failed", "another library's session could not be taken over",
		"read the importer's error in the event", warn, 0},
	LateChange: {"late change", "the session was changed after the response's header was written",
		"change it before the first byte, or call Save before a long response", debug, 0},
}
