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
	// MaxLifetime is what browsers keep a cookie at most (RFC 6265bis section 5.5).
	MaxLifetime = 400 * 24 * time.Hour
)

// Config says how sessions are kept. Only Keys is required; the zero value of
// every other field is a safe default.
type Config struct {
	// Keys is the ring that seals and opens: *keyring.Keys, or a fixed
	// *keyring.Ring in tests. Required.
	Keys keyring.Provider

	// Formats are the sealed forms beside format 1 that a key of the ring may call
	// for: those of codec/xchacha and codec/securecookieformat. A key says which is
	// its own; what the program does not have here is refused, by New for the ring
	// of that time.
	Formats []codec.Format

	// Name is the base name of the cookies, an RFC 6265 token without dots;
	// "" means "__Host-session", or "__Secure-session" where Domain or a Path
	// other than "/" is set (a browser would refuse "__Host-" there).
	Name string

	// Audience parts programs (or staging and production) that share a key
	// ring: a session sealed for one audience does not open for another.
	Audience string

	// Path is the cookies' Path attribute; "" means "/".
	Path string

	// Domain is the cookies' Domain attribute. The default, "", keeps them to
	// this very host. With a domain, every subdomain can read and set them.
	Domain string

	// SameSite is Lax where it is 0. None lets other sites send the cookies.
	SameSite http.SameSite

	// Partitioned keeps the cookies apart by the site that embeds the page (CHIPS):
	// for a program that runs in other sites' frames, with SameSite None. Browsers
	// keep 10,240 bytes of them for a site, so that RequestBytes is at most that.
	Partitioned bool

	// Priority is "Low", "Medium" or "High": which cookies Chromium drops first
	// where a site has too many. "" leaves it to the browser.
	Priority string

	// Lifetime is how long a session lives, however much it is used; 0 means
	// 24 h, at most 400 days. It is sealed into the session when that begins.
	Lifetime time.Duration

	// MaxLifetime is the longest that a program may choose for one session
	// ([session.Session.SetLifetime]); 0 means Lifetime, at most 400 days.
	MaxLifetime time.Duration

	// IdleTimeout is how long a session lives without being used; 0 means 2 h,
	// negative no idle limit.
	IdleTimeout time.Duration

	// TouchAfter is how old the last-seen time must be before a response that
	// changes nothing renews it; 0 means half of IdleTimeout, negative every
	// request. A session can end this much before IdleTimeout is over.
	TouchAfter time.Duration

	// BrowserSession makes cookies that browsers forget when they are closed
	// (no Max-Age); many browsers bring them back with their windows.
	BrowserSession bool

	// Platform names what stands between the browser and the program, for its
	// limits on headers; "" means [Default].
	Platform Platform

	// Limits overrides single numbers of the platform's.
	Limits Limits

	// FixedName names the session's one cookie exactly Name, for platforms that
	// pass only one cookie (Firebase Hosting: "__session"). The last response
	// then wins: parallel writers undo one another, a slow response can undo a
	// logout, and there are no chunks. Prefer anything else.
	FixedName bool

	// Fallback keeps the sessions that do not fit their cookies: fallback.NewMemory
	// for one process, or a store of the packages under fallback for several.
	// What it keeps is sealed with a key that only the visitor's cookies hold.
	// Nil, the default: a session that is too large is [session.ErrTooLarge].
	Fallback fallback.Store

	// Mode says where sessions live; 0 means [Auto].
	Mode Mode

	// StoreTimeout bounds each call of Fallback; 0 means 2 s, negative the
	// request's own deadline only. A write that must wait for other writers of
	// the same session takes at most four times as long. A visitor who hangs up
	// stops a load, but never a write.
	StoreTimeout time.Duration

	// AbsentIfStoreDown lets a visitor whose session is in a store that does not
	// answer be taken for one without a session. Their cookies are kept, and what
	// is written meanwhile is refused ([session.ErrStoreDown]), but for Renew and
	// Destroy. By default each access is refused, by ErrorHandler with 503:
	// nothing is then done by mistake for somebody who seems to be logged out.
	AbsentIfStoreDown bool

	// RefuseRolledBack answers like a store that is down where the store has an
	// older state of a session than the visitor's cookie has seen, which happens
	// when a fail-over or a backup has lost writes. By default the older state
	// counts, and [EventRefused] with [reason.StoreRolledBack] tells of it.
	RefuseRolledBack bool

	// WithoutRevocation leaves it to time to end sessions that are in cookies. By
	// default, where there is a Fallback, a logout, [Sessions.Revoke] and
	// [Sessions.RevokeSubject] end every copy of a session: a replica then asks
	// Fallback for each session that is in cookies, and for its subject if it has
	// one, at most once in RevocationMaxAge, and logouts and logins write there.
	// Sessions that are stored are ended in any case, but for their subjects.
	WithoutRevocation bool

	// RevocationMaxAge is how old what a replica knows of revocations may be; 0
	// means 10 s, negative that the store is asked for every request.
	RevocationMaxAge time.Duration

	// RefuseIfRevocationUnknown answers requests whose session may have been
	// revoked, while Fallback does not answer, as those whose session is in it. By
	// default sessions in cookies go on without the store, the revoked ones among them, and
	// [EventStore] tells of it; what a replica knows already counts all the same.
	RefuseIfRevocationUnknown bool

	// Import lists the other libraries' sessions that are taken over, so that
	// nobody is logged out when a program moves to Carryon: the first whose cookie
	// a request carries is asked where that carries no cookie of ours. What it
	// gives is the visitor's session from then on, under the id, the times and the
	// rules of this configuration. It is written with the next response that may
	// set a cookie; the old cookie goes, and the importer forgets the session, when a request
	// shows that ours has arrived, and at once with Renew and Destroy.
	Import []Importer

	// ImportUntil is when the migration ends; required with Import. A good time is
	// the longest lifetime of the old sessions after the start. Then the importers
	// can be removed; until they are, they cost nothing.
	ImportUntil time.Time

	// KeepImported leaves the old cookie and the old session where they are until
	// Destroy, so that a program that goes back to the other library finds its
	// visitors logged in as they were before. An old cookie that was stolen stays
	// of use as long: it is for the first days of a migration.
	KeepImported bool

	// ErrorHandler answers a request whose session could not be loaded or
	// written: nothing of the handler's response has been sent. The default
	// sends the status of [StatusOf] as plain text without details.
	ErrorHandler func(w http.ResponseWriter, r *http.Request, err error)

	// Observer is told what happened; it must not block. The session is not in
	// its context: it is locked while most events happen. Nil costs a branch.
	Observer func(ctx context.Context, e Event)

	// Clock is the time; nil means time.Now.
	Clock func() time.Time

	// Logger gets the warnings of New and, without an Observer, failures: one
	// line of each kind and reason in ten seconds. Nil means slog.Default().
	Logger *slog.Logger

	// DangerouslyAllowPlainHTTP drops Secure and the name's prefix, so that anyone
	// on the network path can read and plant sessions. Development rarely needs
	// it: Chromium and Firefox accept the safe default on http://localhost and
	// http://127.0.0.1; Safari and many other clients do not.
	DangerouslyAllowPlainHTTP bool
}

// settings is a Config with its defaults filled in.
type settings struct {
	Config
	formats   *codec.Formats
	lifetime  int64         // ms
	idle      int64         // ms, 0: none
	touch     int64         // ms
	timeout   time.Duration // of a store call; 0: none
	staleness time.Duration // of what is known of revocations
	limits    Limits
	failures  *eventLog // told of failures where there is no Observer
	form      cookiejar.LineFormat
	sizer     policy.Sizer
}

// Sessions keeps the sessions of one cookie name. Make one with [New] and
// share it; it is immutable and safe for concurrent use.
type Sessions struct {
	settings
	records records.Client
	growths growths
	foreign sync.Once // the advice on cookies of other programs
}

// revocable reports whether sessions can be ended from elsewhere.
func (s *settings) revocable() bool { return s.Fallback != nil && !s.WithoutRevocation }

// DefaultRevocationMaxAge is how old what a replica knows of revocations may be.
const DefaultRevocationMaxAge = 10 * time.Second
