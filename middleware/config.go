package middleware

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/internal/cookiejar"
	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/records"
	"github.com/carryon-go/carryon/keyring"
)

// Defaults and bounds of [Config].
const (
	DefaultName         = "__Host-session"
	DefaultLifetime     = 24 * time.Hour
	DefaultIdleTimeout  = 2 * time.Hour
	DefaultStoreTimeout = 2 * time.Second
	// MaxLifetime is the longest time for which browsers keep a cookie (RFC 6265bis
	// section 5.5).
	MaxLifetime = 400 * 24 * time.Hour
)

// Config configures [Sessions]. Only Keys is required. The zero value of every other
// field is a safe default.
type Config struct {
	// Keys provides the key ring that encrypts and decrypts sessions: a
	// *keyring.Keys, or a *keyring.Ring in tests. Required.
	Keys keyring.Provider

	// Formats are the formats that keys of the ring may use in addition to format 1:
	// those of codec/xchacha and codec/securecookieformat. Each key names its format.
	// New, and each reload of the ring, refuse a ring with a format that is missing.
	Formats []codec.Format

	// Audience separates programs that share a key ring, such as staging and
	// production: a session of one audience does not open for another.
	Audience string

	// Cookie sets the name and the attributes of the session's cookies.
	Cookie Cookie

	// Lifetimes sets when sessions end.
	Lifetimes Lifetimes

	// Platform names the proxy or service in front of the program. It sets Limits to
	// that platform's. "" means [Default].
	Platform Platform

	// Limits overrides limits of the platform. A field that is 0 does not.
	Limits Limits

	// Fallback sets the store for sessions that do not fit their cookies, and how
	// it is used.
	Fallback Fallback

	// Migration takes over the sessions of another library.
	Migration Migration

	// ErrorHandler answers a request whose session could not be loaded or written.
	// Nothing of the handler's response has been sent. The default sends the status
	// of [StatusOf] as plain text without details.
	ErrorHandler func(w http.ResponseWriter, r *http.Request, err error)

	// Observer is called for each event. It must not block. Its context does not
	// carry the session, which is locked during most events.
	Observer func(ctx context.Context, e Event)

	// Logger logs warnings of New and, if there is no Observer, failures: one line in
	// ten seconds for each kind and reason. Nil means slog.Default().
	Logger *slog.Logger

	// Clock returns the current time. Nil means time.Now.
	Clock func() time.Time
}

// Cookie sets the name and the attributes of the session's cookies. The zero value
// is the safest that browsers offer: "__Host-session", Secure, HttpOnly and
// SameSite=Lax.
type Cookie struct {
	// Name is the base name of the cookies: an RFC 6265 token without dots. "" means
	// "__Host-session", or "__Secure-session" if Domain or a Path other than "/" is
	// set, because browsers then refuse "__Host-".
	Name string

	// Path is the cookies' Path attribute; "" means "/".
	Path string

	// Domain is the cookies' Domain attribute. "" restricts the cookies to this host.
	// With a domain, every subdomain can read and set them.
	Domain string

	// SameSite is the cookies' SameSite attribute; 0 means Lax. With None, requests
	// from other sites carry the cookies.
	SameSite http.SameSite

	// Partitioned gives the cookies a separate jar for each site that embeds the page
	// (CHIPS). Use it with SameSite None for a program in other sites' frames.
	// Browsers keep at most 10,240 bytes of partitioned cookies, so
	// Limits.RequestBytes is at most that.
	Partitioned bool

	// Priority is the cookies' Priority attribute: "Low", "Medium", "High", or "" for
	// none. If a site has too many cookies, Chromium drops those of low priority
	// first.
	Priority string

	// BrowserSession omits Max-Age, so that browsers forget the cookies when they are
	// closed. Many browsers restore such cookies together with their windows.
	BrowserSession bool

	// FixedName keeps the session in one cookie whose name is exactly Name, for
	// platforms that pass on only one cookie (Firebase Hosting: "__session"). The
	// last response then wins: parallel writes undo each other, a slow response can
	// undo a logout, and nothing is chunked. Avoid it where you can.
	FixedName bool

	// DangerouslyAllowPlainHTTP omits Secure and the name's prefix, so that anyone on
	// the network path can read and plant sessions. Development rarely needs it:
	// Chromium and Firefox accept Secure cookies on http://localhost and
	// http://127.0.0.1. Safari and many other clients do not.
	DangerouslyAllowPlainHTTP bool
}

// Lifetimes sets when sessions end. With the zero value a session ends 24 hours
// after it began, or 2 hours after its last use.
type Lifetimes struct {
	// Absolute is the time after which a session ends even if it is in use. 0 means
	// 24 hours; the maximum is 400 days. It is sealed into each session when the
	// session begins.
	Absolute time.Duration

	// Max is the longest lifetime that [session.Session.SetLifetime] accepts. 0 means
	// Absolute; the maximum is 400 days.
	Max time.Duration

	// Idle is the time after which a session ends if it is not used. 0 means 2 hours,
	// and a negative value means no idle timeout.
	Idle time.Duration

	// TouchAfter is the age at which a response without changes renews the session's
	// last-seen time. 0 means half of Idle, and a negative value means every
	// request. A session in use can end this much before Idle is over.
	TouchAfter time.Duration
}

// Fallback sets the store for sessions that do not fit their cookies, and how it is
// used. With the zero value there is no store: a write that does not fit fails with
// [session.ErrTooLarge].
type Fallback struct {
	// Store is a fallback.Memory for one process, or a store of a package under
	// fallback for several. Each record is encrypted with a secret that only the
	// visitor's cookies contain. Nil means no store.
	Store fallback.Store

	// Mode selects where sessions are kept; 0 means [Auto].
	Mode Mode

	// Timeout limits each call of Store. 0 means 2 seconds, and a negative value
	// means only the request's own deadline. A write that waits for other writers of
	// the same session takes at most four times as long. A canceled request stops a
	// load but never a write.
	Timeout time.Duration

	// Outage selects what happens to visitors with a stored session while Store
	// fails; 0 means [OutageRefuse].
	Outage Outage

	// Revocation selects whether sessions in cookies can be ended before they
	// expire; 0 means [RevocationOn].
	Revocation Revocation

	// RevocationMaxAge is the longest time for which a replica relies on what it has
	// read about a session's revocation. 0 means 10 seconds, and a negative value
	// means that every request reads the store.
	RevocationMaxAge time.Duration

	// List keeps a list of each subject's sessions in Store, for [Sessions.List]. It
	// costs a load and a save at each login, renewal and logout, and whenever a
	// response renews a session's last-seen time or changes its [session.Label].
	List bool
}

// Migration imports the sessions of another library, so that visitors stay logged in
// when a program moves to Carryon. The zero value imports none.
type Migration struct {
	// From lists the importers. If a request carries no cookie of Carryon, the first
	// importer whose cookie it carries reads the session. The imported session gets
	// an id and lifetimes of this configuration. The next response that may set
	// cookies writes it. The old cookie is expired, and the importer forgets the old
	// session, when a request shows that the new cookie has arrived, or at once with
	// Renew, Login and Destroy.
	From []Importer

	// Until is when the imports end; required with From. Choose the start of the
	// migration plus the longest lifetime of the old sessions. After it the importers
	// are not used and can be removed.
	Until time.Time

	// Keep keeps the old cookie and the old session until Destroy, so that visitors
	// are still logged in if the program returns to the other library. A stolen old
	// cookie also stays valid, so use Keep only for the first days of a migration.
	Keep bool
}

// settings is a Config with its defaults filled in.
type settings struct {
	config    Config
	formats   *codec.Formats
	lifetime  int64         // ms
	idle      int64         // ms, 0: none
	touch     int64         // ms
	timeout   time.Duration // of a store call; 0: none
	staleness time.Duration // maximum age of known revocation statuses
	limits    Limits
	failures  *eventLog // logs failures if there is no Observer
	form      cookiejar.LineFormat
	sizer     policy.Sizer
}

// Sessions is the middleware for the sessions of one cookie name. Create it with
// [New]. It is immutable and safe for concurrent use.
type Sessions struct {
	settings
	records  records.Client
	inFlight entriesInFlight
	foreign  sync.Once // the advice on cookies of other programs
}

// revocable reports whether the store keeps revocations of sessions in cookies.
func (s *settings) revocable() bool {
	return s.config.Fallback.Store != nil && s.config.Fallback.Revocation != RevocationOff
}

// DefaultRevocationMaxAge is the default of [Fallback.RevocationMaxAge].
const DefaultRevocationMaxAge = 10 * time.Second
