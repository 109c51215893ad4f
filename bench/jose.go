package bench

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// A tokenSite stores the whole session in a token in one cookie, like programs
// that use a token library for sessions.
type tokenSite struct {
	make func(Data) (string, error)
	open func(token string) (Data, error)
}

func (t tokenSite) site(d Data) *Site {
	return &Site{
		Login:     http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { t.save(w, d) }),
		Untouched: untouched, // token libraries have no middleware
		Read: t.with(func(w http.ResponseWriter, d Data) {
			page(w, d.User.Name)
		}),
		Change: t.with(func(w http.ResponseWriter, d Data) {
			d.CSRF = nextToken()
			t.save(w, d)
			page(w, d.CSRF)
		}),
		Dump: t.with(func(w http.ResponseWriter, d Data) { dump(w, d) }),
	}
}

func (t tokenSite) with(serve func(http.ResponseWriter, Data)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie("session")
		if err != nil {
			return
		}
		if d, err := t.open(cookie.Value); err == nil {
			serve(w, d)
		}
	})
}

func (t tokenSite) save(w http.ResponseWriter, d Data) {
	token, err := t.make(d)
	refuse(w, err)
	http.SetCookie(w, &http.Cookie{Name: "session", Value: token, Path: "/", MaxAge: 86400,
		HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode})
}

// claims are a session and its expiry.
type claims struct {
	Data
	jwt.RegisteredClaims
}

// buildJWT signs the session. Anyone with the cookie can read it.
func buildJWT(d Data) (*Site, error) {
	key := randomBytes(32)
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())
	return tokenSite{
		make: func(d Data) (string, error) {
			end := jwt.NewNumericDate(time.Now().Add(24 * time.Hour))
			return jwt.NewWithClaims(jwt.SigningMethodHS256, claims{d, jwt.RegisteredClaims{ExpiresAt: end}}).SignedString(key)
		},
		open: func(token string) (Data, error) {
			var c claims
			_, err := parser.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return key, nil })
			return c.Data, err
		},
	}.site(d), nil
}

// buildJOSE encrypts the session's JSON with a shared key. It has no expiry,
// because a JWE has none.
func buildJOSE(d Data) (*Site, error) {
	key := randomBytes(32)
	encrypter, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.DIRECT, Key: key}, nil)
	if err != nil {
		return nil, err
	}
	algorithms, content := []jose.KeyAlgorithm{jose.DIRECT}, []jose.ContentEncryption{jose.A256GCM}
	return tokenSite{
		make: func(d Data) (string, error) {
			plain, err := json.Marshal(d)
			if err != nil {
				return "", err
			}
			sealed, err := encrypter.Encrypt(plain)
			if err != nil {
				return "", err
			}
			return sealed.CompactSerialize()
		},
		open: func(token string) (d Data, err error) {
			sealed, err := jose.ParseEncryptedCompact(token, algorithms, content)
			if err != nil {
				return d, err
			}
			plain, err := sealed.Decrypt(key)
			if err != nil {
				return d, err
			}
			err = json.Unmarshal(plain, &d)
			return d, err
		},
	}.site(d), nil
}
