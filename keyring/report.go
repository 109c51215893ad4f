package keyring

import (
	"encoding/json"
	"net/http"
	"time"
)

// reportVersion is the version of the report's JSON form.
const reportVersion = 1

// report is the answer of [Keys.FleetHandler].
type report struct {
	Version     int         `json:"version"`
	Fingerprint string      `json:"fingerprint"`
	Time        string      `json:"time"` // by the clock of this replica
	Keys        []keyReport `json:"keys"`
}

type keyReport struct {
	ID     string `json:"id"`
	State  string `json:"state"`
	Active string `json:"active"`
}

// FleetHandler returns a handler that reports which ring this replica uses, for
// "carryon keys fleet". No program serves it unless it mounts it, best on an
// address that only operators reach:
//
//	go func() { log.Print(http.ListenAndServe("10.0.0.1:9090", keys.FleetHandler())) }()
//
// The report is JSON: the fingerprint of the ring ([Ring.Fingerprint]), the id,
// state and activation of each key that may open a cookie, and the time. The
// ids are in every cookie in clear text, and the fingerprint is a hash of ids
// and times only, so the report tells an attacker when keys rotate and nothing
// about their secrets.
//
// The handler accepts only GET, reads no session and sets no cookie, and its
// response must not be stored. It uses [Keys.Ring], so it reads the source as
// often as any other request does.
func (k *Keys) FleetHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		if r.Method != http.MethodGet {
			h.Set("Allow", http.MethodGet)
			http.Error(w, "use GET", http.StatusMethodNotAllowed)
			return
		}
		text, err := json.Marshal(newReport(k.Ring(r.Context()), k.opt.clock()))
		if err != nil {
			panic(err) // strings always marshal
		}
		h.Set("Content-Type", "application/json")
		w.Write(append(text, '\n'))
	})
}

func newReport(ring *Ring, now time.Time) report {
	r := report{Version: reportVersion, Fingerprint: ring.Fingerprint(), Time: now.UTC().Format(timeLayout), Keys: []keyReport{}}
	for _, k := range ring.Keys() {
		if state := k.State(now); state.Opens() {
			r.Keys = append(r.Keys, keyReport{k.id.String(), state.String(), k.active.Format(timeLayout)})
		}
	}
	return r
}
