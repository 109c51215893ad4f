package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/carryon-go/carryon/keyring"
)

// keysInit makes a ring. It never overwrites a file: the keys in it would be
// gone, and with them all sessions.
func keysInit(u *ui, args []string) error {
	set, seal := u.flags(), form(1)
	set.Var(&seal, "form", "`FORM` that the key seals: xaes, xchacha or securecookie; xaes if not given. Every\n        program must have another (middleware.Config.Formats)")
	rest, err := u.parse(set, args, 1)
	if err != nil {
		return err
	}
	ring, err := keyring.GenerateFormat(u.now(), byte(seal))
	if err != nil {
		return err
	}
	id := ring.Active(u.now()).ID()
	if rest[0] == "-" {
		u.note("made a ring with key %v, which is active", id)
		return u.printRing(ring)
	}
	if err := createRing(rest[0], ring); err != nil {
		return err
	}
	u.note("made %s with key %v, which is active; keep it secret, and the same for all replicas", rest[0], id)
	return nil
}

func createRing(file string, ring *keyring.Ring) error {
	text, err := ring.Marshal()
	if err != nil {
		return err
	}
	err = createFile(file, text)
	if errors.Is(err, os.ErrExist) {
		return hint(fmt.Errorf("%s exists, and a ring is never overwritten", file), "to add a key to it run: carryon keys rotate %s", shellQuote(file))
	}
	return err
}

// createFile makes a file of mode 0600, unless there is one.
func createFile(file string, text []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := writeAndClose(f, text); err != nil {
		os.Remove(file)
		return err
	}
	return syncDir(filepath.Dir(file))
}
