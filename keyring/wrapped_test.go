package keyring

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// keyService is a key management service: it encrypts with a key that never
// leaves it.
type keyService struct {
	aead cipher.AEAD

	mu    sync.Mutex
	calls int
	err   error
	gate  chan struct{} // if not nil, unwrap waits for it or for its context
}

func newKeyService(t testing.TB) *keyService {
	key := make([]byte, 32)
	rand.Read(key)
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	aead, err := cipher.NewGCMWithRandomNonce(block)
	require.NoError(t, err)
	return &keyService{aead: aead}
}

func (s *keyService) wrap(text []byte) []byte { return s.aead.Seal(nil, nil, text, nil) }

func (s *keyService) unwrap(ctx context.Context, wrapped []byte) ([]byte, error) {
	s.mu.Lock()
	s.calls++
	gate, err := s.gate, s.err
	s.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, err
	}
	return s.aead.Open(nil, nil, wrapped, nil)
}

func (s *keyService) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *keyService) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// openWrapped opens a ring that a secret manager has wrapped.
func openWrapped(t testing.TB, opts ...Option) (*secretManager, *keyService, *Keys) {
	v, s := new(secretManager), newKeyService(t)
	putWrapped(t, v, s)
	keys, err := Open(context.Background(), Wrapped(Func(v.fetch), s.unwrap), append([]Option{quiet}, opts...)...)
	require.NoError(t, err)
	return v, s, keys
}

// putWrapped stores a new ring, and returns it.
func putWrapped(t testing.TB, v *secretManager, s *keyService) *Ring {
	ring := mustGenerate(t, day)
	wrapped := s.wrap(mustMarshal(t, ring))
	v.set(func() { v.text = wrapped })
	return ring
}

func TestWrappedIsUnwrappedOnceForEachVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		v, s, keys := openWrapped(t)
		first := keys.Ring(ctx)
		for range 10 {
			time.Sleep(time.Minute)
			require.Same(t, first, keys.Ring(ctx))
		}
		require.Equal(t, 11, v.count())
		require.Equal(t, 1, s.count())

		second := putWrapped(t, v, s)
		time.Sleep(59 * time.Second)
		require.Same(t, first, keys.Ring(ctx))
		time.Sleep(time.Second)
		require.Equal(t, second.Fingerprint(), keys.Ring(ctx).Fingerprint())
		require.Equal(t, 2, s.count())

		// The same ring, wrapped again.
		same := keys.Ring(ctx)
		wrapped := s.wrap(mustMarshal(t, second))
		v.set(func() { v.text = wrapped })
		time.Sleep(time.Minute)
		require.Equal(t, same.Fingerprint(), keys.Ring(ctx).Fingerprint())
		require.Equal(t, 3, s.count())
	})
}

// A key management service that is down does no harm until the ring changes.
func TestWrappedWhileTheServiceIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		var events []ReloadEvent
		v, s, keys := openWrapped(t, OnReload(func(e ReloadEvent) { events = append(events, e) }))
		first := keys.Ring(ctx)
		s.set(func() { s.err = errors.New("the service is down") })
		time.Sleep(time.Minute)
		require.Same(t, first, keys.Ring(ctx))
		_, verdict := keys.Resolve(ctx, ID{1, 2, 3, 4})
		require.Equal(t, Foreign, verdict, "the ring is current, because the wrapped ring has not changed")
		require.Equal(t, 1, s.count())
		require.Empty(t, events)

		second := putWrapped(t, v, s)
		for i := range 3 {
			time.Sleep(time.Minute)
			require.Same(t, first, keys.Ring(ctx), "the last good ring stays in use")
			require.Len(t, events, i+1)
			require.EqualError(t, events[i].Err, "keyring: cannot read the ring from the wrapped function: cannot unwrap it: the service is down")
			require.ErrorIs(t, events[i].Err, s.err)
			require.Equal(t, i+1, events[i].Failures)
			require.Equal(t, first.Fingerprint(), events[i].Fingerprint)
		}
		time.Sleep(time.Minute)
		_, verdict = keys.Resolve(ctx, second.Keys()[0].ID())
		require.Equal(t, Undecided, verdict, "the ring is out of date")

		s.set(func() { s.err = nil })
		time.Sleep(time.Minute)
		require.Equal(t, second.Fingerprint(), keys.Ring(ctx).Fingerprint())
		last := events[len(events)-1]
		require.NoError(t, last.Err)
		require.True(t, last.Changed)
		_, err := Open(ctx, Wrapped(Func(v.fetch), func(context.Context, []byte) ([]byte, error) { return nil, errors.New("denied") }))
		require.EqualError(t, err, "keyring: cannot read the ring from the wrapped function: cannot unwrap it: denied")
	})
}

func TestWrappedWhileTheServiceHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		var events []ReloadEvent
		v, s, keys := openWrapped(t, OnReload(func(e ReloadEvent) { events = append(events, e) }), ReloadTimeout(5*time.Second))
		first := keys.Ring(ctx)
		gate := make(chan struct{})
		s.set(func() { s.gate = gate })
		second := putWrapped(t, v, s)
		time.Sleep(time.Minute)
		began := time.Now()
		require.Same(t, first, keys.Ring(ctx))
		require.Equal(t, 5*time.Second, time.Since(began))
		require.ErrorIs(t, events[0].Err, context.DeadlineExceeded)
		close(gate)
		time.Sleep(time.Minute)
		require.Equal(t, second.Fingerprint(), keys.Ring(ctx).Fingerprint())
	})
}

// Wrapped never accepts a ring that someone could read, and passes its secrets
// to no one.
func TestWrappedRefusesAPlainRing(t *testing.T) {
	text := string(mustMarshal(t, mustGenerate(t, day)))
	plain := text
	var compact strings.Builder
	require.NoError(t, json.NewEncoder(&compact).Encode(json.RawMessage(text)))
	path := filepath.Join(t.TempDir(), "ring.json")
	asked := 0
	unwrap := func(_ context.Context, wrapped []byte) ([]byte, error) { asked++; return wrapped, nil }
	for name, text := range map[string]string{
		"a ring":          text,
		"compact":         compact.String(),
		"with a mark":     "\ufeff" + text,
		"cut off":         text[:len(text)*2/3],
		"with spaces":     strings.ReplaceAll(text, `"secret":"`, "\"secret\" :\n\t\""),
		"in another file": `{"comment":"secret","data":` + text + "}",
		"in base64":       base64.StdEncoding.EncodeToString([]byte(text)) + "\n",
		"SOPS, in part":   strings.Replace(text, `"id":"`, `"id":"ENC[AES256_GCM,data:0aZ]`, 1),
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		t.Setenv("CARRYON_TEST_RING", text)
		for _, src := range []Source{
			File(path), FS(os.DirFS(filepath.Dir(path)), "ring.json"), Env("CARRYON_TEST_RING"),
			Func(func(context.Context) ([]byte, error) { return []byte(text), nil }),
		} {
			_, err := Open(t.Context(), Wrapped(src, unwrap))
			require.ErrorIs(t, err, errNotWrapped, name)
			require.ErrorContains(t, err, "wrap it with: carryon keys wrap")
			requireNoSecret(t, err.Error(), secretIn(plain))
		}
	}
	require.Zero(t, asked)

	// What SOPS encrypts is not a plain ring.
	sops := strings.Replace(text, `"secret":"`, `"secret":"ENC[AES256_GCM,data:`, 1)
	require.False(t, hasReadableSecret([]byte(sops)))
}

// secretIn returns the first secret in the JSON of a ring.
func secretIn(text string) string {
	_, rest, _ := strings.Cut(text, `secret"`)
	_, rest, _ = strings.Cut(rest, `"`)
	secret, _, _ := strings.Cut(rest, `"`)
	return secret
}

// A reload that finds a plain ring keeps the last good one.
func TestWrappedThatIsReplacedByAPlainRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, s, keys := openWrapped(t)
		first := keys.Ring(t.Context())
		v.put(t)
		time.Sleep(time.Minute)
		require.Same(t, first, keys.Ring(t.Context()))
		require.Equal(t, 1, s.count())
	})
}

// An unwrapper may put anything into its errors.
func TestWrappedErrorsNeverHoldTheRing(t *testing.T) {
	log := captureLog(t)
	text := mustMarshal(t, mustGenerate(t, day))
	secret := secretIn(string(text))
	raw, err := base64.RawURLEncoding.DecodeString(secret)
	require.NoError(t, err)
	for name, unwrap := range map[string]unwrapFunc{
		"the text": func(context.Context, []byte) ([]byte, error) { return nil, fmt.Errorf("cannot parse %s", text) },
		"quoted":   func(context.Context, []byte) ([]byte, error) { return nil, fmt.Errorf("cannot parse %q", text) },
		"base64": func(context.Context, []byte) ([]byte, error) {
			return nil, errors.New(base64.StdEncoding.EncodeToString(text))
		},
		"hexadecimal":      func(context.Context, []byte) ([]byte, error) { return nil, fmt.Errorf("key is %x", raw) },
		"both results":     func(context.Context, []byte) ([]byte, error) { return text, errors.New("half done") },
		"a panic":          func(context.Context, []byte) ([]byte, error) { panic(string(text)) },
		"not a whole ring": func(context.Context, []byte) ([]byte, error) { return text[:len(text)-9], nil },
		"two rings":        func(context.Context, []byte) ([]byte, error) { return append(text[:len(text):len(text)], text...), nil },
		"too large":        func(context.Context, []byte) ([]byte, error) { return []byte(strings.Repeat(string(text), 500)), nil },
		"nothing":          func(context.Context, []byte) ([]byte, error) { return nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, broken := newKeyService(t), false
				good := s.wrap(text)
				fetch := func(context.Context) ([]byte, error) { return s.wrap(text), nil }
				keys, err := Open(t.Context(), Wrapped(Func(fetch), func(ctx context.Context, wrapped []byte) ([]byte, error) {
					if broken {
						return unwrap(ctx, wrapped)
					}
					return s.unwrap(ctx, good)
				}))
				require.NoError(t, err)
				first := keys.Ring(t.Context())
				broken = true
				time.Sleep(time.Minute)
				require.Same(t, first, keys.Ring(t.Context()))

				_, err = Open(t.Context(), Wrapped(Func(fetch), unwrap))
				require.Error(t, err)
				require.Less(t, len(err.Error()), 600)
				for _, shown := range []string{err.Error(), fmt.Sprintf("%+v %#v", err, err), log.String()} {
					requireNoSecret(t, shown, secret)
					require.NotContains(t, shown, fmt.Sprintf("%x", raw[:4]))
					require.NotContains(t, shown, base64.StdEncoding.EncodeToString(text)[:12])
				}
			})
		})
	}
	require.Contains(t, log.String(), "going on with the last good ring")
}

func TestWrappedIsBounded(t *testing.T) {
	s := newKeyService(t)
	text := mustMarshal(t, mustGenerate(t, day))
	padded := func(n int) []byte {
		return append(text[:len(text):len(text)], []byte(strings.Repeat(" ", n-len(text)))...)
	}
	for size, want := range map[int]string{MaxSize: "", MaxSize + 1: "larger than 65536 bytes"} {
		wrapped := s.wrap(padded(size))
		require.Greater(t, len(wrapped), MaxSize, "a wrapped ring may be larger than a plain one")
		_, err := Open(t.Context(), Wrapped(FS(fstest.MapFS{"ring": {Data: wrapped}}, "ring"), s.unwrap))
		if want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, want)
		}
	}

	asked := s.count()
	path := filepath.Join(t.TempDir(), "huge")
	huge := strings.Repeat("x", MaxWrapped+1)
	require.NoError(t, os.WriteFile(path, []byte(huge), 0o600))
	for _, src := range []Source{File(path), FS(os.DirFS(filepath.Dir(path)), "huge"), Func(func(context.Context) ([]byte, error) { return []byte(huge), nil })} {
		_, err := Open(t.Context(), Wrapped(src, s.unwrap))
		require.ErrorContains(t, err, "it is larger than 262144 bytes")
	}
	require.Equal(t, asked, s.count(), "a wrapped ring that is too large is not unwrapped")
}

// A damaged or exchanged wrapped ring is one that cannot be read.
func TestWrappedThatWasChanged(t *testing.T) {
	s := newKeyService(t)
	wrapped := s.wrap(mustMarshal(t, mustGenerate(t, day)))
	for name, text := range map[string][]byte{
		"one bit":        append([]byte{wrapped[0] ^ 1}, wrapped[1:]...),
		"cut off":        wrapped[:len(wrapped)-1],
		"another's":      newKeyService(t).wrap(mustMarshal(t, mustGenerate(t, day))),
		"empty":          {},
		"wrapped, twice": s.wrap(wrapped),
	} {
		_, err := Open(t.Context(), Wrapped(FS(fstest.MapFS{"ring": {Data: text}}, "ring"), s.unwrap))
		require.ErrorContains(t, err, "wrapped file ring", name)
	}
}

func TestWrappedSources(t *testing.T) {
	s := newKeyService(t)
	for _, src := range []Source{Wrapped(Source{}, s.unwrap), Wrapped(Env("X"), nil), Wrapped(Wrapped(Env("X"), s.unwrap), s.unwrap)} {
		_, err := Open(t.Context(), src)
		require.ErrorContains(t, err, "no source")
	}
	ring := mustGenerate(t, day)
	t.Setenv("CARRYON_TEST_RING", base64.StdEncoding.EncodeToString(s.wrap(mustMarshal(t, ring))))
	src := Wrapped(Env("CARRYON_TEST_RING"), func(ctx context.Context, wrapped []byte) ([]byte, error) {
		text, err := base64.StdEncoding.DecodeString(string(wrapped))
		if err != nil {
			return nil, err
		}
		return s.unwrap(ctx, text)
	})
	require.Equal(t, "wrapped environment variable CARRYON_TEST_RING", src.String())
	require.Negative(t, src.every, "the environment of a process does not change")
	keys, err := Open(t.Context(), src, quiet)
	require.NoError(t, err)
	require.Equal(t, ring.Fingerprint(), keys.Ring(t.Context()).Fingerprint())

	_, err = Open(t.Context(), Wrapped(File("none.age"), s.unwrap))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "make one with: carryon keys init --wrap COMMAND none.age")
}

func TestScrub(t *testing.T) {
	secret := secretIn(string(mustMarshal(t, mustGenerate(t, day))))
	for text, want := range map[string]string{
		"": "", "permission denied": "permission denied", "a\nb\x1b[31m\xff": "a b [31m\ufffd",
		"key " + secret + "!":     "key [removed]!",
		secret + secret:           "[removed]",
		strings.Repeat("x", 39):   strings.Repeat("x", 39),
		strings.Repeat("x y", 99): strings.Repeat("x y", 99),
		strings.Repeat("é ", 999): strings.Repeat("é ", 100) + "…",
		"AccessDeniedException: arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd": "AccessDeniedException: arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd",
	} {
		require.Equal(t, want, scrub(text))
	}
}

func FuzzScrub(f *testing.F) {
	f.Add("permission denied", uint16(3))
	f.Add(`cannot parse {"secret":"`, uint16(24))
	f.Add("\xff\n"+strings.Repeat("a/", 300), uint16(1))
	secret := secretIn(string(mustMarshal(f, mustGenerate(f, day))))
	f.Fuzz(func(t *testing.T, text string, at uint16) {
		i := int(at) % (len(text) + 1)
		got := scrub(text[:i] + secret + text[i:])
		require.NotContains(t, got, secret[:minKeyText])
		require.NotContains(t, got, "\n")
		require.Less(t, len(got), maxScrubbed+minKeyText+len("…"))
	})
}

// Nothing is both a ring and a wrapped ring.
func FuzzReadableSecret(f *testing.F) {
	f.Add([]byte(exampleText(1)))
	f.Add([]byte(`"secret"`))
	f.Add([]byte(`"secret" : "`))
	f.Add([]byte(`"secret":"ENC[AES256_GCM,data:01234567890123456789012345678901234567890123]"`))
	f.Fuzz(func(t *testing.T, text []byte) {
		readable := hasReadableSecret(text)
		if _, err := DangerouslyParseWithExampleKeys(text); err == nil && !strings.Contains(string(text), `\u`) {
			require.True(t, readable)
		}
	})
}
