package fleet_test

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/sessiontest"
)

// patience limits waiting. It is long enough for slow machines.
const patience = time.Minute

func newVisitor(n int, fleet ...*replica) *visitor {
	jar := &sessiontest.Jar{URL: fleet[0].url}
	return &visitor{fleet: fleet, n: n, size: 10, client: http.Client{Jar: jar, Timeout: time.Minute}}
}

// at sends a request of a visitor to one replica.
func (v *visitor) at(t *testing.T, r *replica, method, body string) (status int, text string) {
	t.Helper()
	v.fleet = []*replica{r}
	status, text, err := v.do(method, "note", body)
	require.NoError(t, err)
	return status, text
}

// replace replaces a ring file atomically, as the command does.
func replace(t *testing.T, file string, text []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(file+".new", text, 0o600))
	require.NoError(t, os.Rename(file+".new", file))
}

// If the ring file breaks while the replicas run, they continue with the last
// valid ring and log that. After the file is repaired, they follow it again.
func TestRingIsBrokenUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	playground, carryon := build(t)
	file := filepath.Join(t.TempDir(), "keys.json")
	run(t, carryon, "keys", "init", file)
	good, err := os.ReadFile(file)
	require.NoError(t, err)
	var fleet []*replica
	for range 2 {
		fleet = append(fleet, start(t, playground, "-addr", "127.0.0.1:0", "-keys", file, "-limits", string(middleware.GoServer)))
	}

	breaks := []struct {
		name, said string
		do         func() error
	}{
		{"emptied", "not a JSON object", func() error { return os.Truncate(file, 0) }},
		{"truncated", "", func() error { return os.Truncate(file, int64(len(good)/2)) }},
		{"without keys", "has no keys", func() error { return os.WriteFile(file, []byte(`{"version":1,"keys":[]}`), 0o600) }},
		{"readable by everyone", "its mode is 0644", func() error { return os.Chmod(file, 0o644) }},
		{"huge", "larger than 65536 bytes", func() error { return os.Truncate(file, 1<<40) }},
		{"many keys", "", func() error {
			return os.WriteFile(file, bytes.Replace(good, []byte(`"keys": [`), []byte(`"keys": [`+strings.Repeat(`{},`, 10_000)), 1), 0o600)
		}},
		{"gone", "no such file", func() error { return os.Remove(file) }},
	}
	for i, b := range breaks {
		v := newVisitor(i, fleet...)
		v.at(t, fleet[0], http.MethodPut, "before")
		offset := len(fleet[1].Stderr())
		require.NoError(t, b.do(), b.name)
		require.Eventually(t, func() bool {
			status, text := v.at(t, fleet[1], http.MethodGet, "")
			require.Equal(t, http.StatusOK, status, "%s: %s", b.name, text)
			require.Equal(t, "before", text)
			said := fleet[1].Stderr()[offset:]
			return strings.Contains(said, "going on with the last good ring") && strings.Contains(said, b.said)
		}, patience, 50*time.Millisecond, "%s: %s", b.name, fleet[1].Stderr()[offset:])

		status, text := v.at(t, fleet[1], http.MethodPut, "after")
		require.Equal(t, http.StatusNoContent, status, "%s: %s", b.name, text)
		_, text = v.at(t, fleet[0], http.MethodGet, "")
		require.Equal(t, "after", text, b.name)
		secrets := firstSecret(t, good)
		require.NotContains(t, fleet[0].Stderr()+fleet[1].Stderr(), secrets, b.name)

		require.NoError(t, os.RemoveAll(file))
		replace(t, file, good)
		require.Eventually(t, func() bool {
			v.at(t, fleet[1], http.MethodGet, "")
			return strings.Contains(fleet[1].Stderr()[offset:], "INFO") // the replica recovered
		}, patience, 50*time.Millisecond, "%s: %s", b.name, fleet[1].Stderr()[offset:])
	}

	// A replica does not start with such a ring.
	require.NoError(t, os.Chmod(file, 0o644))
	require.Contains(t, failed(t, playground, "-addr", "127.0.0.1:0", "-keys", file), "its mode is 0644")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	require.NoError(t, os.Chmod(file, 0o600))
	failed(t, playground, "-addr", "127.0.0.1:0", "-keys", file)
}

// A replica whose ring lacks the key of a cookie reads its source again. If the
// key is still missing, it logs that, serves the visitor without the session,
// and keeps the cookie. As soon as it has the new ring, it works like the
// others. The same holds for a replica that returns to an older ring.
func TestReplicaThatNeverReloads(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	playground, carryon := build(t)
	dir := t.TempDir()
	file, stale := filepath.Join(dir, "keys.json"), filepath.Join(dir, "stale.json")
	run(t, carryon, "keys", "init", file)
	first, err := os.ReadFile(file)
	require.NoError(t, err)
	replace(t, stale, first)
	args := []string{"-addr", "127.0.0.1:0", "-limits", string(middleware.GoServer), "-keys"}
	good, late := start(t, playground, append(args, file)...), start(t, playground, append(args, stale)...)

	old := newVisitor(1, good)
	old.at(t, good, http.MethodPut, "sealed by the first key")
	run(t, carryon, "keys", "rotate", "--force", "--activate-in", staged.String(), file)
	next := read(t, file)
	require.Eventually(t, func() bool { return next.Active(time.Now()).ID() == next.Keys()[1].ID() }, patience, 50*time.Millisecond)

	v := newVisitor(2, good)
	require.Eventually(t, func() bool { // the replica checks the file once a second
		v = newVisitor(2, good)
		v.at(t, good, http.MethodPut, "sealed by the second key")
		status, _ := v.at(t, late, http.MethodGet, "")
		return status == http.StatusNotFound
	}, patience, 50*time.Millisecond)
	for range 5 {
		status, _ := v.at(t, late, http.MethodGet, "")
		require.Equal(t, http.StatusNotFound, status)
		_, text := v.at(t, good, http.MethodGet, "")
		require.Equal(t, "sealed by the second key", text, "reads must keep the cookie")
		_, text = old.at(t, late, http.MethodGet, "")
		require.Equal(t, "sealed by the first key", text, "the replica has this key")
	}
	require.Contains(t, late.Stderr(), next.Keys()[1].ID().String(), "the log must name the missing key")

	// A visitor who uses only that replica can work.
	other := newVisitor(3, good)
	other.at(t, good, http.MethodPut, "sealed by the second key")
	require.Eventually(t, func() bool {
		status, _ := other.at(t, late, http.MethodPut, "written by the replica left behind")
		return status == http.StatusNoContent
	}, patience, 50*time.Millisecond)
	_, text := other.at(t, late, http.MethodGet, "")
	require.Equal(t, "written by the replica left behind", text)

	// With the new ring, the replica works like the others.
	second, err := os.ReadFile(file)
	require.NoError(t, err)
	replace(t, stale, second)
	finds := func(r *replica) func() bool {
		return func() bool {
			_, text := v.at(t, r, http.MethodGet, "")
			return text == "sealed by the second key"
		}
	}
	require.Eventually(t, finds(late), patience, 50*time.Millisecond)
	_, one := other.at(t, good, http.MethodGet, "")
	_, two := other.at(t, late, http.MethodGet, "")
	require.Equal(t, one, two, "both replicas must see the same session")

	// A deployment restores the first ring on all replicas. They log that, and
	// keep the cookies.
	replace(t, file, first)
	require.Eventually(t, func() bool {
		v.at(t, good, http.MethodGet, "")
		return strings.Contains(good.Stderr(), "is it an older ring?")
	}, patience, 50*time.Millisecond)
	status, _ := v.at(t, good, http.MethodGet, "")
	require.Equal(t, http.StatusNotFound, status)
	replace(t, file, second)
	require.Eventually(t, finds(good), patience, 50*time.Millisecond)
}

// firstSecret returns the first secret of a ring.
func firstSecret(t *testing.T, ring []byte) string {
	t.Helper()
	_, err := keyring.Parse(ring)
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(ring), `"secret":"`)
	secret, _, _ := strings.Cut(rest, `"`)
	require.Len(t, secret, 43)
	return secret
}

// failed runs a program, which must end with an error.
func failed(t *testing.T, program string, args ...string) string {
	t.Helper()
	r := exec.Command(program, args...)
	out, err := r.CombinedOutput()
	require.Error(t, err, string(out))
	return string(out)
}
