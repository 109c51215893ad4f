package middleware

// Mode says where sessions live.
type Mode int

const (
	// Auto keeps a session in the cookies while it fits them, else in
	// [Config.Fallback] if there is one. It comes back when it fits in 60 % of
	// what a session may take. A session with so many entries that they have no
	// room for a cookie each is written whole, as other libraries always do: of
	// writes that overlap, the last response counts ([EventWhole]).
	Auto Mode = iota
	// Lossless is Auto, but a session that would be written whole goes into
	// Fallback instead.
	Lossless
	// AlwaysCookies keeps every session in the cookies. Fallback is read only
	// for sessions that another configuration has left there. They come back
	// when they are next written, or are too large.
	AlwaysCookies
	// AlwaysStored keeps every session in Fallback and a reference in the
	// cookies: the classic server-side session. Sessions that are in cookies move
	// when they are next written.
	AlwaysStored
)
