package stores

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/redisstore"
	"github.com/carryon-go/carryon/fallback/sqlstore"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// A dump of the database and the key ring together open no record: the key of
// each row is in its visitor's cookies. With an old cookie of the visitor they
// open the row.
func TestDumpAndRingOpenNothing(t *testing.T) {
	each(t, func(t *testing.T, e engine) {
		_, db, store, o := e.migrated(t, sqlstore.Options{})
		table := o.Table
		steal(t, store, func() (rows []row) {
			all, err := db.QueryContext(t.Context(), "SELECT id, number, tag, data, expires FROM "+table)
			require.NoError(t, err)
			defer all.Close()
			for all.Next() {
				var id, tag []byte
				var r row
				var expires int64
				require.NoError(t, all.Scan(&id, &r.Number, &tag, &r.data, &expires))
				r.ID, r.Tag = string(id), [16]byte(tag)
				r.raw = bytes.Join([][]byte{id, tag, r.data}, nil)
				rows = append(rows, r)
			}
			require.NoError(t, all.Err())
			return rows
		})
	})
	t.Run("Redis", func(t *testing.T) {
		client := connectRedis(t)
		prefix := "carryon-test:" + rand.Text()[:12] + ":"
		t.Cleanup(func() { clearRedis(t, prefix) })
		store, err := redisstore.New(client, redisstore.Options{Prefix: prefix})
		require.NoError(t, err)
		steal(t, store, func() []row { return redisRows(t, client, store, prefix) })
	})
}

func redisRows(t *testing.T, client *redis.Client, store fallback.Store, prefix string) (rows []row) {
	ctx := context.Background()
	keys := client.Scan(ctx, 0, prefix+"*", 1000).Iterator()
	for keys.Next(ctx) {
		raw, err := client.Get(ctx, keys.Val()).Bytes()
		require.NoError(t, err)
		id := strings.TrimPrefix(keys.Val(), prefix)
		rec, err := store.Load(ctx, id)
		require.NoError(t, err)
		rows = append(rows, row{codec.RecordBinding{ID: id, Number: rec.Revision.Number, Tag: rec.Revision.Tag}, rec.Data, append([]byte(id), raw...)})
	}
	require.NoError(t, keys.Err())
	return rows
}

// A row is a row of a dump.
type row struct {
	codec.RecordBinding
	data []byte
	raw  []byte // all bytes of the row
}

// These values are the content of the session. They are not base64url, so a
// record contains them unchanged.
const first, second = "FIRST!SECRET!", "SECOND!SECRET!"

// steal creates a session, and tries to open it with everything but the
// visitor's cookies.
func steal(t *testing.T, store fallback.Store, dump func() []row) {
	ring, err := keyring.Generate(time.Now().Add(-time.Minute))
	require.NoError(t, err)
	sessions, err := middleware.New(middleware.Config{Keys: ring, Fallback: middleware.Fallback{Store: store}})
	require.NoError(t, err)
	handler, jar := sessions.Handler(http.HandlerFunc(keep)), &sessiontest.Jar{}
	ask := func(path string) { jar.Do(handler, jar.Request("GET", path, nil)) }
	ask("/login?text=" + first)
	root := rootOf(t, ring, jar)
	opensNothing(t, ring, dump(), root)

	// With an old cookie, the row opens as it is now,
	ask("/put?text=" + second)
	now := rowOf(t, dump(), root)
	plaintext, err := codec.OpenRecord(nil, root.RecordKey(), now.RecordBinding, now.data)
	require.NoError(t, err)
	require.True(t, bytes.Contains(plaintext, []byte(second)))

	// until the session is renewed.
	ask("/renew")
	renewed := rowOf(t, dump(), rootOf(t, ring, jar))
	require.NotEqual(t, now.ID, renewed.ID)
	_, err = codec.OpenRecord(nil, root.RecordKey(), renewed.RecordBinding, renewed.data)
	require.Error(t, err)
	ended := rowOf(t, dump(), root)
	plaintext, err = codec.OpenRecord(nil, root.RecordKey(), ended.RecordBinding, ended.data)
	require.NoError(t, err)
	require.False(t, bytes.Contains(plaintext, []byte("SECRET")), "the old row must contain only a marker")
}

func keep(_ http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	switch r.URL.Path {
	case "/renew":
		s.Renew()
		return
	case "/login":
		s.Login("somebody")
	}
	body.Set(s, strings.Repeat(r.FormValue("text"), 4000)) // too large for cookies
}

// opensNothing tries to open the rows of a session with all available keys.
func opensNothing(t *testing.T, ring *keyring.Ring, rows []row, root state.Root) {
	r := rowOf(t, rows, root)
	for _, r := range rows {
		require.False(t, bytes.Contains(r.raw, []byte("SECRET")))
		require.False(t, bytes.Contains(r.raw, []byte("somebody")))
		for name, secret := range secretsOf(root) {
			require.False(t, bytes.Contains(r.raw, secret), "the dump contains the session's %s", name)
		}
	}
	for _, secret := range candidates(t, ring, rows) {
		_, err := codec.OpenRecord(nil, secret, r.RecordBinding, r.data)
		require.Error(t, err)
		guess := state.Root(secret)
		_, err = codec.OpenRecord(nil, guess.RecordKey(), r.RecordBinding, r.data)
		require.Error(t, err)
		require.NotEqual(t, r.ID, guess.RecordID(), "a reference to the row can be made")
	}
	for _, value := range asCookies(ring, r.data) {
		_, _, err := codec.Open(nil, ring, time.Now(), codec.Binding{Base: middleware.DefaultName, Suffix: r.ID}, value)
		require.Error(t, err)
	}
}

// rootOf opens the visitor's reference. That needs the cookie and the ring.
func rootOf(t *testing.T, ring *keyring.Ring, jar *sessiontest.Jar) state.Root {
	t.Helper()
	require.Len(t, jar.Names(), 1)
	name := jar.Names()[0]
	b := codec.Binding{Base: middleware.DefaultName, Suffix: strings.TrimPrefix(name, middleware.DefaultName+".")}
	plaintext, _, err := codec.Open(nil, ring, time.Now(), b, jar.Value(name))
	require.NoError(t, err)
	f, err := state.Decode(plaintext)
	require.NoError(t, err)
	require.True(t, f.Kind == state.Head && f.Stored(), "the session must be in the store, but its cookie is a %s", f.Kind)
	return f.Root
}

func rowOf(t *testing.T, rows []row, root state.Root) row {
	t.Helper()
	for _, r := range rows {
		if r.ID == root.RecordID() {
			return r
		}
	}
	t.Fatal("the session has no row")
	return row{}
}

// secretsOf returns all secrets that lead to the content of a row, in the forms
// in which a careless program might store them.
func secretsOf(root state.Root) map[string][]byte {
	id, _ := base64.RawURLEncoding.DecodeString(root.ID())
	all := map[string][]byte{}
	for name, secret := range map[string][]byte{"root": root[:], "record key": root.RecordKey(), "public id": id} {
		all[name] = secret
		all[name+" in hexadecimal"] = []byte(hex.EncodeToString(secret))
		all[name+" in base64"] = []byte(base64.RawStdEncoding.EncodeToString(secret))
		all[name+" in base64url"] = []byte(base64.RawURLEncoding.EncodeToString(secret))
	}
	return all
}

// candidates returns the secrets available to a thief of the dump and the ring:
// the first and last 32 bytes of the rows, the secrets of the ring, hashes of
// the ids, and the keys that HKDF derives from each of these with the labels of
// SPEC.md.
func candidates(t *testing.T, ring *keyring.Ring, rows []row) (all [][]byte) {
	text, err := ring.Marshal()
	require.NoError(t, err)
	var document struct{ Keys []map[string]any }
	require.NoError(t, json.Unmarshal(text, &document))
	require.NotEmpty(t, document.Keys)
	var seeds [][]byte
	for _, key := range document.Keys {
		for _, field := range key {
			if s, ok := field.(string); ok {
				seeds = append(seeds, []byte(s))
				for _, encoding := range []*base64.Encoding{base64.RawURLEncoding, base64.URLEncoding, base64.StdEncoding} {
					if b, err := encoding.DecodeString(s); err == nil {
						seeds = append(seeds, b)
					}
				}
			}
		}
	}
	require.True(t, slices.ContainsFunc(seeds, func(seed []byte) bool {
		id, _ := hkdf.Key(sha256.New, seed, nil, "carryon key id", 4)
		return keyring.ID(id) == ring.Active(time.Now()).ID()
	}), "the candidates must include the ring's secret")
	for _, r := range rows {
		seeds = append(seeds, []byte(r.ID), r.Tag[:])
		edge := append(bytes.Clone(r.raw[:min(500, len(r.raw))]), r.raw[max(0, len(r.raw)-200):]...)
		for i := 0; i+32 <= len(edge); i++ {
			all = append(all, edge[i:i+32])
		}
	}
	labels := []string{"carryon session id", "carryon record id", "carryon record key", "carryon key id",
		"carryon/1 encrypt", "carryon/1 sign", "carryon/1 record encrypt", "carryon/1 record sign"}
	for _, seed := range seeds {
		sum := sha256.Sum256(seed)
		all = append(all, sum[:])
		if len(seed) == 32 {
			all = append(all, seed)
		}
		for _, label := range labels {
			key, err := hkdf.Key(sha256.New, seed, nil, label, 32)
			require.NoError(t, err)
			all = append(all, key)
		}
	}
	require.Greater(t, len(all), 500)
	return all
}

// asCookies returns cookies made from a row: the row itself, and the row with
// the ring's key id in its header.
func asCookies(ring *keyring.Ring, data []byte) []string {
	id := ring.Active(time.Now()).ID()
	named := bytes.Clone(data)
	copy(named[1:], id[:])
	return []string{base64.RawURLEncoding.EncodeToString(data), base64.RawURLEncoding.EncodeToString(named)}
}
