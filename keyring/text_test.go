package keyring

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const goodText = "7fH2-tiger-Ocean-91-violet-lamp-Zz"

func TestDangerouslyFromText(t *testing.T) {
	log := captureLog(t)
	keys, err := DangerouslyFromText(goodText)
	require.NoError(t, err)
	require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("level=WARN")), log)
	require.Contains(t, log.String(), "DangerouslyFromText")

	// Python's hashlib.pbkdf2_hmac and hmac computed this id.
	active := keys.Ring(t.Context()).Active(time.Now())
	require.Equal(t, "5ae4b839", active.ID().String())
	require.Equal(t, Active, active.State(time.Now()))

	// Another replica has the same ring, and another text another one.
	replica, err := DangerouslyFromText(goodText)
	require.NoError(t, err)
	require.Equal(t, keys.Ring(t.Context()).Fingerprint(), replica.Ring(t.Context()).Fingerprint())
	require.Equal(t, active.mat().secret, replica.Ring(t.Context()).Active(day).mat().secret)
	other, err := DangerouslyFromText(goodText + "1")
	require.NoError(t, err)
	require.NotEqual(t, active.ID(), other.Ring(t.Context()).Active(day).ID())

	// The ring never changes: an unknown id is that of another program.
	_, verdict := keys.Resolve(t.Context(), other.Ring(t.Context()).Active(day).ID())
	require.Equal(t, Foreign, verdict)
	require.Same(t, keys.Ring(t.Context()), keys.Refresh(t.Context()))
	for _, shown := range []string{log.String(), fmt.Sprintf("%v %+v %#v", keys, keys, keys)} {
		require.NotContains(t, shown, "tiger")
		requireNoSecret(t, shown, active.json().Secret)
	}

	problems, err := keys.Ring(t.Context()).Check(day, Policy{})
	require.NoError(t, err)
	require.Len(t, problems, 1)
	require.Contains(t, problems[0].Text, "rotate")
}

func TestWeakTextsAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "has 0 characters, and at least 32 are needed",
		"keyboard cat":                    "has 12 characters",
		"s3cr3t-of-only-31-characters...": "has 31 characters",
		"会话密钥必须足够长否则任何人都能猜出来的": "has 20 characters",
		strings.Repeat("a", 64):                "few different",
		strings.Repeat("ab1", 20):              "few different",
		"abcdefghijklmnopqrstuvwxyz0123456789": "is a sequence",
		"9876543210zyxwvutsrqponmlkjihgfedcba": "is a sequence",
		"hunter2-Hunter3!hunter2-Hunter3!":     "repeats itself",
		"keyboard cat keyboard cat! KEYBOARD":  "words that examples use",
		"Please change me before production 1": "words that examples use",
		"REPLACE_THIS_with_a_random_string_42": "words that examples use",
		"correct horse battery staple, again?": "words that examples use",
		"0123456789abcdef\xff0123456789abcdeg": "not UTF-8",
	} {
		_, err := DangerouslyFromText(text)
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, "carryon keys init FILE")
		if len(text) > 8 {
			require.NotContains(t, err.Error(), text[:8])
		}
	}
}

func TestRandomTextsAreAccepted(t *testing.T) {
	for range 2000 {
		random := make([]byte, 33)
		rand.Read(random)
		require.Empty(t, textWeakness(base64.StdEncoding.EncodeToString(random)))
		require.Empty(t, textWeakness(hex.EncodeToString(random[:16])))
	}
	require.Empty(t, textWeakness("grape landing muscle upset widen zebra"), "six words of a diceware list")
}

func FuzzTextWeakness(f *testing.F) {
	f.Add(goodText)
	f.Add("\xff")
	f.Add(strings.Repeat("ab", 40))
	f.Fuzz(func(t *testing.T, text string) {
		if why := textWeakness(text); why == "" {
			require.GreaterOrEqual(t, len([]rune(text)), minText)
		} else if len(text) > 12 {
			require.NotContains(t, why, text)
		}
	})
}
