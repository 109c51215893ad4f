package keyring

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

// keyJSON lists the members in the order of the file.
type keyJSON struct {
	ID      string `json:"id"`
	Secret  string `json:"secret"`
	Format  byte   `json:"format"`
	Created string `json:"created"`
	Active  string `json:"active"`
	Expires string `json:"expires,omitempty"`
}

type deadJSON struct {
	ID    string `json:"id"`
	State string `json:"state"`
	At    string `json:"at"`
}

// Marshal returns the ring in the form that [Parse] reads, secrets included.
// Anyone who sees it can forge sessions: keep it in a file of mode 0600 or in
// a secret manager. Marshal fails if the ring is empty or larger than
// [MaxSize].
func (r *Ring) Marshal() ([]byte, error) {
	var keys, dead []any
	for _, k := range r.Keys() {
		keys = append(keys, k.json())
	}
	for _, d := range r.Dead() {
		dead = append(dead, deadJSON{d.ID.String(), d.State.String(), d.At.Format(timeLayout)})
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("keyring: a ring without keys cannot be written")
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n  \"version\": %d,\n  \"keys\": [", version)
	writeRows(&b, keys)
	if len(dead) > 0 {
		b.WriteString(",\n  \"dead\": [")
		writeRows(&b, dead)
	}
	b.WriteString("\n}\n")
	if b.Len() > MaxSize {
		return nil, fmt.Errorf("keyring: the ring would be larger than %d bytes; remove expired keys with: carryon keys prune FILE", MaxSize)
	}
	return b.Bytes(), nil
}

func (k *Key) json() keyJSON {
	j := keyJSON{
		ID:      k.id.String(),
		Secret:  base64.RawURLEncoding.EncodeToString(k.mat().secret[:]),
		Format:  k.format,
		Created: k.created.Format(timeLayout),
		Active:  k.active.Format(timeLayout),
	}
	if !k.expires.IsZero() {
		j.Expires = k.expires.Format(timeLayout)
	}
	return j
}

// writeRows writes one element per line, so that a diff shows which key
// changed.
func writeRows(b *bytes.Buffer, rows []any) {
	for i, row := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		line, err := json.Marshal(row)
		if err != nil {
			panic(err) // strings and a byte always marshal
		}
		b.WriteString("\n    ")
		b.Write(line)
	}
	b.WriteString("\n  ]")
}

// wholeSecond rounds up, so that nothing happens earlier than requested.
func wholeSecond(t time.Time) time.Time {
	down := t.UTC().Truncate(time.Second)
	if down.Before(t) {
		return down.Add(time.Second)
	}
	return down
}
