package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/carryon-go/carryon/keyring"
)

// A fleetReport is what a replica reports about its ring; see
// keyring.Keys.FleetHandler.
type fleetReport struct {
	Fingerprint string
	Time        time.Time
	Keys        []reportedKey
}

type reportedKey struct {
	ID     keyring.ID
	State  keyring.State
	Active time.Time
}

// maxReport is the maximum size of a report in bytes. The largest one, of 256
// keys, has 18 KB.
const maxReport = 64 << 10

var (
	errNoReport     = errors.New("the answer is not a report of a key ring")
	fingerprintForm = regexp.MustCompile(`^[0-9a-f]{16}$`)
)

// parseReport reads a report. It is strict, because the server may be another
// one than the user thinks, and its errors repeat nothing of the text.
func parseReport(text []byte) (fleetReport, error) {
	var in struct {
		Version           int
		Fingerprint, Time string
		Keys              []struct{ ID, State, Active string }
	}
	if len(text) > maxReport {
		return fleetReport{}, fmt.Errorf("the answer is larger than %d bytes", maxReport)
	}
	if err := json.Unmarshal(text, &in); err != nil || !fingerprintForm.MatchString(in.Fingerprint) || len(in.Keys) == 0 {
		return fleetReport{}, errNoReport
	}
	if in.Version != 1 {
		return fleetReport{}, fmt.Errorf("the report has version %d, this command reads version 1", in.Version)
	}
	at, err := time.Parse(time.RFC3339, in.Time)
	r := fleetReport{Fingerprint: in.Fingerprint, Time: at}
	for _, k := range in.Keys {
		id, wrongID := keyring.ParseID(k.ID)
		active, wrongTime := time.Parse(time.RFC3339, k.Active)
		state := stateNamed(k.State)
		if wrongID != nil || wrongTime != nil || !state.Opens() {
			return fleetReport{}, errNoReport
		}
		r.Keys = append(r.Keys, reportedKey{id, state, active})
	}
	if err != nil {
		return fleetReport{}, errNoReport
	}
	return r, nil
}

func stateNamed(name string) keyring.State {
	for s := keyring.Staged; s <= keyring.Retired; s++ {
		if s.String() == name {
			return s
		}
	}
	return keyring.Unknown
}

// reportOf returns the report of a replica that uses the ring.
func reportOf(ring *keyring.Ring, now time.Time) fleetReport {
	r := fleetReport{Fingerprint: ring.Fingerprint(), Time: now}
	for _, k := range ring.Keys() {
		if state := k.State(now); state.Opens() {
			r.Keys = append(r.Keys, reportedKey{k.ID(), state, k.Activates()})
		}
	}
	return r
}

func (r fleetReport) knows(id keyring.ID) bool {
	for _, k := range r.Keys {
		if k.ID == id {
			return true
		}
	}
	return false
}

// last returns the latest activation of a key.
func (r fleetReport) last() (last time.Time) {
	for _, k := range r.Keys {
		if k.Active.After(last) {
			last = k.Active
		}
	}
	return last
}

// ids returns the ids of the keys in a state, or "-".
func (r fleetReport) ids(state keyring.State) string {
	var ids []string
	for _, k := range r.Keys {
		if k.State == state {
			ids = append(ids, k.ID.String())
		}
	}
	if len(ids) == 0 {
		return "-"
	}
	return strings.Join(ids, ",")
}
