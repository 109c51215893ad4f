package keyring

import (
	"encoding/json"
	"log/slog"
)

// These methods keep the secrets out of all output. Formatting verbs that
// ignore them (%d) cannot reach the secret either; see hide.

// String returns the id of the key, never the secret.
func (k *Key) String() string {
	if k == nil {
		return "keyring.Key(none)"
	}
	return "keyring.Key(" + k.id.String() + ")"
}

// GoString returns the same as String, for %#v.
func (k *Key) GoString() string { return k.String() }

// LogValue returns the same as String, for log/slog.
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON returns String as a JSON string. Use [Ring.Marshal] for the form
// that holds the secrets.
func (k *Key) MarshalJSON() ([]byte, error) { return json.Marshal(k.String()) }

// String returns the fingerprint of the ring, never a secret.
func (r *Ring) String() string {
	if r == nil {
		return "keyring.Ring(none)"
	}
	return "keyring.Ring(" + r.Fingerprint() + ")"
}

// GoString returns the same as String, for %#v.
func (r *Ring) GoString() string { return r.String() }

// LogValue returns the same as String, for log/slog.
func (r *Ring) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalJSON returns String as a JSON string. Use [Ring.Marshal] for the form
// that holds the secrets.
func (r *Ring) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }

// String returns the source and the fingerprint of the ring in use.
func (k *Keys) String() string {
	if k == nil {
		return "keyring.Keys(none)"
	}
	return "keyring.Keys(" + k.src.name + ", " + k.ring.Load().Fingerprint() + ")"
}

// GoString returns the same as String, for %#v.
func (k *Keys) GoString() string { return k.String() }

// LogValue returns the same as String, for log/slog.
func (k *Keys) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON returns String as a JSON string.
func (k *Keys) MarshalJSON() ([]byte, error) { return json.Marshal(k.String()) }
