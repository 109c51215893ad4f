package state

// The words of the verdicts, as session.Reason has them.
var words = [...]string{
	Present:     "",
	Absent:      "absent",
	ExpiredIdle: "expired (idle)",
	ExpiredEnd:  "expired",
	LoggedOut:   "logged out",
	Torn:        "torn",
	Revoked:     "revoked",
	Unstored:    "record missing",
	StoreDown:   "store down",
}

// Reason returns why there is no session, in one of the words of
// session.Reason; empty if there is one.
func (v *View) Reason() string {
	switch v.Verdict {
	case Absent:
		if v.Closed != "" {
			return v.Closed
		}
	case Torn, Unstored:
		if v.Unopened > 0 {
			return v.Closed // what is missing may be in the cookies that another replica can open
		}
	}
	return words[v.Verdict]
}
