package main

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/carryon-go/carryon/keyring"
)

// An export is one run of the command.
type export struct {
	place
	format, name, namespace, entry string
	force                          bool
}

// keysExport writes the ring, with its secrets, in the chosen format.
func keysExport(u *ui, args []string) error {
	var e export
	set := u.flags()
	e.flags(set)
	set.StringVar(&e.format, "format", "json", "output `FORMAT`: json, the ring itself (default); env, a line NAME='…' for a shell or\n        systemd; k8s-secret, a manifest for kubectl apply")
	set.StringVar(&e.name, "name", "", "`NAME` of the variable (default CARRYON_KEYS) or of the secret (default session-keys)")
	set.StringVar(&e.namespace, "namespace", "", "`NAMESPACE` of the secret; default: the current namespace of kubectl")
	set.StringVar(&e.entry, "key", "session-keys.json", "`KEY` in the secret, which becomes the name of the mounted file")
	set.BoolVar(&e.force, "force", false, "replace the file given by --to if it exists")
	u.unwrapFlag(set)
	rest, err := u.parse(set, args, -1)
	if err != nil {
		return err
	}
	e.to = cmp.Or(e.to, stdio)
	if err := e.named(u.command.name, rest); err != nil {
		return err
	}
	if e.to != stdio && e.inPlace() {
		return usageError{errors.New("--to is the file of the ring itself; name another file")}
	}
	render, err := e.renderer()
	if err != nil {
		return usageError{err}
	}
	ring, err := u.readRing(e.from)
	if err != nil {
		return err
	}
	text, err := ring.Marshal()
	if err != nil {
		return err
	}
	return u.write(&e, ring, render(text))
}

func (u *ui) write(e *export, ring *keyring.Ring, text []byte) error {
	if e.to == stdio {
		return u.printSecret(text)
	}
	err := createFile(e.to, text)
	if errors.Is(err, os.ErrExist) && e.force {
		err = u.overwriteFile(e.to, text)
	} else if errors.Is(err, os.ErrExist) {
		return hint(fmt.Errorf("%s exists", e.to), "to replace it add --force")
	}
	if err == nil {
		u.note("wrote ring %s to %s; keep it secret", ring.Fingerprint(), e.to)
	}
	return err
}

// overwriteFile replaces a file by one of mode 0600, whatever mode the old file
// has.
func (u *ui) overwriteFile(file string, text []byte) error {
	target, err := filepath.EvalSymlinks(file)
	if err != nil {
		return err
	}
	if info, err := os.Stat(target); err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, fmt.Errorf("%s is not a regular file", file))
	}
	unlock, err := u.lock(target, time.Now().Add(lockTimeout))
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.Chmod(target, 0o600); err != nil {
		return err
	}
	return replaceFile(target, text)
}

var (
	envName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	k8sName   = regexp.MustCompile(`^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$`)
	k8sEntry  = regexp.MustCompile(`^[-._a-zA-Z0-9]{1,253}$`)
	k8sFormat = "k8s-secret"
)

// renderer checks the names, and returns the function that writes the chosen
// format.
func (e *export) renderer() (func([]byte) []byte, error) {
	switch e.format {
	case "json":
		return func(text []byte) []byte { return text }, nil
	case "env":
		if e.name = cmp.Or(e.name, "CARRYON_KEYS"); !envName.MatchString(e.name) {
			return nil, errors.New("--name must be a variable name: letters, digits and _, not beginning with a digit")
		}
		return e.env, nil
	case k8sFormat:
		e.name = cmp.Or(e.name, "session-keys")
		if !k8sName.MatchString(e.name) || e.namespace != "" && !k8sName.MatchString(e.namespace) || !k8sEntry.MatchString(e.entry) {
			return nil, errors.New("--name, --namespace and --key must be valid Kubernetes names: lower-case letters, digits, dashes and dots")
		}
		return e.secret, nil
	}
	return nil, errors.New("--format must be json, env or k8s-secret")
}

// env returns an assignment in one line. The JSON of a ring has no single
// quote, and a shell expands nothing between single quotes.
func (e *export) env(text []byte) []byte {
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil {
		panic(err) // Marshal made it
	}
	return []byte(e.name + "='" + line.String() + "'\n")
}

func (e *export) secret(text []byte) []byte {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nkind: Secret\nmetadata:\n")
	fmt.Fprintf(&b, "  name: %q\n", e.name)
	if e.namespace != "" {
		fmt.Fprintf(&b, "  namespace: %q\n", e.namespace)
	}
	fmt.Fprintf(&b, "type: Opaque\ndata:\n  %q: %s\n", e.entry, base64.StdEncoding.EncodeToString(text))
	return []byte(b.String())
}
