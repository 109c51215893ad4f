package bench

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkSession runs the whole table; names are scenario/size/contestant.
// Use it for benchstat and profiles. To compare contestants use cmd/compare,
// which interleaves them.
func BenchmarkSession(b *testing.B) {
	for _, cell := range cells() {
		b.Run(cell.String(), func(b *testing.B) {
			rig, err := NewRig(cell)
			if errors.Is(err, ErrDoesNotFit) || errors.Is(err, ErrAbsent) {
				b.Skip(err)
			}
			require.NoError(b, err)
			if rig == nil {
				b.Skip("this contestant does not support the scenario")
			}
			defer rig.Close()
			b.ReportAllocs()
			before := cpuTime()
			for b.Loop() {
				rig.Do()
			}
			b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(rig.WireBytes), "cookie-B")
		})
	}
}

func cells() (all []Cell) {
	for _, scenario := range Scenarios {
		for _, size := range Sizes {
			for _, contestant := range Contestants() {
				all = append(all, Cell{scenario, size, contestant})
			}
		}
	}
	return all
}

func TestEveryCellGivesRightAnswers(t *testing.T) {
	for _, cell := range cells() {
		t.Run(cell.String(), func(t *testing.T) {
			rig, err := NewRig(cell)
			if errors.Is(err, ErrAbsent) && os.Getenv("CI") != "true" {
				t.Skip(err)
			}
			if tooLarge(cell) {
				require.ErrorIs(t, err, ErrDoesNotFit)
				return
			}
			require.NoError(t, err)
			if rig == nil {
				return
			}
			defer rig.Close()
			data, err := NewData(cell.Size)
			require.NoError(t, err)
			for range 3 { // run the measured path several times with the same request
				rig.Do()
				checkAnswer(t, rig, data)
			}
		})
	}
}

// tooLarge reports whether a session is too large for a contestant that uses
// one cookie. 8 KB never fit; contestants that encode base64 twice hold 2.2 KB.
func tooLarge(c Cell) bool {
	if c.Scenario == Seal || c.Scenario == Open {
		return false
	}
	switch c.Contestant.Name {
	case "gorilla-json", "fiber-encrypt":
		return c.Size >= 2500
	case "gorilla", "gin", "echo", "jwt", "jose":
		return c.Size >= 8000
	}
	return false
}

func checkAnswer(t *testing.T, rig *Rig, data Data) {
	t.Helper()
	if rig.do != nil {
		return // its handlers are of fasthttp, or it has none
	}
	body := string(rig.sink.body)
	switch {
	case rig.Scenario == Change:
		require.Contains(t, tokens, body)
		require.NotEmpty(t, rig.sink.header["Set-Cookie"], "the response must set a cookie")
		return
	case rig.Scenario == Untouched, rig.Contestant.Name == Bare:
		require.Equal(t, "ok", body)
	case rig.Scenario == Read:
		require.Equal(t, data.User.Name, body)
	default:
		require.Empty(t, body)
	}
	require.Empty(t, rig.sink.header["Set-Cookie"])
}

func TestCheckRefusesWrongAnswers(t *testing.T) {
	data, err := NewData(1000)
	require.NoError(t, err)
	good := func() *Site {
		site, err := floor(newCTR)(data)
		require.NoError(t, err)
		return site
	}
	_, err = check(good(), data, Contestant{})
	require.NoError(t, err)

	faults := map[string]func(*Site){
		"reads nothing":         func(s *Site) { s.Read = untouched },
		"forgets the change":    func(s *Site) { s.Change = s.Read },
		"stores nothing":        func(s *Site) { s.Login = untouched },
		"writes when untouched": func(s *Site) { s.Untouched = s.Login },
	}
	for name, break_ := range faults {
		site := good()
		break_(site)
		_, err := check(site, data, Contestant{})
		require.Error(t, err, name)
	}
}

func TestFloorsRefuseEveryFlippedBit(t *testing.T) {
	for _, make := range []func() (sealer, error){newGCM, newCTR, newXChaCha, newXAES} {
		s, err := make()
		require.NoError(t, err)
		sealed := s.seal(nil, []byte("plain"))
		plain, ok := s.open(nil, sealed)
		require.True(t, ok)
		require.Equal(t, "plain", string(plain))
		for i := range sealed {
			sealed[i] ^= 1
			_, ok := s.open(nil, sealed)
			require.False(t, ok, i)
			sealed[i] ^= 1
			_, ok = s.open(nil, sealed[:i])
			require.False(t, ok, i)
		}
	}
}

// The vectors are from C2SP's XAES-256-GCM specification, one for each value of
// the bit that selects the derivation of CMAC's subkey.
func TestXAESVectors(t *testing.T) {
	tests := []struct {
		key  byte
		aad  string
		want string
	}{
		{0x01, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{0x03, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	}
	for _, test := range tests {
		key := make([]byte, 32)
		for i := range key {
			key[i] = test.key
		}
		d, err := newXAESDeriver(key)
		require.NoError(t, err)
		nonce := []byte("ABCDEFGHIJKLMNOPQRSTUVWX")
		got := d.gcm(nonce).Seal(nil, nonce[12:], []byte("XAES-256-GCM"), []byte(test.aad))
		require.Equal(t, test.want, hex.EncodeToString(got))
	}
}

func TestDataHasItsSize(t *testing.T) {
	for _, size := range append(Sizes[:len(Sizes):len(Sizes)], 101, 399, 400) {
		d, err := NewData(size)
		require.NoError(t, err)
		encoded, err := json.Marshal(d)
		require.NoError(t, err)
		require.Len(t, encoded, int(size))
		again, err := NewData(size)
		require.NoError(t, err)
		require.Equal(t, d, again)
	}
	_, err := NewData(50)
	require.ErrorContains(t, err, "the minimum is")
}

func TestCapacity(t *testing.T) {
	least := map[string]Size{"carryon": 2500, "gorilla": 2500}
	for _, c := range Contestants() {
		if least[c.Name] == 0 {
			continue
		}
		size, err := Capacity(c)
		require.NoError(t, err)
		require.GreaterOrEqual(t, size, least[c.Name], c.Name)
		require.Less(t, size, Size(cookieBytes))
	}
}
