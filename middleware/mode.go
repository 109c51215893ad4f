package middleware

// Mode says where sessions live.
type Mode int

const (
	// Auto keeps a session in the cookies as long as each changed entry has room
	// for a cell, and otherwise in [Config.Fallback]. Overlapping writes of
	// different entries all count. The session moves back to the cookies when it
	// takes at most 40 % of the limits. Without a store, a session whose entries
	// have no room for a cell each is written whole: of writes that overlap, the
	// last response counts ([EventWhole]).
	Auto Mode = iota
	// AlwaysCookies keeps every session in the cookies. Fallback is read only
	// for sessions that another configuration has left there. They come back
	// when they are next written, or are too large.
	AlwaysCookies
	// AlwaysStored keeps every session in Fallback and a reference in the
	// cookies: the classic server-side session. Sessions that are in cookies move
	// when they are next written.
	AlwaysStored
)
