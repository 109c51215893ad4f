package codec_test

import (
	"bytes"
	"crypto/fips140"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/codec/internal/formattest"
	"github.com/carryon-go/carryon/keyring"
)

//go:generate go run ./testdata/gen/sealed testdata/vectors/sealed.json
//go:generate go run ./testdata/gen/binding testdata/vectors/binding.json
//go:generate go run ./testdata/gen/text testdata/vectors/text.json
//go:generate go run ./testdata/gen/header testdata/vectors/header.json
//go:generate go run ./testdata/gen/altered testdata/vectors/altered.json
//go:generate go run ./testdata/gen/pieces testdata/vectors/pieces.json
//go:generate go run ./testdata/gen/record testdata/vectors/record.json
//go:generate go run ./testdata/gen/format2 testdata/vectors/format2.json
//go:generate go run ./testdata/gen/format3 testdata/vectors/format3.json

var generators = []string{"sealed", "binding", "text", "header", "altered", "pieces"}

type unhex []byte

func (h *unhex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

type vectorFile struct {
	Comment       string
	Secrets, Dead []unhex
	Vectors       []vector
}

type vector struct {
	Name, About            string
	Audience, Base, Suffix string
	Value                  string
	Pieces                 []*string
	Open, Join             string
	Used                   int
	Plaintext              unhex
	Steps                  *struct {
		Secret, Nonce, Ctx, Header, Ciphertext, Tag, MAC unhex
		KeyID                                            unhex `json:"key_id"`
		KE                                               unhex `json:"k_e"`
		KM                                               unhex `json:"k_m"`
		MessageKey                                       unhex `json:"message_key"`
	}
}

func (v vector) binding() codec.Binding {
	return codec.Binding{Audience: v.Audience, Base: v.Base, Suffix: v.Suffix}
}

// pieces returns the pieces that a client would send; a single value is one
// piece.
func (v vector) pieces() func(int) (string, bool) {
	if v.Pieces == nil {
		return of([]string{v.Value})
	}
	return func(i int) (string, bool) {
		if i >= len(v.Pieces) || v.Pieces[i] == nil {
			return "", false
		}
		return *v.Pieces[i], true
	}
}

func eachVector(t *testing.T, f func(t *testing.T, file vectorFile, v vector)) {
	for _, name := range generators {
		text, err := os.ReadFile(filepath.Join("testdata", "vectors", name+".json"))
		require.NoError(t, err)
		var file vectorFile
		strict := json.NewDecoder(bytes.NewReader(text))
		strict.DisallowUnknownFields()
		require.NoError(t, strict.Decode(&file))
		require.NotEmpty(t, file.Vectors)
		for _, v := range file.Vectors {
			t.Run(name+"/"+v.Name, func(t *testing.T) { f(t, file, v) })
		}
	}
}

// Every vector is opened directly, joined and opened, and split in two other
// ways, joined and opened.
func TestVectors(t *testing.T) {
	ring := testRing(t, []int{2, 1}, 3)
	open := func(t *testing.T, v vector, value string) {
		plaintext, key, err := codec.Open(nil, ring, now, v.binding(), value)
		if v.Open == "ok" {
			require.NoError(t, err)
			require.True(t, bytes.Equal(v.Plaintext, plaintext))
			require.Equal(t, hex.EncodeToString(v.Steps.KeyID), key.ID().String())
			return
		}
		require.Equal(t, v.Open, reasonOf(t, err).String())
		require.Nil(t, key)
		require.Nil(t, plaintext)
	}
	eachVector(t, func(t *testing.T, file vectorFile, v vector) {
		if v.Pieces == nil {
			open(t, v, v.Value)
		}
		value, used, err := codec.Join(v.pieces())
		require.Equal(t, v.Join, reasonOf(t, err).String())
		if err != nil {
			return
		}
		if v.Used > 0 {
			require.Equal(t, v.Used, used)
		}
		open(t, v, value)
		for _, limit := range []func(int) int{same(len(value)/40 + 12), func(i int) int { return 12 + 500*i }} {
			again, _, err := codec.Join(of(split(t, value, limit)))
			require.NoError(t, err)
			open(t, v, again)
		}
	})
}

// Sealing a vector's plaintext with its nonce gives the vector's value.
func TestSealGivesTheVectors(t *testing.T) {
	if fips140.Enabled() {
		t.Skip("in FIPS 140 mode the nonce cannot be chosen")
	}
	eachVector(t, func(t *testing.T, file vectorFile, v vector) {
		if v.Open != "ok" {
			t.Skip("a refusal")
		}
		key := testRing(t, []int{1}).Active(now)
		if !bytes.Equal(v.Steps.Secret, testSecret(1)) {
			key = testRing(t, []int{2}).Active(now)
		}
		want, _, err := codec.Join(v.pieces())
		require.NoError(t, err)
		var got []byte
		formattest.WithRandom(v.Steps.Nonce, func() { got, err = codec.Seal(nil, key, v.binding(), v.Plaintext) })
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	})
}

// The vector files match the output of their generators.
func TestVectorsAreGenerated(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the generators")
	}
	for _, name := range append([]string{"record", "format2", "format3"}, generators...) {
		path := filepath.Join(t.TempDir(), name)
		out, err := exec.Command("go", "run", "./testdata/gen/"+name, path).CombinedOutput()
		require.NoError(t, err, string(out))
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join("testdata", "vectors", name+".json"))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n"))), "run: go generate ./codec")
	}
}

// A program refuses the keys of the vectors.
func TestVectorKeysAreRefusedByAProgram(t *testing.T) {
	text, err := testRing(t, []int{1, 2}).Marshal()
	require.NoError(t, err)
	_, err = keyring.Parse(text)
	require.ErrorContains(t, err, "example")
}
