package keyring

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// object reads one JSON object, member by member. encoding/json alone would
// accept input that two readers can understand differently: a repeated member,
// a member in another case, or null for a missing one. object keeps the first
// error. No error quotes the text, because it may contain a secret anywhere.
type object struct {
	where   string // for errors
	members map[string]json.RawMessage
	err     error
}

func readObject(where string, text []byte) (*object, error) {
	o := &object{where: where, members: make(map[string]json.RawMessage)}
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("keyring: %s is not a JSON object", where)
	}
	for dec.More() {
		name, raw, err := member(dec)
		if err != nil {
			return nil, fmt.Errorf("keyring: %s is not valid JSON at byte %d", where, dec.InputOffset())
		}
		if _, twice := o.members[name]; twice {
			return nil, fmt.Errorf("keyring: %s has a member twice", where)
		}
		o.members[name] = raw
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("keyring: %s is not valid JSON at byte %d", where, dec.InputOffset())
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("keyring: %s is followed by more data", where)
	}
	return o, nil
}

func member(dec *json.Decoder) (name string, raw json.RawMessage, err error) {
	t, err := dec.Token()
	if err != nil {
		return "", nil, err
	}
	name, ok := t.(string)
	if !ok {
		return "", nil, errors.New("not a name")
	}
	return name, raw, dec.Decode(&raw)
}

func (o *object) fail(err error) {
	if o.err == nil {
		o.err = err
	}
}

func (o *object) failf(format string, args ...any) {
	o.fail(fmt.Errorf("keyring: "+o.where+": "+format, args...))
}

// finish returns the first error. A member that was not read is an error.
func (o *object) finish() error {
	if len(o.members) > 0 {
		o.failf("there is a member that version %d does not have; see the section on key rings in SPEC.md", version)
	}
	return o.err
}

// take removes and returns a member that must begin with one of the bytes in
// first. Without that check, JSON's null would be accepted for any type.
func (o *object) take(name, first string, required bool) json.RawMessage {
	raw, ok := o.members[name]
	delete(o.members, name)
	switch {
	case !ok && required:
		o.failf("%q is missing", name)
	case ok && !bytes.ContainsAny(raw[:1], first):
		o.failf("%q has the wrong type", name)
	case ok:
		return raw
	}
	return nil
}

func (o *object) text(name string, required bool) (s string) {
	raw := o.take(name, `"`, required)
	if raw != nil && (json.Unmarshal(raw, &s) != nil || s == "") {
		o.failf("%q is not a text", name)
	}
	return s
}

func (o *object) number(name string) (n uint32) {
	raw := o.take(name, "0123456789", true)
	if raw != nil && json.Unmarshal(raw, &n) != nil {
		o.failf("%q is not a small whole number", name)
	}
	return n
}

// array returns the objects of an array, at most limit.
func (o *object) array(name string, limit int, required bool) (list []*object) {
	var raws []json.RawMessage
	raw := o.take(name, "[", required)
	if raw != nil && json.Unmarshal(raw, &raws) != nil {
		o.failf("%q is not an array", name)
	}
	if len(raws) > limit {
		o.failf("%q has more than %d elements; remove expired keys with: carryon keys prune FILE", name, limit)
		return nil
	}
	for i, raw := range raws {
		e, err := readObject(fmt.Sprintf("%s[%d]", name, i), raw)
		if err != nil {
			o.fail(err)
			return nil
		}
		list = append(list, e)
	}
	return list
}
