package keyring

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// openRing returns keys that use one ring at the time of a clock.
func openRing(t *testing.T, ring *Ring, now func() time.Time) *Keys {
	t.Setenv("CARRYON_TEST_RING", string(mustMarshal(t, ring)))
	keys, err := Open(t.Context(), Env("CARRYON_TEST_RING"), Clock(now), quiet)
	require.NoError(t, err)
	return keys
}

func TestFleetHandlerReportsTheRing(t *testing.T) {
	now := day
	ring := mustGenerate(t, day)
	ring, _, err := ring.Rotate(day.Add(time.Hour), Policy{ActivateIn: time.Hour, Overlap: 48 * time.Hour, Lifetime: time.Hour})
	require.NoError(t, err)
	old, next := ring.keys[0].id.String(), ring.keys[1].id.String()
	server := httptest.NewServer(openRing(t, ring, func() time.Time { return now }).FleetHandler())
	defer server.Close()
	for _, step := range []struct {
		at   time.Duration
		want []keyReport
	}{
		{time.Hour, []keyReport{{old, "active", "2026-01-31T12:00:00Z"}, {next, "staged", "2026-01-31T14:00:00Z"}}},
		{2 * time.Hour, []keyReport{{old, "retired", "2026-01-31T12:00:00Z"}, {next, "active", "2026-01-31T14:00:00Z"}}},
		{90 * time.Hour, []keyReport{{next, "active", "2026-01-31T14:00:00Z"}}},
	} {
		now = day.Add(step.at)
		answer, body := ask(t, server, http.MethodGet)
		require.Equal(t, http.StatusOK, answer.StatusCode)
		require.Equal(t, "no-store", answer.Header.Get("Cache-Control"))
		require.Equal(t, "application/json", answer.Header.Get("Content-Type"))
		require.Equal(t, "nosniff", answer.Header.Get("X-Content-Type-Options"))
		require.Empty(t, answer.Header.Values("Set-Cookie"))
		require.Empty(t, answer.Header.Values("Access-Control-Allow-Origin"))
		var got report
		decoder := json.NewDecoder(strings.NewReader(body))
		decoder.DisallowUnknownFields()
		require.NoError(t, decoder.Decode(&got))
		require.Equal(t, report{1, ring.Fingerprint(), now.Format(time.RFC3339), step.want}, got)
		for _, k := range ring.keys {
			requireNoSecret(t, body, k.json().Secret)
		}
	}
}

func TestFleetHandlerAcceptsOnlyGET(t *testing.T) {
	server := httptest.NewServer(openRing(t, mustGenerate(t, day), time.Now).FleetHandler())
	defer server.Close()
	for _, method := range []string{http.MethodPost, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions, "QUERY"} {
		answer, body := ask(t, server, method)
		require.Equal(t, http.StatusMethodNotAllowed, answer.StatusCode, method)
		require.Equal(t, "GET", answer.Header.Get("Allow"))
		require.Equal(t, "no-store", answer.Header.Get("Cache-Control"))
		require.NotContains(t, body, "fingerprint")
	}
}

func ask(t *testing.T, server *httptest.Server, method string) (*http.Response, string) {
	request, err := http.NewRequest(method, server.URL, nil)
	require.NoError(t, err)
	request.Header.Set("Cookie", "__Host-session=AeqPiUAAAJ8WWVuAq9Ic6maDibkYWC5y")
	answer, err := server.Client().Do(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := readBounded(answer.Body, plain)
	require.NoError(t, err)
	return answer, string(body)
}

// The report follows from what cookies show and from times: an attacker who has
// it has nothing to test a guess of a secret with.
func TestReportDoesNotDependOnSecrets(t *testing.T) {
	ring := exampleRing(t, keySpan{1, 0, 40}, keySpan{2, 10, 0})
	other := exampleRing(t, keySpan{1, 0, 40}, keySpan{2, 10, 0})
	for i, k := range other.keys {
		k.mat = hide(&material{secret: [secretSize]byte{byte(i)}})
	}
	require.NotEqual(t, ring.keys[0].mat().secret, other.keys[0].mat().secret)
	require.Equal(t, newReport(ring, day), newReport(other, day))
}

// SPEC.md shows the report of its example ring.
func TestReportOfTheSpecification(t *testing.T) {
	ring, err := DangerouslyParseWithExampleKeys(specRing)
	require.NoError(t, err)
	text, err := json.Marshal(newReport(ring, day))
	require.NoError(t, err)
	page, err := os.ReadFile("../SPEC.md")
	require.NoError(t, err)
	require.Contains(t, strings.ReplaceAll(string(page), "\n ", ""), string(text))
}

// The largest report fits the 64 KiB that "carryon keys fleet" reads.
func TestLargestReport(t *testing.T) {
	var keys []*Key
	for i := range MaxKeys {
		keys = append(keys, newKey(day, at(float64(i)), format1, nil))
	}
	ring, err := newRing(keys, nil)
	require.NoError(t, err)
	text, err := json.Marshal(newReport(ring, day))
	require.NoError(t, err)
	require.Less(t, len(text), MaxSize)
}
