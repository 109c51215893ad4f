package core

// Of returns the core of a *session.Session. Package session sets it. The core is
// an unexported field there, so that users of the package do not see it.
var Of func(session any) *Core
