package keyring

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	ring, err := DangerouslyParseWithExampleKeys([]byte(exampleText(1)))
	require.NoError(t, err)
	require.Equal(t, exampleKey(1).id, ring.Active(day).ID())
	require.Equal(t, day, ring.Active(day).Activates())
	_, state := ring.Find(ID{}, day)
	require.Equal(t, Expired, state)
}

// Each edit turns a valid ring into one that must be refused.
func TestParseRefuses(t *testing.T) {
	id, secret := exampleKey(1).id.String(), base64.RawURLEncoding.EncodeToString(exampleKey(1).mat().secret[:])
	tests := []struct {
		name     string
		old, new string
		want     string
	}{
		{"empty", exampleText(1), "", "not a JSON object"},
		{"array", exampleText(1), "[]", "not a JSON object"},
		{"null", exampleText(1), "null", "not a JSON object"},
		{"cut off", `"}]}`, `"}]`, "not valid JSON"},
		{"trailing data", `"}]}`, `"}]} {}`, "followed by more"},
		{"trailing garbage", `"}]}`, `"}]}]`, "followed by more"},
		{"other version", `"version":1`, `"version":2`, "version 2"},
		{"negative version", `"version":1`, `"version":-1`, "wrong type"},
		{"fractional version", `"version":1`, `"version":1.0`, "small whole number"},
		{"huge version", `"version":1`, `"version":99999999999999999999`, "small whole number"},
		{"no version", `"version":1,`, ``, `"version" is missing`},
		{"no keys member", `"keys"`, `"keyz"`, `"keys" is missing`},
		{"keys null", `"dead":[`, `"dead":null,"x":[`, "wrong type"},
		{"unknown member", `"version":1`, `"version":1,"comment":"hi"`, "does not have"},
		{"unknown member of a key", `"format":1`, `"format":1,"note":1`, "does not have"},
		{"member in another case", `"format"`, `"Format"`, `"format" is missing`},
		{"member twice", `"version":1`, `"version":1,"version":1`, "twice"},
		{"member twice in a key", `"format":1`, `"format":2,"format":1`, "twice"},
		{"null member", `"format":1`, `"format":null`, "wrong type"},
		{"null expiry", `"format":1`, `"format":1,"expires":null`, "wrong type"},
		{"empty expiry", `"format":1`, `"format":1,"expires":""`, "not a text"},
		{"key is not an object", `"keys":[`, `"keys":[7,`, "not a JSON object"},
		{"no format", `"format":1`, `"format":0`, "no format 0"},
		{"too high a format", `"format":1`, `"format":256`, "no format 256"},
		{"format as text", `"format":1`, `"format":"1"`, "wrong type"},
		{"id of another key", id, "01234567", "does not belong"},
		{"id upper case", id, strings.ToUpper(id), "hexadecimal"},
		{"id short", id, id[1:], "hexadecimal"},
		{"no id", `"id":"` + id + `",`, ``, `"id" is missing`},
		{"secret missing", `"secret":"` + secret + `",`, ``, `"secret" is missing`},
		{"secret short", secret, secret[:42], "32 random bytes"},
		{"secret long", secret, secret + "AA", "32 random bytes"},
		{"secret of 16 bytes", secret, secret[:22], "32 random bytes"},
		{"secret padded", secret, secret + "=", "32 random bytes"},
		{"secret with spare bits", secret, secret[:42] + "_", "32 random bytes"},
		{"secret with a line break", secret, secret[:9] + `\n` + secret[9:], "32 random bytes"},
		{"secret with a space", secret, " " + secret, "32 random bytes"},
		{"secret in standard base64", secret, strings.Repeat("+", 43), "32 random bytes"},
		{"created missing", `"created":"2026-01-31T12:00:00Z",`, ``, `"created" is missing`},
		{"time with fraction", `"active":"2026-01-31T12:00:00Z"`, `"active":"2026-01-31T12:00:00.5Z"`, "a time like"},
		{"time with offset", `"active":"2026-01-31T12:00:00Z"`, `"active":"2026-01-31T12:00:00+00:00"`, "a time like"},
		{"time lower case", `"active":"2026-01-31T12:00:00Z"`, `"active":"2026-01-31t12:00:00z"`, "a time like"},
		{"no such day", `"active":"2026-01-31T12:00:00Z"`, `"active":"2026-02-30T12:00:00Z"`, "a time like"},
		{"year 1", `"active":"2026-01-31T12:00:00Z"`, `"active":"0001-01-01T00:00:00Z"`, "a time like"},
		{"leap second", `"active":"2026-01-31T12:00:00Z"`, `"active":"2026-06-30T23:59:60Z"`, "a time like"},
		{"expires with activation", `"format":1`, `"format":1,"expires":"2026-01-31T12:00:00Z"`, "expires before it becomes active"},
		{"the only key expires", `"format":1`, `"format":1,"expires":"2026-02-28T12:00:00Z"`, "newest key"},
		{"dead state unknown", `"expired"`, `"retired"`, `"expired" or "revoked"`},
		{"dead time missing", `,"at":"2026-01-01T00:00:00Z"`, ``, `"at" is missing`},
		{"dead and alive", `"00000000"`, `"` + id + `"`, "cannot come back"},
		{"no keys", "[{\"id\":\"" + id, "[],\"x\":[{\"id\":\"" + id, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := DangerouslyParseWithExampleKeys([]byte(exampleText(1, tt.old, tt.new)))
			require.ErrorContains(t, err, tt.want)
			requireNoSecret(t, err.Error(), secret)
			require.NotContains(t, err.Error(), "\n", "one sentence")
		})
	}
}

func requireNoSecret(t *testing.T, shown, secret string) {
	t.Helper()
	for i := 0; i+6 <= len(secret); i++ {
		require.NotContains(t, shown, secret[i:i+6])
	}
}

func TestParseBounds(t *testing.T) {
	_, err := Parse(make([]byte, MaxSize+1))
	require.ErrorContains(t, err, "larger than 65536 bytes")
	_, err = Parse([]byte(`{"version":1,"keys":[` + strings.Repeat("{},", MaxKeys) + `{}]}`))
	require.ErrorContains(t, err, "more than 256")
	_, err = DangerouslyParseWithExampleKeys([]byte(exampleText(1, `"dead":[`, `"dead":[`+strings.Repeat("{},", MaxDead))))
	require.ErrorContains(t, err, "more than 512")
	_, err = Parse([]byte(strings.Repeat("[", MaxSize)))
	require.Error(t, err)
	_, err = Parse([]byte(`{"a":` + strings.Repeat("[", MaxSize-10)))
	require.Error(t, err)
}

func TestMarshalBound(t *testing.T) {
	k := exampleKey(1)
	k.active = day
	var dead []Dead
	for i := range MaxDead {
		dead = append(dead, Dead{ID{1, 2, byte(i >> 8), byte(i)}, Expired, day})
	}
	ring, err := newRing([]*Key{k}, dead)
	require.NoError(t, err)
	_, err = DangerouslyParseWithExampleKeys(mustMarshal(t, ring))
	require.NoError(t, err)

	var keys []*Key
	for range MaxKeys {
		keys = append(keys, newKey(day, day, format1, nil))
	}
	ring, err = newRing(keys, nil)
	require.NoError(t, err)
	mustMarshal(t, ring)
	ring, err = newRing(keys, dead)
	require.NoError(t, err)
	_, err = ring.Marshal()
	require.ErrorContains(t, err, "keys prune")
}

func TestWeakSecretsAreRefused(t *testing.T) {
	fill := func(f func(i int) byte) (s [secretSize]byte) {
		for i := range s {
			s[i] = f(i)
		}
		return s
	}
	typed := func(text string) (s [secretSize]byte) {
		b, err := base64.RawURLEncoding.DecodeString(text)
		require.NoError(t, err)
		copy(s[:], b)
		return s
	}
	tests := map[string][secretSize]byte{
		"all zero":       {},
		"all ff":         fill(func(int) byte { return 0xff }),
		"two bytes":      fill(func(i int) byte { return byte(0x80 + 0x55*(i%2)) }),
		"half repeated":  fill(func(i int) byte { return byte(0x9d + 31*(i%16)*(i%16)) }),
		"counting":       fill(func(i int) byte { return byte(0xa0 + i) }),
		"counting down":  fill(func(i int) byte { return byte(0xff - i) }),
		"steps of seven": fill(func(i int) byte { return byte(0x80 + 7*i) }),
		"one and zeros":  {31: 1},
		"English text":   [32]byte([]byte("correct horse battery staple 42!")),
		"Chinese text":   [32]byte([]byte("一把用来密封会话的密钥十个字!!")),
		"hexadecimal":    [32]byte([]byte("603deb1015ca71be2b73aef0857d7781")),
		"lower-case passphrase in place of base64": typed("thisisaverysecretpassphrasethatnobodywouldY"[:42] + "w"),
		"upper-case passphrase in place of base64": typed("THIS-IS-A-VERY-SECRET-KEY-THAT-NOBODY-HAS-8"),
	}
	for name, secret := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(textOf(secret))
			require.ErrorContains(t, err, "make keys with: carryon keys init FILE")
			require.ErrorContains(t, err, "the secret ")
		})
	}
}

// textOf returns a ring with one key, without checking its secret.
func textOf(secret [secretSize]byte) []byte {
	k := &Key{mat: hide(&material{secret: secret}), format: format1, created: day, active: day}
	k.id = k.mat().id()
	row, _ := json.Marshal(k.json())
	return fmt.Appendf(nil, `{"version":1,"keys":[%s]}`, row)
}

func TestExampleKeysAreRefused(t *testing.T) {
	for n := 1; n <= exampleKeys; n++ {
		_, err := Parse([]byte(exampleText(n)))
		require.ErrorContains(t, err, "from a public document", n)
		_, err = DangerouslyParseWithExampleKeys([]byte(exampleText(n)))
		require.NoError(t, err, n)
	}
	for secret := range examples() {
		_, err := Parse(textOf(secret))
		require.Error(t, err)
	}
	_, err := DangerouslyParseWithExampleKeys(textOf([secretSize]byte{}))
	require.Error(t, err, "weak keys are also refused in tests")
}

func TestGeneratedKeysAreGood(t *testing.T) {
	seen := make(map[string]bool)
	for range 500 {
		text := mustMarshal(t, mustGenerate(t, day))
		_, err := Parse(text)
		require.NoError(t, err)
		require.False(t, seen[string(text)])
		seen[string(text)] = true
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(exampleText(1)))
	f.Add([]byte(exampleText(2, `"format":1`, `"format":1,"expires":"2027-01-31T12:00:00Z"`)))
	f.Add(mustMarshal(f, exampleRing(f, keySpan{1, 0, 40}, keySpan{2, 10, 50}, keySpan{3, 20, 0})))
	f.Add([]byte(`{"version":1,"keys":[{}],"dead":[{}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		ring, err := DangerouslyParseWithExampleKeys(text)
		if err != nil {
			require.Nil(t, ring)
			return
		}
		require.NotNil(t, ring.Active(day))
		own, err := ring.Marshal()
		if err != nil { // the canonical form can exceed the limit for compact input
			require.Greater(t, len(text), MaxSize/2)
			return
		}
		again, err := DangerouslyParseWithExampleKeys(own)
		require.NoError(t, err, "Parse reads the output of Marshal")
		require.Equal(t, ring.Fingerprint(), again.Fingerprint())
	})
}
