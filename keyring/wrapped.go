package keyring

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxWrapped is the maximum size of a wrapped ring in bytes. A ring of [MaxSize]
// stays below it even if the encrypted text is encoded in base64 twice.
const MaxWrapped = 4 * MaxSize

type unwrapFunc func(ctx context.Context, wrapped []byte) ([]byte, error)

// Wrapped is a ring that is stored encrypted, and that unwrap decrypts: with a
// key management service, the transit engine of Vault or OpenBao, or age.
// Anyone who has only the wrapped ring learns nothing about its keys. Create
// one with "carryon keys init --wrap COMMAND FILE"; docs/secrets.md has the
// commands.
//
//	identity, err := age.ParseX25519Identity(os.Getenv("AGE_IDENTITY"))
//	unwrap := func(_ context.Context, wrapped []byte) ([]byte, error) {
//		r, err := age.Decrypt(bytes.NewReader(wrapped), identity)
//		if err != nil {
//			return nil, err
//		}
//		return io.ReadAll(r)
//	}
//	keys, err := keyring.Open(ctx, keyring.Wrapped(keyring.File("session-keys.age"), unwrap))
//
// [Open] calls unwrap once; after that it is called only when the wrapped ring
// has changed. The source is checked every minute ([ReloadEvery]), except
// [Env]. If unwrap fails, the last good ring stays in use, as if the source
// could not be read. Reading and unwrapping share one time limit
// ([ReloadTimeout]), so unwrap should respect its context.
//
// The result must be a ring, and the source must not be one: a ring whose
// secrets are readable, also in base64, is refused and never passed to unwrap.
// A wrapped ring has at most [MaxWrapped] bytes. A wrapped [File] may be
// readable by everyone, but the group and others must not be able to write it:
// with age, anyone can wrap a ring of their own.
//
// unwrap should return the errors of its service, because they say what to
// repair. They are shortened to one line, without anything that could be a
// key. The wrapped Source itself must not be wrapped. If src is not usable or
// unwrap is nil, Open fails.
func Wrapped(src Source, unwrap func(ctx context.Context, wrapped []byte) ([]byte, error)) Source {
	if src.read == nil || src.unwrap != nil || unwrap == nil {
		return Source{}
	}
	src.name = "wrapped " + src.name
	src.unwrap = unwrap
	if src.every >= 0 {
		src.every = max(src.every, time.Minute)
	}
	if src.make != "" {
		src.make = strings.Replace(src.make, "keys init", "keys init --wrap COMMAND", 1)
	}
	return src
}

var (
	errNotWrapped    = errors.New("it is not encrypted: its secrets can be read; wrap it with: carryon keys wrap")
	errUnwrapPanic   = errors.New("the function that unwraps it panicked")
	errUnwrapNothing = errors.New("the function that unwraps it returned nothing")
)

// safely unwraps a ring. A panic becomes an error, because this runs in a
// goroutine where a panic would end the program.
func (f unwrapFunc) safely(ctx context.Context, wrapped []byte) (text []byte, err error) {
	if hasReadableSecret(wrapped) || hasReadableSecret(fromBase64(wrapped)) {
		return nil, errNotWrapped
	}
	defer func() {
		if recover() != nil {
			text, err = nil, errUnwrapPanic
		}
	}()
	text, err = f(ctx, wrapped)
	switch {
	case err != nil:
		return nil, &unwrapError{err}
	case len(text) == 0:
		return nil, errUnwrapNothing
	}
	return text, plain.check(len(text))
}

// An unwrapError is an error of the function that unwraps, which may quote
// anything. Its text is safe to log.
type unwrapError struct{ cause error }

func (e *unwrapError) Error() string { return "cannot unwrap it: " + scrub(e.cause.Error()) }

func (e *unwrapError) Unwrap() error { return e.cause }

const (
	maxScrubbed = 300 // bytes of an error's text
	minKeyText  = 40  // a secret has 43 characters in base64url, a ring many more in any encoding
)

// scrub returns the beginning of a text in one line, with every word that is
// long enough to be a key or a ring replaced by "[removed]".
func scrub(text string) string {
	var b strings.Builder
	for text != "" && b.Len() < maxScrubbed {
		n := len(text) - len(strings.TrimLeftFunc(text, isKeyText))
		switch {
		case n >= minKeyText:
			b.WriteString("[removed]")
		case n > 0:
			b.WriteString(text[:n])
		default:
			r, size := utf8.DecodeRuneInString(text)
			if !strconv.IsPrint(r) {
				r = ' '
			}
			b.WriteRune(r)
			n = size
		}
		text = text[n:]
	}
	if text != "" {
		return b.String() + "…"
	}
	return b.String()
}

// isKeyText reports whether r occurs in hexadecimal digits or in base64.
func isKeyText(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("+/-_=", r)
}

// fromBase64 returns the text that is encoded in base64, which is often taken
// for encryption, or nil.
func fromBase64(text []byte) []byte {
	decoded, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil {
		return nil
	}
	return decoded
}

// hasReadableSecret reports whether a text contains a key's secret as the JSON
// of a ring has it, also in a ring that is damaged or encrypted in part.
func hasReadableSecret(text []byte) bool {
	const name = `"secret"`
	for {
		_, rest, found := bytes.Cut(text, []byte(name))
		if !found {
			return false
		}
		text = rest
		rest, colon := bytes.CutPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(":"))
		rest, quote := bytes.CutPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(`"`))
		if colon && quote && len(rest) >= secretSize && len(bytes.TrimLeftFunc(rest[:secretSize], isKeyText)) == 0 {
			return true
		}
	}
}
