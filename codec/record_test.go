package codec_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/codec/internal/formattest"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
)

type recordVector struct {
	Name, About       string
	Secret            unhex
	ID                string
	Number            uint64
	Tag               unhex
	Record, Plaintext unhex
	Open              string
	Steps             *struct {
		Ctx, Header, Nonce, Ciphertext, Tag, MAC unhex
		KeyID                                    unhex `json:"key_id"`
		KE                                       unhex `json:"k_e"`
		KM                                       unhex `json:"k_m"`
		MessageKey                               unhex `json:"message_key"`
	}
}

func (v recordVector) binding() codec.RecordBinding {
	return codec.RecordBinding{ID: v.ID, Number: v.Number, Tag: [16]byte(v.Tag)}
}

func recordVectors(t testing.TB) []recordVector {
	text, err := os.ReadFile(filepath.Join("testdata", "vectors", "record.json"))
	require.NoError(t, err)
	var file struct {
		Comment string
		Vectors []recordVector
	}
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	require.NoError(t, strict.Decode(&file))
	require.NotEmpty(t, file.Vectors)
	return file.Vectors
}

var (
	recordSecret  = bytes.Repeat([]byte{7}, codec.RecordSecretSize)
	recordBinding = codec.RecordBinding{ID: "rBzQpUWV0rFvj9k0Yyq8cA", Number: 7, Tag: [16]byte{1, 2, 3}}
)

func sealedRecord(t testing.TB, plaintext []byte) []byte {
	record, err := codec.SealRecord(nil, recordSecret, recordBinding, plaintext)
	require.NoError(t, err)
	return record
}

func TestRecordVectors(t *testing.T) {
	for _, v := range recordVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			got, err := codec.OpenRecord(nil, v.Secret, v.binding(), v.Record)
			if v.Open != "ok" {
				require.Equal(t, v.Open, reasonOf(t, err).String())
				require.Nil(t, got)
				return
			}
			require.NoError(t, err)
			require.True(t, bytes.Equal(v.Plaintext, got))
		})
	}
}

func TestSealRecordGivesTheVectors(t *testing.T) {
	for _, v := range recordVectors(t) {
		if v.Open == "ok" {
			again, err := codec.SealRecordWithNonce(v.Secret, v.binding(), v.Plaintext, v.Steps.Nonce)
			require.NoError(t, err)
			require.Equal(t, hex.EncodeToString(v.Record), hex.EncodeToString(again), v.Name)
		}
	}
}

// plainRecord reads a record by the formulas of SPEC.md, without this package.
func plainRecord(secret []byte, id string, number uint64, tag []byte, record []byte) (plaintext []byte, refusal string) {
	if len(record) < 80 {
		return nil, "wrong length"
	}
	keyid, _ := hkdf.Key(sha256.New, secret, nil, "carryon/1 record key id", 4)
	switch {
	case record[0] != 1:
		return nil, "unknown format"
	case int(record[5])<<16|int(record[6])<<8|int(record[7]) != len(record):
		return nil, "wrong length"
	case string(record[1:5]) != string(keyid):
		return nil, "unknown key"
	}
	ke, _ := hkdf.Key(sha256.New, secret, nil, "carryon/1 record encrypt"+string(keyid), 32)
	km, _ := hkdf.Key(sha256.New, secret, nil, "carryon/1 record sign"+string(keyid), 32)
	ctx := "carryon/1 record" + formattest.Prefixed(id)
	for shift := 56; shift >= 0; shift -= 8 {
		ctx += string([]byte{byte(number >> shift)})
	}
	ctx += string(tag)
	n := len(record)
	mac := hmac.New(sha256.New, km)
	mac.Write([]byte(formattest.Prefixed(ctx) + string(record[:32]) + string(record[n-48:n-32])))
	if !hmac.Equal(mac.Sum(nil), record[n-32:]) {
		return nil, "bad seal"
	}
	return plainXAES(ke, string(record[8:32]), string(record[32:n-32]), string(record[:8])+ctx)
}

func TestIndependentRecordReaderAgrees(t *testing.T) {
	for _, v := range recordVectors(t) {
		plaintext, got := plainRecord(v.Secret, v.ID, v.Number, v.Tag, v.Record)
		require.Equal(t, v.Open, got, v.Name)
		require.Equal(t, hex.EncodeToString(v.Plaintext), hex.EncodeToString(plaintext), v.Name)
	}
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "secret")
		b := codec.RecordBinding{ID: rapid.String().Draw(t, "id"), Number: rapid.Uint64().Draw(t, "number")}
		copy(b.Tag[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "tag"))
		want := rapid.SliceOf(rapid.Byte()).Draw(t, "plaintext")
		record, err := codec.SealRecord([]byte("before"), secret, b, want)
		if err != nil || string(record[:6]) != "before" || len(record) != 6+len(want)+codec.RecordOverhead {
			t.Fatalf("sealed to %d bytes: %v", len(record), err)
		}
		got, err := codec.OpenRecord([]byte("before"), secret, b, record[6:])
		if err != nil || string(got) != "before"+string(want) {
			t.Fatalf("opened to %q: %v", got, err)
		}
		if plain, verdict := plainRecord(secret, b.ID, b.Number, b.Tag[:], record[6:]); verdict != "ok" || string(plain) != string(want) {
			t.Fatalf("the other reader: %s", verdict)
		}
	})
}

// Someone who can write to the store cannot change a single bit.
func TestRecordBitFlips(t *testing.T) {
	record := sealedRecord(t, []byte("sixteen bytes of"))
	for i := range record {
		for bit := range 8 {
			record[i] ^= 1 << bit
			got, err := codec.OpenRecord([]byte("kept"), recordSecret, recordBinding, record)
			require.NotEmpty(t, reasonOf(t, err), "bit %d of byte %d", bit, i)
			require.Equal(t, "kept", string(got))
			record[i] ^= 1 << bit
		}
	}
}

// A truncated or extended record is refused, even if its header contains the
// new length.
func TestRecordCutOrMadeLonger(t *testing.T) {
	record := sealedRecord(t, []byte("sixteen bytes of"))
	relabel := func(b []byte) []byte {
		b = bytes.Clone(b)
		copy(b[5:8], []byte{byte(len(b) >> 16), byte(len(b) >> 8), byte(len(b))})
		return b
	}
	for n := range record {
		_, err := codec.OpenRecord(nil, recordSecret, recordBinding, record[:n])
		require.Equal(t, reason.WrongLength, reasonOf(t, err), "cut to %d", n)
		if n >= codec.RecordOverhead {
			_, err = codec.OpenRecord(nil, recordSecret, recordBinding, relabel(record[:n]))
			require.Equal(t, reason.BadSeal, reasonOf(t, err), "cut to %d", n)
			inner := append(bytes.Clone(record[:32]), record[len(record)-n+32:]...) // keeps the end
			_, err = codec.OpenRecord(nil, recordSecret, recordBinding, relabel(inner))
			require.Equal(t, reason.BadSeal, reasonOf(t, err), "%d bytes removed", len(record)-n)
		}
	}
	for n := 1; n <= 40; n++ {
		longer := append(bytes.Clone(record), make([]byte, n)...)
		_, err := codec.OpenRecord(nil, recordSecret, recordBinding, longer)
		require.Equal(t, reason.WrongLength, reasonOf(t, err), "%d more", n)
		_, err = codec.OpenRecord(nil, recordSecret, recordBinding, relabel(longer))
		require.Equal(t, reason.BadSeal, reasonOf(t, err), "%d more", n)
	}
}

// A record opens only for its row, its revision and its session.
func TestRecordBinding(t *testing.T) {
	record := sealedRecord(t, []byte("x"))
	for name, change := range map[string]func(b *codec.RecordBinding){
		"id":              func(b *codec.RecordBinding) { b.ID = b.ID[:21] },
		"id, one longer":  func(b *codec.RecordBinding) { b.ID += "\x00" },
		"number, older":   func(b *codec.RecordBinding) { b.Number-- },
		"number, newer":   func(b *codec.RecordBinding) { b.Number++ },
		"number, highest": func(b *codec.RecordBinding) { b.Number += 1 << 63 },
		"tag":             func(b *codec.RecordBinding) { b.Tag[15]++ },
	} {
		b := recordBinding
		change(&b)
		_, err := codec.OpenRecord(nil, recordSecret, b, record)
		require.Equal(t, reason.BadSeal, reasonOf(t, err), name)
	}
	other := bytes.Clone(recordSecret)
	other[31] ^= 1
	_, err := codec.OpenRecord(nil, other, recordBinding, record)
	require.Equal(t, reason.UnknownKey, reasonOf(t, err))
}

// A cookie never opens as a record or a record as a cookie, even if a
// session's secret were a key of the ring.
func TestRecordsAreNoCookies(t *testing.T) {
	ring := testRing(t, []int{1})
	record, err := codec.SealRecord(nil, testSecret(1), recordBinding, []byte("x"))
	require.NoError(t, err)
	value := string(codec.AppendEncoded(nil, record))
	_, _, err = codec.Open(nil, ring, now, binding, value)
	require.Equal(t, reason.UnknownKey, reasonOf(t, err))

	cookie, ok := codec.AppendDecoded(nil, sealed(t, ring, binding, "x"))
	require.True(t, ok)
	_, err = codec.OpenRecord(nil, testSecret(1), recordBinding, cookie)
	require.Equal(t, reason.UnknownKey, reasonOf(t, err))

	// Anyone can write ids, so this checks that the keys differ as well.
	swapped := bytes.Clone(record)
	copy(swapped[1:5], cookie[1:5])
	_, _, err = codec.Open(nil, ring, now, binding, string(codec.AppendEncoded(nil, swapped)))
	require.Equal(t, reason.BadSeal, reasonOf(t, err))
	copy(cookie[1:5], record[1:5])
	_, err = codec.OpenRecord(nil, testSecret(1), recordBinding, cookie)
	require.Equal(t, reason.BadSeal, reasonOf(t, err))
}

func TestRecordSizes(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 17, 100_000, codec.MaxRecordPlaintext} {
		want := bytes.Repeat([]byte{byte(n)}, n)
		record := sealedRecord(t, want)
		require.Len(t, record, n+codec.RecordOverhead)
		got, err := codec.OpenRecord(nil, recordSecret, recordBinding, record)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
	}
	require.Equal(t, 1<<20, codec.MaxRecordPlaintext+codec.RecordOverhead)
	_, err := codec.SealRecord(nil, recordSecret, recordBinding, make([]byte, codec.MaxRecordPlaintext+1))
	require.Equal(t, reason.TooLarge, reasonOf(t, err))
	_, err = codec.OpenRecord(nil, recordSecret, recordBinding, make([]byte, 1<<20+1))
	require.Equal(t, reason.TooLarge, reasonOf(t, err))
	for _, n := range []int{0, 16, 31, 33} {
		_, err = codec.SealRecord(nil, make([]byte, n), recordBinding, nil)
		require.Equal(t, reason.NoKey, reasonOf(t, err))
		_, err = codec.OpenRecord(nil, make([]byte, n), recordBinding, make([]byte, 100))
		require.Equal(t, reason.NoKey, reasonOf(t, err))
	}
}

// Two revisions of a row are never sealed with the same nonce.
func TestRecordNoncesAreFresh(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		seen[string(sealedRecord(t, nil)[8:32])] = true
	}
	require.Len(t, seen, 100)
}

// The secret is derived from the session's root as SPEC.md specifies.
func TestRecordSecretFollowsFromTheRoot(t *testing.T) {
	root := state.NewRoot()
	secret, _ := hkdf.Key(sha256.New, root[:], nil, "carryon record key", 32)
	b := codec.RecordBinding{ID: root.RecordID(), Number: 1}
	record, err := codec.SealRecord(nil, root.RecordKey(), b, []byte("x"))
	require.NoError(t, err)
	plaintext, verdict := plainRecord(secret, b.ID, 1, b.Tag[:], record)
	require.Equal(t, "ok", verdict)
	require.Equal(t, "x", string(plaintext))
}

// The errors of a record contain nothing of it.
func TestRecordErrorsCarryNothing(t *testing.T) {
	record := sealedRecord(t, []byte("the plaintext"))
	record[40] ^= 1
	_, err := codec.OpenRecord(nil, recordSecret, recordBinding, record)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "plaintext")
	require.NotContains(t, err.Error(), recordBinding.ID)
}

// FuzzOpenRecord checks that no input panics, and that only sealed records
// open.
func FuzzOpenRecord(f *testing.F) {
	for _, v := range recordVectors(f) {
		f.Add([]byte(v.Record), []byte(v.Secret), v.ID, v.Number, []byte(v.Tag))
	}
	f.Add([]byte{}, []byte{}, "", uint64(math.MaxUint64), []byte{})
	f.Fuzz(func(t *testing.T, record, secret []byte, id string, number uint64, tag []byte) {
		b := codec.RecordBinding{ID: id, Number: number}
		copy(b.Tag[:], tag)
		plaintext, err := codec.OpenRecord(nil, secret, b, record)
		if err != nil {
			if reasonOf(t, err) == reason.None || plaintext != nil {
				t.Fatal("a refusal without a reason, or with a plaintext")
			}
			return
		}
		again, err := codec.SealRecordWithNonce(secret, b, plaintext, record[8:32])
		if err != nil || !bytes.Equal(again, record) {
			t.Fatalf("opened a record that cannot be sealed: %v", err)
		}
	})
}

func ExampleSealRecord() {
	secret := make([]byte, codec.RecordSecretSize) // the session's own secret, from its cookies
	row := codec.RecordBinding{ID: "rBzQpUWV0rFvj9k0Yyq8cA", Number: 1}
	record, _ := codec.SealRecord(nil, secret, row, []byte("a large session"))

	plaintext, err := codec.OpenRecord(nil, secret, row, record)
	fmt.Println(string(plaintext), err)

	row.Number = 2 // an old revision, restored as if it were the newest
	_, err = codec.OpenRecord(nil, secret, row, record)
	fmt.Println(errors.Is(err, reason.BadSeal))
	// Output:
	// a large session <nil>
	// true
}
