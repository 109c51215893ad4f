package keyring

import (
	"encoding/json"
	"log/slog"
)

// Everything that prints a Key or a Ring by accident ends here. The secret is
// also behind a pointer in Key, which verbs that ignore these methods (%d)
// print as an address.

// String returns the id of the key, never the secret.
func (k *Key) String() string {
	if k == nil {
		return "keyring.Key(none)"
	}
	return "keyring.Key(" + k.id.String() + ")"
}

// GoString is String, for %#v.
func (k *Key) GoString() string { return k.String() }

// LogValue is String, for log/slog.
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON is String as a JSON string. See [Ring.Marshal] for the form
// that holds the secrets.
func (k *Key) MarshalJSON() ([]byte, error) { return json.Marshal(k.String()) }

// String returns the fingerprint of the ring, never a secret.
func (r *Ring) String() string {
	if r == nil {
		return "keyring.Ring(none)"
	}
	return "keyring.Ring(" + r.Fingerprint() + ")"
}

// GoString is String, for %#v.
func (r *Ring) GoString() string { return r.String() }

// LogValue is String, for log/slog.
func (r *Ring) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalJSON is String as a JSON string. See [Ring.Marshal] for the form
// that holds the secrets.
func (r *Ring) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }
