package main

import (
	"encoding/hex"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"
)

// The examples are from RFC 8949, appendix A. Text is escaped only as far as a
// terminal needs it.
func TestDiagnose(t *testing.T) {
	for item, want := range map[string]string{
		"00": "0", "17": "23", "1818": "24", "1b000000e8d4a51000": "1000000000000", "1bffffffffffffffff": "18446744073709551615",
		"20": "-1", "3863": "-100", "3bffffffffffffffff": "-18446744073709551616", "3b7fffffffffffffff": "-9223372036854775808",
		"f90000": "0.0", "f98000": "-0.0", "f93c00": "1.0", "f93e00": "1.5", "f97bff": "65504.0", "f90001": "5.960464477539063e-08",
		"fa47c35000": "100000.0", "fb7e37e43c8800759c": "1e+300", "f97c00": "Infinity", "f9fc00": "-Infinity", "f97e00": "NaN",
		"f4": "false", "f5": "true", "f6": "null", "f7": "undefined", "f0": "simple(16)", "f8ff": "simple(255)",
		"c074323031332d30332d32315432303a30343a30305a": `0("2013-03-21T20:04:00Z")`,
		"40": "h''", "4401020304": "h'01020304'", "60": `""`, "62225c": `"\"\\"`, "63e6b0b4": `"水"`, "64f0908591": `"𐅑"`,
		"80": "[]", "8301820203820405": "[1, [2, 3], [4, 5]]", "a0": "{}", "a26161016162820203": `{"a": 1, "b": [2, 3]}`,
		"631b5b6d": `"\u001b[m"`, "62c285": `"\u0085"`, "63e280ae": `"\u202e"`, "64f3a08081": `"\u{e0001}"`,
	} {
		bin, err := hex.DecodeString(item)
		require.NoError(t, err)
		require.Equal(t, want, diagnose(bin), item)
	}
}

func TestDiagnoseShowsWhatItCannotReadAsBytes(t *testing.T) {
	deep := ""
	for range 40 {
		deep += "81"
	}
	for _, item := range []string{"", "18", "0000", "9f00ff", "5f4100ff", "62c328", "9bffffffffffffffff", "bb7fffffffffffffff00", "5bffffffffffffffff", "c0", "1c", "f804", deep + "00"} {
		bin, err := hex.DecodeString(item)
		require.NoError(t, err)
		require.Equal(t, "h'"+item+"' (not CBOR as sessions use it)", diagnose(bin))
	}
}

// Every output that claims to be CBOR comes from valid CBOR. No input panics.
func FuzzDiagnose(f *testing.F) {
	for _, item := range []string{"\x83\x01\x02\x03", "\xa1\x61a\xf9\x3c\x00", "\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "\xc0\x61a"} {
		f.Add([]byte(item))
	}
	f.Fuzz(func(t *testing.T, item []byte) {
		if text := diagnose(item); text[len(text)-1] != ')' || text[0] != 'h' {
			if err := cbor.Wellformed(item); err != nil {
				t.Fatalf("diagnose returned %s, but decoding failed: %v", text, err)
			}
		}
	})
}
