//go:build unix

package keyring

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

var ctx = context.Background()

// tick is a clock that only the test moves. It starts an hour ahead, so that
// the files of a test are old enough for their time stamps to count.
type tick struct{ time.Time }

func (c *tick) now() time.Time { return c.Time }

func (c *tick) pass(d time.Duration) { c.Time = c.Add(d) }

func newTick() *tick { return &tick{time.Now().Add(time.Hour)} }

// writeRing writes a file that is an hour old, so that any later change has
// another time stamp, even on a coarse file system.
func writeRing(t testing.TB, path string, ring *Ring) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, mustMarshal(t, ring), 0o600))
	old := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(path, old, old))
}

func TestFileRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ring.json")
	open := func(p string) error { _, err := Open(ctx, File(p)); return err }
	writeRing(t, path, mustGenerate(t, day))
	require.NoError(t, open(path))

	for _, mode := range []os.FileMode{0o640, 0o604, 0o644, 0o620, 0o602, 0o610, 0o601, 0o777} {
		require.NoError(t, os.Chmod(path, mode))
		require.ErrorContains(t, open(path), fmt.Sprintf("%#o, so other users can read or change the keys; run: chmod 600 %s", mode, path))
	}
	require.NoError(t, os.Chmod(path, 0o400))
	require.NoError(t, open(path))

	require.ErrorIs(t, open(filepath.Join(dir, "none")), os.ErrNotExist)
	require.ErrorContains(t, open(dir), "not a regular file")
	require.ErrorContains(t, open("/dev/zero"), "not a regular file")
	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	require.ErrorContains(t, open(pipe), "not a regular file", "opening does not wait for a writer")

	big := filepath.Join(dir, "big")
	require.NoError(t, os.WriteFile(big, make([]byte, 1<<20), 0o600))
	require.ErrorContains(t, open(big), "larger than 65536 bytes")
	empty := filepath.Join(dir, "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	require.ErrorContains(t, open(empty), "not a JSON object (in the file "+empty+")")
}

func TestChmodInTheErrorCanBePasted(t *testing.T) {
	for path, want := range map[string]string{
		"/etc/keys/ring-1.json": "/etc/keys/ring-1.json",
		"my keys.json":          "'my keys.json'",
		"a'b":                   `'a'\''b'`,
		"-rf":                   "'./-rf'",
		"钥匙.json":               "'钥匙.json'",
		"$(reboot)":             "'$(reboot)'",
		"a\nb":                  "FILE",
		"\xff":                  "FILE",
	} {
		require.Equal(t, want, shellQuote(path))
	}
}

func TestDangerouslyGroupReadableFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring.json")
	writeRing(t, path, mustGenerate(t, day))
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o440: true, 0o640: true, 0o660: false, 0o644: false, 0o604: false} {
		require.NoError(t, os.Chmod(path, mode))
		_, err := Open(ctx, DangerouslyGroupReadableFile(path))
		require.Equal(t, ok, err == nil, "%o", mode)
	}
}

// Each kind of change is seen after one second, not earlier.
func TestFileIsFollowed(t *testing.T) {
	ways := map[string]func(t *testing.T, path string, text []byte){
		"rewritten in place": func(t *testing.T, path string, text []byte) {
			require.NoError(t, os.WriteFile(path, text, 0o600))
		},
		"replaced by a rename": func(t *testing.T, path string, text []byte) {
			require.NoError(t, os.WriteFile(path+".new", text, 0o600))
			require.NoError(t, os.Rename(path+".new", path))
		},
		"replaced, with the old time stamp": func(t *testing.T, path string, text []byte) {
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path+".new", text, 0o600))
			require.NoError(t, os.Chtimes(path+".new", info.ModTime(), info.ModTime()))
			require.NoError(t, os.Rename(path+".new", path))
		},
		"removed and made again": func(t *testing.T, path string, text []byte) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.WriteFile(path, text, 0o600))
		},
	}
	for name, change := range ways {
		t.Run(name, func(t *testing.T) {
			clock, path := newTick(), filepath.Join(t.TempDir(), "ring.json")
			writeRing(t, path, mustGenerate(t, day))
			keys, err := Open(ctx, File(path), Clock(clock.now), quiet)
			require.NoError(t, err)
			other := mustGenerate(t, day)
			change(t, path, mustMarshal(t, other))
			clock.pass(999 * time.Millisecond)
			require.NotEqual(t, other.Fingerprint(), keys.Ring(ctx).Fingerprint())
			clock.pass(time.Millisecond)
			require.Equal(t, other.Fingerprint(), keys.Ring(ctx).Fingerprint())
		})
	}
}

// The mode of a mounted Kubernetes secret cannot be changed inside the pod.
// Without an fsGroup it is defaultMode, 0644 if not set; with an fsGroup the
// group may read.
func TestModesOfAKubernetesSecret(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "..2026_01_31_12_00_00.1")
	require.NoError(t, os.Mkdir(data, 0o700))
	require.NoError(t, os.Symlink(filepath.Base(data), filepath.Join(dir, "..data")))
	path := filepath.Join(dir, "ring.json")
	require.NoError(t, os.Symlink("..data/ring.json", path))
	writeRing(t, filepath.Join(data, "ring.json"), mustGenerate(t, day))
	for mode, want := range map[os.FileMode]struct{ file, group bool }{
		0o644: {false, false}, 0o444: {false, false}, 0o640: {false, true}, 0o440: {false, true}, 0o400: {true, true}, 0o600: {true, true},
	} {
		require.NoError(t, os.Chmod(path, mode))
		for _, p := range []string{path, filepath.Join(dir, "..data", "ring.json"), filepath.Join(data, "ring.json")} {
			_, err := Open(ctx, DangerouslyGroupReadableFile(p))
			require.Equal(t, want.group, err == nil, "%o", mode)
			_, err = Open(ctx, File(p))
			require.Equal(t, want.file, err == nil, "%o", mode)
			if err != nil {
				for _, part := range []string{fmt.Sprintf("%#o", mode), "defaultMode: 0400", "defaultMode: 0440", "fsGroup", "keyring.DangerouslyGroupReadableFile"} {
					require.ErrorContains(t, err, part)
				}
				require.NotContains(t, err.Error(), "chmod")
				require.NotContains(t, err.Error(), "\n")
			}
		}
	}
}

// A secret that a platform mounts with mode 0444, which neither File nor
// DangerouslyGroupReadableFile accepts, is read with FS. Kubernetes replaces it
// by a symbolic link to another folder.
func TestFSFollowsAMountedSecret(t *testing.T) {
	clock, dir := newTick(), t.TempDir()
	publish := func(name string) *Ring {
		ring := mustGenerate(t, day)
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, "ring.json"), mustMarshal(t, ring), 0o444))
		require.NoError(t, os.Symlink(name, filepath.Join(dir, "..data_tmp")))
		require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		return ring
	}
	first := publish("..1")
	require.NoError(t, os.Symlink("..data/ring.json", filepath.Join(dir, "ring.json")))
	for _, src := range []Source{File(filepath.Join(dir, "ring.json")), DangerouslyGroupReadableFile(filepath.Join(dir, "ring.json"))} {
		_, err := Open(ctx, src)
		require.ErrorContains(t, err, "its mode is 0444")
	}
	keys, err := Open(ctx, FS(os.DirFS(dir), "ring.json"), Clock(clock.now), quiet)
	require.NoError(t, err)
	require.Equal(t, first.Fingerprint(), keys.Ring(ctx).Fingerprint())
	second := publish("..2")
	clock.pass(59 * time.Second)
	require.Equal(t, first.Fingerprint(), keys.Ring(ctx).Fingerprint())
	clock.pass(time.Second)
	require.Equal(t, second.Fingerprint(), keys.Ring(ctx).Fingerprint())
}

// A program that does not run as root cannot read a file of mode 0400.
func TestKubernetesSecretThatCannotBeRead(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root can read every file")
	}
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "..1"), 0o700))
	require.NoError(t, os.Symlink("..1", filepath.Join(dir, "..data")))
	path := filepath.Join(dir, "..data", "ring.json")
	require.NoError(t, os.WriteFile(path, nil, 0o200))
	_, err := Open(ctx, File(path))
	require.ErrorIs(t, err, os.ErrPermission)
	require.ErrorContains(t, err, "fsGroup")
}

func TestOpenSaysHowToMakeARing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "my ring.json")
	_, err := Open(ctx, File(path))
	require.EqualError(t, err, "keyring: cannot read the ring from the file "+path+": no such file or directory; make one with: carryon keys init '"+path+"'")
	require.ErrorIs(t, err, os.ErrNotExist)

	// A missing file must not produce a new ring, which would log everybody
	// out.
	clock := newTick()
	writeRing(t, path, mustGenerate(t, day))
	var event ReloadEvent
	keys, err := Open(ctx, File(path), Clock(clock.now), OnReload(func(e ReloadEvent) { event = e }))
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	clock.pass(time.Second)
	keys.Ring(ctx)
	require.ErrorIs(t, event.Err, os.ErrNotExist)
	require.NotContains(t, event.Err.Error(), "keys init")
}

// A name can neither start a new log line nor send control characters to a
// terminal.
func TestNamesOfSourcesAreQuoted(t *testing.T) {
	for name, want := range map[string]string{
		"a\nb": `"a\nb"`, "\x1b[31m": `"\x1b[31m"`, "\xff": `"\xff"`, "钥匙 b.json": "钥匙 b.json", "": "",
	} {
		for _, src := range []Source{File(name), FS(fstest.MapFS{}, name), Env(name)} {
			require.True(t, strings.HasSuffix(src.String(), " "+want), src.String())
			_, err := Open(ctx, src)
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), "\n")
			require.NotContains(t, err.Error(), "\x1b")
		}
	}
}

// Kubernetes mounts ring.json -> ..data/ring.json, ..data -> ..2026_01_31,
// and swaps ..data.
func TestKubernetesSecretIsFollowed(t *testing.T) {
	for mode, open := range map[os.FileMode]func(string) Source{0o400: File, 0o600: File, 0o440: DangerouslyGroupReadableFile} {
		clock, dir := newTick(), t.TempDir()
		first, second := mustGenerate(t, day), mustGenerate(t, day)
		for name, ring := range map[string]*Ring{"..1": first, "..2": second} {
			file := filepath.Join(dir, name, "ring.json")
			require.NoError(t, os.Mkdir(filepath.Dir(file), 0o700))
			writeRing(t, file, ring)
			require.NoError(t, os.Chmod(file, mode))
		}
		path := filepath.Join(dir, "ring.json")
		require.NoError(t, os.Symlink("..1", filepath.Join(dir, "..data")))
		require.NoError(t, os.Symlink("..data/ring.json", path))
		keys, err := Open(ctx, open(path), Clock(clock.now), quiet)
		require.NoError(t, err)
		require.Equal(t, first.Fingerprint(), keys.Ring(ctx).Fingerprint())

		require.NoError(t, os.Symlink("..2", filepath.Join(dir, "..tmp")))
		require.NoError(t, os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")))
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "..1")))
		clock.pass(time.Second)
		require.Equal(t, second.Fingerprint(), keys.Ring(ctx).Fingerprint())

		// A change of defaultMode is refused, as it is in Open.
		require.NoError(t, os.Chmod(filepath.Join(dir, "..2", "ring.json"), 0o644))
		clock.pass(time.Second)
		require.Equal(t, second.Fingerprint(), keys.Ring(ctx).Fingerprint())
		_, verdict := keys.Resolve(ctx, unknownID(1))
		require.Equal(t, Foreign, verdict, "the last read was a second ago")
		clock.pass(time.Second)
		_, verdict = keys.Resolve(ctx, unknownID(1))
		require.Equal(t, Undecided, verdict)
	}
}

// A second rewrite within one step of the file system's clock has the same
// time stamp and size. It is seen nevertheless.
func TestTwoRewritesWithinOneTimeStamp(t *testing.T) {
	clock, path := &tick{time.Now()}, filepath.Join(t.TempDir(), "ring.json")
	write := func() *Ring {
		ring := mustGenerate(t, day)
		writeRing(t, path, ring)
		require.NoError(t, os.Chtimes(path, clock.Time, clock.Time))
		return ring
	}
	stamp := clock.Time
	write()
	keys, err := Open(ctx, File(path), Clock(clock.now), quiet)
	require.NoError(t, err)
	second := write()
	require.NoError(t, os.Chtimes(path, stamp, stamp))
	clock.pass(time.Second)
	require.Equal(t, second.Fingerprint(), keys.Ring(ctx).Fingerprint())
}

func TestUnchangedFileIsNotReadAgain(t *testing.T) {
	clock, path := newTick(), filepath.Join(t.TempDir(), "ring.json")
	writeRing(t, path, mustGenerate(t, day))
	src, reads := File(path), 0
	read := src.read
	src.read = func(ctx context.Context, b bound) (sourceRead, error) { reads++; return read(ctx, b) }
	keys, err := Open(ctx, src, Clock(clock.now), quiet)
	require.NoError(t, err)
	for range 5 {
		clock.pass(time.Second)
		keys.Ring(ctx)
	}
	require.Equal(t, 1, reads, "stat suffices")
	keys.Refresh(ctx)
	require.Equal(t, 2, reads, "an unknown id causes a read")
}

func TestBrokenFileKeepsTheLastGoodRing(t *testing.T) {
	breaks := map[string]func(t *testing.T, path string){
		"emptied": func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 0)) },
		"without keys": func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, []byte(`{"version":1,"keys":[]}`), 0o600))
		},
		"another's": func(t *testing.T, path string) { require.NoError(t, os.Chmod(path, 0o640)) },
		"a directory": func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Mkdir(path, 0o700))
		},
		"huge": func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 1<<40)) },
		"too large, and a ring": func(t *testing.T, path string) {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, append(text, bytes.Repeat([]byte(" "), MaxSize)...), 0o600))
		},
		"half written": func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 50)) },
		"gone":         func(t *testing.T, path string) { require.NoError(t, os.Rename(path, path+".away")) },
		"readable":     func(t *testing.T, path string) { require.NoError(t, os.Chmod(path, 0o644)) },
	}
	for name, breakIt := range breaks {
		t.Run(name, func(t *testing.T) {
			clock, path := newTick(), filepath.Join(t.TempDir(), "ring.json")
			ring := mustGenerate(t, day)
			writeRing(t, path, ring)
			var events []ReloadEvent
			keys, err := Open(ctx, File(path), Clock(clock.now), OnReload(func(e ReloadEvent) { events = append(events, e) }))
			require.NoError(t, err)
			breakIt(t, path)
			for i := range 2 {
				clock.pass(time.Second)
				require.Equal(t, ring.Fingerprint(), keys.Ring(ctx).Fingerprint())
				require.Len(t, events, i+1)
				require.Error(t, events[i].Err)
				require.Equal(t, i+1, events[i].Failures)
			}
			require.NoError(t, os.RemoveAll(path))
			require.NoError(t, os.WriteFile(path, mustMarshal(t, ring), 0o600))
			clock.pass(time.Second)
			keys.Ring(ctx)
			require.Equal(t, ReloadEvent{Source: "file " + path, Fingerprint: ring.Fingerprint()}, events[2], "it recovered, with the same ring")
		})
	}
}

// The file is replaced between the first check and the open.
func TestFileIsLookedAtAgainOnceItIsOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ring.json")
	writeRing(t, path, mustGenerate(t, day))
	_, err := readOpened(path, 0o077, plain)
	require.NoError(t, err)
	require.NoError(t, os.Chmod(path, 0o640))
	_, err = readOpened(path, 0o077, plain)
	require.ErrorContains(t, err, "its mode is 0640")
	_, err = readOpened(dir, 0o077, plain)
	require.ErrorContains(t, err, "not a regular file")
	_, err = readOpened(path+".gone", 0o077, plain)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// Everyone may read a wrapped file, but not replace it: age encrypts for anyone.
func TestModesOfAWrappedFile(t *testing.T) {
	s, path := newKeyService(t), filepath.Join(t.TempDir(), "ring.age")
	require.NoError(t, os.WriteFile(path, s.wrap(mustMarshal(t, mustGenerate(t, day))), 0o600))
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o644: true, 0o444: true, 0o664: false, 0o666: false, 0o602: false, 0o620: false} {
		require.NoError(t, os.Chmod(path, mode))
		for _, src := range []Source{File(path), DangerouslyGroupReadableFile(path)} {
			_, err := Open(ctx, Wrapped(src, s.unwrap), quiet)
			require.Equal(t, ok, err == nil, "%#o: %v", mode, err)
			if err != nil {
				require.ErrorContains(t, err, fmt.Sprintf("its mode is %#o, so other users can replace the keys; run: chmod go-w ", mode))
			}
		}
	}
}

// The file is not even read again while its time stamp says that it is the same.
func TestWrappedFileFollowsAReplacement(t *testing.T) {
	clock, s, path := newTick(), newKeyService(t), filepath.Join(t.TempDir(), "ring.age")
	first, second := mustGenerate(t, day), mustGenerate(t, day)
	require.NoError(t, os.WriteFile(path, s.wrap(mustMarshal(t, first)), 0o644))
	keys, err := Open(ctx, Wrapped(File(path), s.unwrap), Clock(clock.now), quiet)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path+".new", s.wrap(mustMarshal(t, second)), 0o644))
	require.NoError(t, os.Rename(path+".new", path))
	clock.pass(59 * time.Second)
	require.Equal(t, first.Fingerprint(), keys.Ring(ctx).Fingerprint())
	clock.pass(time.Second)
	require.Equal(t, second.Fingerprint(), keys.Ring(ctx).Fingerprint())
	require.Equal(t, 2, s.count())
}
