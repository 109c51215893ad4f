package middleware

// Mode selects where sessions are kept.
type Mode int

const (
	// Auto keeps a session in the cookies as long as each changed entry has room
	// for a cell, and otherwise in [Fallback.Store]. Overlapping writes of
	// different entries all count. The session moves back to the cookies when it
	// takes at most 40 % of the limits. Without a store, a session whose entries
	// have no room for a cell each is written whole: of writes that overlap, the
	// last response counts ([EventWhole]).
	Auto Mode = iota
	// AlwaysCookies keeps every session in the cookies. The store is read only for
	// sessions that another configuration has put there. They move to the cookies
	// with their next write, which fails if they are too large.
	AlwaysCookies
	// AlwaysStored keeps every session in the store and a reference in the cookies:
	// the classic server-side session. Sessions in cookies move to the store with
	// their next write.
	AlwaysStored
)

// Outage selects what happens to visitors while the store fails. It applies to
// sessions in the store, and to sessions of another library that an [Importer]
// cannot read at the moment. Sessions in cookies are not affected.
type Outage int

const (
	// OutageRefuse refuses each access to the session, so that ErrorHandler answers
	// with 503: a visitor is not treated as logged out because the store is down. If
	// the store has an older state of the session than the visitor's cookie has seen,
	// because a fail-over or a backup has lost writes, the visitor gets that older
	// state, and [EventRefused] with [reason.StoreRolledBack] reports it.
	OutageRefuse Outage = iota
	// OutageAbsent treats visitors with a stored session as having none. Their
	// cookies stay, and a write is refused with [session.ErrStoreDown], except for
	// Renew, Login and Destroy. The visitor gets an older state as with OutageRefuse.
	OutageAbsent
	// OutageStrict is OutageRefuse, and refuses an older state of the session, too.
	OutageStrict
)

// Revocation selects whether sessions in cookies can be ended before they expire,
// and what happens to their visitors while the store fails. Without a store,
// sessions end only when they expire.
type Revocation int

const (
	// RevocationOn ends every copy of a session at a logout, and by
	// [Sessions.Revoke] and [Sessions.RevokeSubject]. Each replica asks the store for
	// a session, and for its subject if it has one, at most once in RevocationMaxAge.
	// While the store does not answer, visitors keep their sessions in cookies,
	// revoked ones included, unless the replica already knows of the revocation;
	// [EventStore] reports the failure.
	RevocationOn Revocation = iota
	// RevocationStrict is RevocationOn, but while the store does not answer, sessions
	// in cookies are treated as [Fallback.Outage] treats those in the store.
	RevocationStrict
	// RevocationOff neither reads nor writes revocations of sessions in cookies: a
	// copy of the cookies works until the session expires. Sessions in the store
	// still end at a logout, but not by their subject.
	RevocationOff
)
