package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/carryon-go/carryon/keyring"
)

// A wrapping is how a ring is encrypted where it is stored: by commands of the
// user, which read standard input and write standard output. They run in a
// shell, so that they can be pipes. The ring passes through pipes only, never
// through a file or a command line.
type wrapping struct {
	wrap, unwrap, verify string // empty: none
	stored               []byte // the ring that was read last, still wrapped
}

// unwrapFlag adds --unwrap to the flags of a command that reads a ring.
func (u *ui) unwrapFlag(set *flag.FlagSet) {
	set.StringVar(&u.unwrap, "unwrap", "", "the ring is encrypted; `COMMAND` decrypts it, from standard input to standard output")
}

// wrapFlag adds --wrap to the flags of a command that writes a ring.
func (u *ui) wrapFlag(set *flag.FlagSet) {
	set.StringVar(&u.wrap, "wrap", "", "write the ring encrypted; `COMMAND` encrypts it, from standard input to standard output")
}

// wrapFlags adds both flags to those of a command that changes a ring.
func (u *ui) wrapFlags(set *flag.FlagSet) {
	u.unwrapFlag(set)
	u.wrapFlag(set)
}

// checkWrapFlags returns an error if a ring that is read encrypted would be
// written as plain text, or the other way round.
func (u *ui) checkWrapFlags() error {
	u.verify = u.unwrap
	if (u.wrap == "") == (u.unwrap == "") {
		return nil
	}
	return usageError{errors.New("--unwrap and --wrap belong together: the ring is decrypted, changed and encrypted again")}
}

// encode returns the ring as it is stored.
func (u *ui) encode(ring *keyring.Ring) ([]byte, error) {
	text, err := ring.Marshal()
	if err != nil || u.wrap == "" {
		return text, err
	}
	return u.wrapText(text, ring)
}

// wrapText encrypts the text of a ring. It returns an error if the result is
// not encrypted, or if the command that decrypts it does not.
func (u *ui) wrapText(text []byte, ring *keyring.Ring) ([]byte, error) {
	out, err := u.pipe("--wrap", u.wrap, text, keyring.MaxWrapped)
	switch {
	case err != nil:
		return nil, err
	case len(out) == 0:
		return nil, errors.New("the --wrap command printed nothing")
	case hasSecretOf(out, text), hasSecretOf(fromBase64(out), text):
		return nil, errors.New("the --wrap command printed a secret of the ring, so its output is not encrypted")
	case u.verify == "":
		return out, nil
	}
	back, err := u.pipe("--unwrap", u.verify, out, keyring.MaxSize)
	if err != nil {
		return nil, fmt.Errorf("the ring was encrypted, but cannot be decrypted again: %w", err)
	}
	again, err := keyring.Parse(back)
	if err != nil || again.Fingerprint() != ring.Fingerprint() {
		return nil, errors.New("the ring was encrypted, but the command that decrypts it prints something else; check that both use the same key")
	}
	return out, nil
}

// unwrapText decrypts a ring that was read, and keeps what was read.
func (u *ui) unwrapText(_ context.Context, stored []byte) ([]byte, error) {
	u.stored = stored
	return u.pipe("--unwrap", u.unwrap, stored, keyring.MaxSize)
}

// fromBase64 returns the text that is encoded in base64, or nil.
func fromBase64(text []byte) []byte {
	decoded, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil {
		return nil
	}
	return decoded
}

// hasSecretOf reports whether a text contains a secret of the ring in JSON.
func hasSecretOf(text, ring []byte) bool {
	for row := range bytes.Lines(ring) {
		_, rest, found := bytes.Cut(row, []byte(`"secret":"`))
		secret, _, _ := bytes.Cut(rest, []byte(`"`))
		if found && bytes.Contains(text, secret) {
			return true
		}
	}
	return false
}

// pipeDelay is how long a command may keep its input open after it has ended.
const pipeDelay = 5 * time.Second

// pipe runs a command and returns what it prints, at most limit bytes. Its
// messages go to standard error. An error does not repeat the command, which
// may contain a token.
func (u *ui) pipe(name, command string, in []byte, limit int) ([]byte, error) {
	cmd := shell(command)
	cmd.Stdin, cmd.Stderr, cmd.WaitDelay = bytes.NewReader(in), u.err, pipeDelay
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("cannot run the %s command: %w", name, err)
	}
	out, err := io.ReadAll(io.LimitReader(pipe, int64(limit)+1))
	if len(out) > limit {
		cmd.Process.Kill()
		err = fmt.Errorf("it printed more than %d bytes", limit)
	}
	ended := cmd.Wait()
	if err == nil {
		err = ended
	}
	if err != nil {
		return nil, fmt.Errorf("the %s command failed: %w", name, err)
	}
	return out, nil
}
