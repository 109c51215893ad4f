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

// export is one run of the command.
type export struct {
	place
	format, name, namespace, entry string
	force                          bool
}

// keysExport writes the ring, secrets and all, in the form that something else
// reads.
func keysExport(u *ui, args []string) error {
	var e export
	set := u.flags()
	e.flags(set)
	set.StringVar(&e.format, "format", "json", "`FORM`: json, the ring itself; env, a line NAME='…' for a shell or systemd;\n        k8s-secret, a manifest for kubectl apply; json if not given")
	set.StringVar(&e.name, "name", "", "`NAME` of the variable, CARRYON_KEYS if not given, or of the secret, session-keys")
	set.StringVar(&e.namespace, "namespace", "", "`NAMESPACE` of the secret; without it that of kubectl")
	set.StringVar(&e.entry, "key", "session-keys.json", "`KEY` in the secret, which becomes the name of the mounted file")
	set.BoolVar(&e.force, "force", false, "replace the file of --to if it exists")
	rest, err := u.parse(set, args, -1)
	if err != nil {
		return err
	}
	e.to = cmp.Or(e.to, stdio)
	if err := e.named(u.command.name, rest); err != nil {
		return err
	}
	if e.to != stdio && e.inPlace() {
		return usageError{errors.New("the ring would be replaced by its copy; give --to another file")}
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
	return u.deliver(&e, ring, render(text))
}

func (u *ui) deliver(e *export, ring *keyring.Ring, text []byte) error {
	if e.to == stdio {
		return u.printSecret(text)
	}
	err := createFile(e.to, text)
	if errors.Is(err, os.ErrExist) && e.force {
		err = u.overwriteFile(e.to, text)
	} else if errors.Is(err, os.ErrExist) {
		return hint(fmt.Errorf("%s exists", e.to), "--force replaces it")
	}
	if err == nil {
		u.note("wrote ring %s to %s; keep it secret", ring.Fingerprint(), e.to)
	}
	return err
}

// overwriteFile replaces a file by one of mode 0600, whatever the old one's.
func (u *ui) overwriteFile(file string, text []byte) error {
	target, err := filepath.EvalSymlinks(file)
	if err != nil {
		return err
	}
	if info, err := os.Stat(target); err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, fmt.Errorf("%s is not a regular file", file))
	}
	unlock, err := u.lock(target, time.Now().Add(patience))
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

// renderer checks the names and returns what writes the form.
func (e *export) renderer() (func([]byte) []byte, error) {
	switch e.format {
	case "json":
		return func(text []byte) []byte { return text }, nil
	case "env":
		if e.name = cmp.Or(e.name, "CARRYON_KEYS"); !envName.MatchString(e.name) {
			return nil, errors.New("--name must be a name of a variable: letters, digits and _")
		}
		return e.env, nil
	case k8sFormat:
		e.name = cmp.Or(e.name, "session-keys")
		if !k8sName.MatchString(e.name) || e.namespace != "" && !k8sName.MatchString(e.namespace) || !k8sEntry.MatchString(e.entry) {
			return nil, errors.New("--name, --namespace and --key must be names as Kubernetes has them, of lower-case letters, digits, dashes and dots")
		}
		return e.secret, nil
	}
	return nil, errors.New("--format must be json, env or k8s-secret")
}

// env is one line. The ring has no single quote in it, nor anything that means
// something between two of them.
func (e *export) env(text []byte) []byte {
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil {
		panic(err) // it was just marshalled
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
