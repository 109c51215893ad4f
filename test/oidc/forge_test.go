package oidc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/test/internal/providers"
)

// A token is a JSON Web Token that a test takes apart.
type token struct {
	raw    string
	header map[string]any
	claims map[string]any
}

func parse(t *testing.T, raw string) (tok token) {
	t.Helper()
	parts := strings.Split(raw, ".")
	require.Len(t, parts, 3)
	tok.raw = raw
	for i, into := range []*map[string]any{&tok.header, &tok.claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, into))
	}
	return tok
}

// forger makes tokens with a key of its own.
type forger struct {
	t   *testing.T
	key *ecdsa.PrivateKey
}

const forgedKeyID = "forged"

func newForger(t *testing.T) *forger {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return &forger{t, key}
}

// trust makes the provider's keys include the forger's, so that its tokens have a
// valid signature.
func (f *forger) trust(w *world) {
	w.Break(w.Paths.Keys, providers.Rewrite(func(body []byte) ([]byte, error) {
		var set jose.JSONWebKeySet
		if err := json.Unmarshal(body, &set); err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: f.key.Public(), KeyID: forgedKeyID, Algorithm: "ES256", Use: "sig"})
		return json.Marshal(set)
	}))
}

// sign signs claims with a key under a key id. more are further fields of the header.
func (f *forger) sign(alg jose.SignatureAlgorithm, key any, kid string, claims map[string]any, more map[jose.HeaderKey]any) string {
	f.t.Helper()
	options := &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{"kid": kid}}
	for name, value := range more {
		options.ExtraHeaders[name] = value
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	require.NoError(f.t, err)
	payload, err := json.Marshal(claims)
	require.NoError(f.t, err)
	signed, err := signer.Sign(payload)
	require.NoError(f.t, err)
	raw, err := signed.CompactSerialize()
	require.NoError(f.t, err)
	return raw
}

// signed signs claims with the forger's key.
func (f *forger) signed(claims map[string]any) string {
	return f.sign(jose.ES256, f.key, forgedKeyID, claims, nil)
}

// unsigned returns a token with an algorithm like "none" and no signature.
func unsigned(alg string, claims map[string]any) string {
	header, _ := json.Marshal(map[string]string{"alg": alg, "typ": "JWT"})
	payload, _ := json.Marshal(claims)
	return base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
}

// publicKey returns the provider's public key for a key id, in the forms that careless
// programs have used as a secret of HS256.
func (w *world) publicKey(t *testing.T, kid string) (forms [][]byte) {
	t.Helper()
	response, err := http.Get(w.URL + w.Paths.Keys)
	a := read(t, response, err)
	var set jose.JSONWebKeySet
	require.NoError(t, json.Unmarshal([]byte(a.body), &set))
	require.Len(t, set.Key(kid), 1)
	der, err := x509.MarshalPKIXPublicKey(set.Key(kid)[0].Key)
	require.NoError(t, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	jwk, err := set.Key(kid)[0].MarshalJSON()
	require.NoError(t, err)
	return [][]byte{der, text, jwk}
}

// A forgery returns a token in place of a real one.
type forgery func(f *forger, w *world, real token) string

// badSignatures are forgeries of any kind of token whose claims are right.
var badSignatures = map[string]forgery{
	"none":       func(_ *forger, _ *world, real token) string { return unsigned("none", real.claims) },
	"None":       func(_ *forger, _ *world, real token) string { return unsigned("None", real.claims) },
	"no alg":     func(_ *forger, _ *world, real token) string { return unsigned("", real.claims) },
	"HS256, DER": func(f *forger, w *world, real token) string { return f.symmetric(w, real, 0) },
	"HS256, PEM": func(f *forger, w *world, real token) string { return f.symmetric(w, real, 1) },
	"HS256, JWK": func(f *forger, w *world, real token) string { return f.symmetric(w, real, 2) },
	"HS256, client secret": func(f *forger, _ *world, real token) string {
		return f.sign(jose.HS256, []byte(providers.Secret), kidOf(real), real.claims, nil)
	},
	"wrong key": func(f *forger, _ *world, real token) string {
		return f.sign(jose.ES256, f.key, kidOf(real), real.claims, nil)
	},
	"unknown key": func(f *forger, _ *world, real token) string { return f.signed(real.claims) },
	"key in the header": func(f *forger, _ *world, real token) string {
		jwk := jose.JSONWebKey{Key: f.key.Public(), KeyID: forgedKeyID, Algorithm: "ES256"}
		return f.sign(jose.ES256, f.key, forgedKeyID, real.claims, map[jose.HeaderKey]any{"jwk": jwk})
	},
	"signature cut off": func(_ *forger, _ *world, real token) string {
		return real.raw[:strings.LastIndexByte(real.raw, '.')+1]
	},
	"signature of another token": func(f *forger, _ *world, real token) string {
		real.claims["sub"] = "eve"
		payload, err := json.Marshal(real.claims)
		require.NoError(f.t, err)
		parts := strings.Split(real.raw, ".")
		return parts[0] + "." + base64.RawURLEncoding.EncodeToString(payload) + "." + parts[2]
	},
}

func kidOf(real token) string { kid, _ := real.header["kid"].(string); return kid }

// symmetric signs with the provider's public key as a secret.
func (f *forger) symmetric(w *world, real token, form int) string {
	return f.sign(jose.HS256, w.publicKey(f.t, kidOf(real))[form], kidOf(real), real.claims, nil)
}

// tampered changes each token response of the provider.
func tampered(t *testing.T, change func(answer map[string]any)) providers.Fault {
	return providers.Rewrite(func(body []byte) ([]byte, error) {
		answer := map[string]any{}
		if err := json.Unmarshal(body, &answer); err != nil {
			return nil, err
		}
		change(answer)
		return json.Marshal(answer)
	})
}
