package middleware

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/internal/core"
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
	// counts, and [EventRefused] with [session.StoreRolledBack] tells of it.
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

	// Compression makes sessions smaller that would take more than one cookie;
	// nil, the default, is off. deflate.New() of codec/deflate is one.
	//
	// It makes the length of the cookies, which an eavesdropper sees, tell
	// something of what is in them. Who can also get text of their choice into a
	// visitor's session (a search, a name, the address of a page) sees it grow
	// less where that text repeats what the session holds, and so guesses a
	// secret piece by piece, as CRIME did in TLS (Alawatugoda, Stebila, Boyd:
	// Protecting Encrypted Cookies from Compression Side-Channel Attacks, 2015).
	// Lengths are rounded up to 64 bytes, which makes that slower, not
	// impossible: list in Secret what must not be guessed, or leave it off.
	//
	// It is used only where it saves a cookie. Entries are compressed; ids,
	// times and Secret entries are not. Every replica reads what any of them
	// compressed, so that it can be turned on and off at any time.
	Compression Compressor

	// Secret lists the names of the entries that are never compressed, such as
	// tokens: the compressed text, and so its length, does not depend on them.
	// How long they are still shows. Without Compression it changes nothing.
	Secret []string

	// ErrorHandler answers a request whose session could not be loaded or
	// written: nothing of the handler's response has been sent. The default
	// sends 503 where a replica or a store may recover and 500 else, as plain
	// text without details.
	ErrorHandler func(w http.ResponseWriter, r *http.Request, err error)

	// Observer is told what happened; it must not block. The session is not in
	// its context: it is locked while most events happen. Nil costs a branch.
	Observer func(ctx context.Context, e Event)

	// Clock is the time; nil means time.Now.
	Clock func() time.Time

	// Logger gets the warnings of New; nil means slog.Default().
	Logger *slog.Logger

	// DangerouslyAllowPlainHTTP drops Secure and the name's prefix, so that
	// whoever is on the network path can read and plant sessions. It is not
	// needed for development: browsers accept the safe default on
	// http://localhost and http://127.0.0.1.
	DangerouslyAllowPlainHTTP bool
}

// settings is a Config with its defaults filled in.
type settings struct {
	Config
	formats    *codec.Formats
	attributes string        // of every cookie that is set, after Max-Age
	lifetime   int64         // ms
	idle       int64         // ms, 0: none
	touch      int64         // ms
	timeout    time.Duration // of a store call; 0: none
	staleness  time.Duration // of what is known of revocations
	limits     Limits
	scale      scale
}

// New checks the configuration and returns all its faults at once.
func New(c Config) (*Sessions, error) {
	s := settings{Config: c}
	s.fill()
	if err := s.check(); err != nil {
		return nil, err
	}
	s.warnOfOverlap()
	if c.DangerouslyAllowPlainHTTP {
		s.Logger.Warn("carryon: sessions travel over plain http: anyone on the way can read and plant them; " +
			"this is for development only, and http://localhost works without it")
	}
	return &Sessions{settings: s}, nil
}

// warnOfOverlap says so where a key of the ring opens for less long than a session
// lives. It is no error: the ring changes while the program runs, and one that
// was rotated in a hurry must not keep the next replica from starting.
func (s *settings) warnOfOverlap() {
	ring := s.Keys.Ring(context.Background())
	if err := ring.CheckLifetime(s.Clock(), max(s.Lifetime, s.MaxLifetime)); err != nil {
		s.Logger.Warn("carryon: visitors who stay away for long are logged out before their time: " + err.Error())
	}
}

func (s *settings) fill() {
	if s.Path == "" {
		s.Path = "/"
	}
	if s.Name == "" {
		s.Name = s.defaultName()
	}
	if s.SameSite == 0 || s.SameSite == http.SameSiteDefaultMode {
		s.SameSite = http.SameSiteLaxMode
	}
	s.Lifetime = orDefault(s.Lifetime, DefaultLifetime)
	s.IdleTimeout = orDefault(s.IdleTimeout, DefaultIdleTimeout)
	s.TouchAfter = orDefault(s.TouchAfter, s.IdleTimeout/2)
	s.lifetime = s.Lifetime.Milliseconds()
	s.idle = max(s.IdleTimeout.Milliseconds(), 0)
	s.touch = max(s.TouchAfter.Milliseconds(), 0)
	s.timeout = max(orDefault(s.StoreTimeout, DefaultStoreTimeout), 0)
	s.staleness = max(orDefault(s.RevocationMaxAge, DefaultRevocationMaxAge), 0)
	if isNil(s.Fallback) {
		s.Fallback = nil
	}
	if s.ErrorHandler == nil {
		s.ErrorHandler = answerError
	}
	if s.Clock == nil {
		s.Clock = time.Now
	}
	if s.Logger == nil {
		s.Logger = slog.Default()
	}
	s.Secret = slices.Clone(s.Secret)
	s.attributes = s.cookieAttributes()
	platform, _ := s.Platform.Limits()
	s.limits = s.Limits.over(platform)
	if s.Partitioned {
		s.limits.RequestBytes = min(s.limits.RequestBytes, partitionBytes)
	}
	s.scale = scale{base: len(s.Name) + 1 + core.SuffixLen, cookie: s.limits.CookieBytes,
		attributes: len(s.attributes) + len("; Max-Age=34560000")}
	if s.FixedName {
		s.scale.base = len(s.Name)
	}
	if !isNil(s.Compression) {
		s.scale.packing = &core.Packing{Compress: s.Compression.Compress, Apart: s.Secret, Worth: s.scale.saves}
	}
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

func (s *settings) defaultName() string {
	switch {
	case s.DangerouslyAllowPlainHTTP:
		return "session"
	case s.Domain != "" || s.Path != "/":
		return "__Secure-session"
	}
	return DefaultName
}

// check lists every fault. A configuration that a browser would refuse is one.
func (s *settings) check() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf("carryon: "+format, args...))
		}
	}
	fault(isNil(s.Keys), "Config.Keys is nil; open a ring with keyring.Open, or use keyring.Ephemeral() in development")
	s.checkFormats(fault)
	s.checkName(fault)
	s.checkScope(fault)
	s.checkTimes(fault)
	s.checkCompression(fault)
	s.checkImport(fault)
	fault(s.Mode < Auto || s.Mode > AlwaysStored, "Config.Mode %d is none of Auto, AlwaysCookies and AlwaysStored", s.Mode)
	fault(s.Mode == AlwaysStored && isNil(s.Fallback), "Config.Mode is AlwaysStored and Config.Fallback is nil; give it a store")
	_, known := s.Platform.Limits()
	fault(!known, "Config.Platform %q is not one of %v", s.Platform, Platforms())
	faults = append(faults, s.limits.faults()...)
	return errors.Join(faults...)
}

// isNil also finds the nil pointer of a variable that nobody has filled yet.
func isNil(field any) bool {
	v := reflect.ValueOf(field)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// checkFormats makes the formats, and holds the ring against them.
func (s *settings) checkFormats(fault func(bool, string, ...any)) {
	var err error
	if s.formats, err = codec.NewFormats(s.Formats...); err != nil {
		fault(true, "Config.Formats: %w", err)
		return
	}
	if !isNil(s.Keys) {
		if err := s.formats.Check(s.Keys.Ring(context.Background()), s.Clock()); err != nil {
			fault(true, "Config.Keys and Config.Formats: %w", err)
		}
	}
}

func (s *settings) checkName(fault func(bool, string, ...any)) {
	fault(!isToken(s.Name), "Config.Name %q is not a cookie name (RFC 6265: letters, digits and !#$%%&'*+-^_`|~)", s.Name)
	fault(strings.Contains(s.Name, "."), "Config.Name %q has a dot, which parts the name from its suffix; leave it out", s.Name)
	fault(len(s.Name) > 64, "Config.Name has %d bytes; 64 is the most, for it is sent with every cookie", len(s.Name))
	host, secure := hasPrefix(s.Name, "__Host-"), hasPrefix(s.Name, "__Secure-") || hasPrefix(s.Name, "__Http-")
	fault(host && (s.Domain != "" || s.Path != "/"),
		"Config.Name %q: browsers refuse \"__Host-\" with a Domain or a Path other than \"/\"; use \"__Secure-\"", s.Name)
	fault((host || secure) && s.DangerouslyAllowPlainHTTP,
		"Config.Name %q: browsers refuse this prefix without Secure; drop the prefix or DangerouslyAllowPlainHTTP", s.Name)
}

func (s *settings) checkScope(fault func(bool, string, ...any)) {
	fault(!strings.HasPrefix(s.Path, "/") || !isAttribute(s.Path) || len(s.Path) > 1024,
		"Config.Path must begin with \"/\", have at most 1024 bytes, and no semicolon or control character")
	fault(s.Domain != "" && !isDomain(s.Domain), "Config.Domain %q is not a host name; give it without scheme, port and path", s.Domain)
	fault(s.SameSite < http.SameSiteDefaultMode || s.SameSite > http.SameSiteNoneMode, "Config.SameSite %d is not one of http.SameSite…Mode", s.SameSite)
	fault(s.Partitioned && s.DangerouslyAllowPlainHTTP, "Config.Partitioned: browsers refuse it without Secure; drop DangerouslyAllowPlainHTTP")
	fault(!slices.Contains([]string{"", "Low", "Medium", "High"}, s.Priority), "Config.Priority %q is none of Low, Medium and High", s.Priority)
	fault(s.SameSite == http.SameSiteNoneMode && s.DangerouslyAllowPlainHTTP,
		"Config.SameSite is None, which browsers refuse without Secure; drop DangerouslyAllowPlainHTTP")
}

func (s *settings) checkTimes(fault func(bool, string, ...any)) {
	fault(s.Lifetime < 0, "Config.Lifetime is negative; 0 means %v, at most %v", DefaultLifetime, MaxLifetime)
	fault(s.Lifetime > 0 && s.Lifetime < time.Second, "Config.Lifetime is %v; cookies count in whole seconds", s.Lifetime)
	fault(s.Lifetime > MaxLifetime, "Config.Lifetime is %v, but browsers keep a cookie for at most %v", s.Lifetime, MaxLifetime)
	fault(s.Config.MaxLifetime < 0 || s.Config.MaxLifetime > 0 && s.Config.MaxLifetime < s.Lifetime,
		"Config.MaxLifetime is %v, less than Lifetime (%v); 0 means the same", s.Config.MaxLifetime, s.Lifetime)
	fault(s.Config.MaxLifetime > MaxLifetime, "Config.MaxLifetime is %v, but browsers keep a cookie for at most %v", s.Config.MaxLifetime, MaxLifetime)
	fault(s.IdleTimeout > 0 && s.IdleTimeout < time.Second,
		"Config.IdleTimeout is %v, at least a second is needed; 0 means %v, negative no idle limit", s.IdleTimeout, DefaultIdleTimeout)
	fault(s.IdleTimeout > 0 && s.TouchAfter >= s.IdleTimeout,
		"Config.TouchAfter (%v) must be shorter than IdleTimeout (%v), or sessions in use would end", s.TouchAfter, s.IdleTimeout)
}

func hasPrefix(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func isToken(s string) bool {
	const special = "!#$%&'*+-.^_`|~"
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(special, c) >= 0) {
			return false
		}
	}
	return s != ""
}

func isAttribute(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r >= 0x7f || r == ';' }) < 0
}

func isDomain(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.IndexFunc(label, notHost) >= 0 {
			return false
		}
	}
	return len(s) <= 253
}

func notHost(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-')
}
