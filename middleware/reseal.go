package middleware

import (
	"time"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/keyring"
)

// resealSpread is the time after a key has retired over which the sessions that
// it sealed are sealed anew, each when it is next read: as long as it takes
// until the touches of a default configuration have been everywhere.
const resealSpread = time.Hour

// retired tells whether a key does not seal any more.
func retired(key *keyring.Key, now time.Time) bool {
	at := key.Retires()
	return !at.IsZero() && !now.Before(at)
}

// aging tells whether it is time to seal a value anew whose key has retired: as much
// of the spread has gone by as falls to this value. The last characters of its last
// piece, which are of its HMAC, say how much, so that all replicas agree and the
// visitors of one minute are not the visitors of one second.
func aging(key *keyring.Key, last string, now time.Time) bool {
	retired := key.Retires()
	spread := resealSpread
	if expires := key.Expires(); !expires.IsZero() {
		spread = min(spread, expires.Sub(retired)/2)
	}
	const parts = 1 << 12
	return now.Sub(retired) >= spread/parts*time.Duration(tail(last)%parts)
}

// tail is a number from the last characters of a sealed value.
func tail(value string) (n int) {
	for _, c := range []byte(value[max(0, len(value)-8):]) {
		n = (n*67 + int(c)) & 0xffff
	}
	return n
}

// reseal is the plan that moves a session to the key that seals now. Where that
// is one cookie it is sealed again as it is, under its own name, which cannot
// undo anything. One of several fragments would stand alone where it lands after
// they have been joined, and the cookies of a large one could get mixed up with
// those of another response that does the same: there the state is joined, under
// a new name, once the burst that it is from is over.
//
// In fixed-name mode it would undo what others write: there, touches and writes
// have to do.
func (f *facts) reseal(v *core.View) (plan, bool) {
	frag := f.aging(v)
	if frag == nil || v.Head == nil || v.Unopened > 0 || f.fixed || !f.mayTouch() {
		return plan{}, false // and beside what a newer key has sealed it can wait for the newer ring
	}
	d := draft{own: frag, again: true}
	if frag.Kind != core.SeenMark && v.Parts() > 1 || f.scale.weigh(frag).cookies > 1 {
		if v.Ref != nil || f.write.Now-v.Newest() < settling {
			return plan{}, false
		}
		d = draft{joined: v.Restated(f.write)}
		if f.held(d.joined.Suffix).suffix != "" {
			return plan{}, false // the horizon has not moved yet
		}
		d.expire = f.leavings(v, true, false, d.joined)
	}
	if f.fit(&d, alone) != nil {
		return plan{}, false
	}
	return d.plan(false), true
}

// aging is a fragment of the state that is to be sealed anew, if there is one.
func (f *facts) aging(v *core.View) *core.Fragment {
	for i, frag := range v.Fragments {
		if v.Fates[i] == core.Accepted && !frag.Stored && f.held(frag.Suffix).aging {
			return frag
		}
	}
	return nil
}
