package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/carryon-go/carryon/keyring"
)

// keysInit makes a ring. It never overwrites a file, because all sessions
// depend on the keys in it.
func keysInit(u *ui, args []string) error {
	set, seal := u.flags(), form(1)
	set.Var(&seal, "form", "`FORM` in which the key seals: xaes (default), xchacha or securecookie. Programs\n        need Config.Formats for any form but xaes")
	u.wrapFlag(set)
	set.StringVar(&u.verify, "unwrap", "", "`COMMAND` that decrypts the result, to check it; default: no check")
	rest, err := u.parse(set, args, 1)
	if err != nil {
		return err
	}
	if u.verify != "" && u.wrap == "" {
		return usageError{errors.New("--unwrap needs --wrap")}
	}
	ring, err := keyring.GenerateFormat(u.now(), byte(seal))
	if err != nil {
		return err
	}
	id := ring.Active(u.now()).ID()
	if rest[0] == "-" {
		u.note("made a key ring; its key %v is active", id)
		return u.printRing(ring)
	}
	if err := u.createRing(rest[0], ring); err != nil {
		return err
	}
	if u.wrap != "" {
		u.note("made %s, encrypted; its key %v is active. Use it on all replicas", rest[0], id)
		return nil
	}
	u.note("made %s; its key %v is active. Keep the file secret, and use it on all replicas", rest[0], id)
	return nil
}

func (u *ui) createRing(file string, ring *keyring.Ring) error {
	text, err := u.encode(ring)
	if err != nil {
		return err
	}
	err = createFile(file, text)
	if errors.Is(err, os.ErrExist) {
		return hint(fmt.Errorf("%s exists, and carryon never overwrites a key ring", file), "to add a key to it run: carryon keys rotate %s", shellQuote(file))
	}
	return err
}

// createFile creates a file of mode 0600. It fails if the file exists.
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
