package middleware_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

// devices are replicas of a program that lists its users' sessions.
type devices struct {
	t     *testing.T
	sites []*site
	store *watched
}

func newDevices(t *testing.T, n int, options ...option) *devices {
	d := &devices{t: t}
	options = append(options, config(func(c *middleware.Config) { c.Fallback.List = true }), asProgram(d.program))
	d.sites, d.store = sharing(t, n, options...)
	return d
}

// program sets the label of ?label=, serves ada's list as /devices (JSON, by the first
// replica) and /clear, and is else bindApp.
func (d *devices) program(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/devices" {
		list, err := d.sites[0].sessions.List(r.Context(), "ada")
		if err == nil {
			err = json.NewEncoder(w).Encode(list)
		}
		if err != nil {
			panic(err)
		}
		return
	}
	if r.URL.Path == "/clear" {
		session.From(r.Context()).Clear()
	}
	bindApp(w, r)
	if label := r.FormValue("label"); label != "" {
		session.Label.Set(session.From(r.Context()), label)
	}
}

// browser returns a new visitor of the i-th replica.
func (d *devices) browser(i int) *site {
	s := *d.sites[i]
	client := *s.client
	s.jar = &sessiontest.Jar{URL: s.URL, Clock: s.clock.Now}
	client.Jar, s.client = s.jar, &client
	return &s
}

// login logs a user in at a new browser.
func (d *devices) login(i int, user, label string) *site {
	b := d.browser(i)
	require.Equal(d.t, 200, b.get("/bind?user="+url.QueryEscape(user)+"&label="+url.QueryEscape(label)).StatusCode)
	return b
}

// list returns a user's list at the i-th replica.
func (d *devices) list(i int, user string) []middleware.Listed {
	d.t.Helper()
	list, err := d.sites[i].sessions.List(d.t.Context(), user)
	require.NoError(d.t, err)
	return list
}

func labels(list []middleware.Listed) (all []string) {
	for _, l := range list {
		all = append(all, l.Label)
	}
	slices.Sort(all)
	return all
}

// A user's sessions are listed at every replica, in cookies and in the store.
func TestList(t *testing.T) {
	both(t, func(t *testing.T, grow int) {
		d := newDevices(t, 2)
		phone := d.login(0, "ada", "phone")
		phone.grow("a", grow)
		d.sites[0].clock.advance(time.Minute)
		laptop := d.login(1, "ada", "laptop")
		d.login(0, "grace", "tablet")
		for i := range d.sites {
			list := d.list(i, "ada")
			require.Len(t, list, 2)
			require.Equal(t, "laptop", list[0].Label, "the last seen first")
			require.Equal(t, laptop.get("/id").body, list[0].ID)
			require.Equal(t, noon.Add(time.Minute), list[0].Created.UTC())
			require.Equal(t, noon.Add(time.Minute), list[0].LastSeen.UTC())
			require.Equal(t, noon.Add(time.Minute+middleware.DefaultIdleTimeout), list[0].Expires.UTC())
			require.Equal(t, phone.get("/id").body, list[1].ID)
			require.False(t, list[0].Current || list[1].Current)
		}
		require.Equal(t, []string{"tablet"}, labels(d.list(0, "grace")))
		require.Empty(t, d.list(0, "nobody"))

		// The last use counts to within TouchAfter.
		d.sites[0].clock.advance(time.Hour)
		require.Equal(t, 200, phone.get("/read").StatusCode)
		list := d.list(1, "ada")
		require.Equal(t, []string{"phone", "laptop"}, []string{list[0].Label, list[1].Label})
		require.Equal(t, noon.Add(61*time.Minute), list[0].LastSeen.UTC())

		// Another label, a renewal, a logout, and the end of what is not used.
		phone.get("/x?label=old+phone")
		require.Equal(t, []string{"laptop", "old phone"}, labels(d.list(0, "ada")))
		phone.get("/clear")
		require.Equal(t, []string{"", "laptop"}, labels(d.list(0, "ada")))
		phone.get("/x?label=old+phone")
		before := phone.get("/id").body
		phone.get("/login?user=ada")
		list = d.list(0, "ada")
		require.Equal(t, []string{"laptop", "old phone"}, labels(list))
		require.NotEqual(t, before, list[0].ID)
		require.Equal(t, noon, list[0].Created.UTC(), "a renewal keeps it")
		phone.get("/logout")
		require.Equal(t, []string{"laptop"}, labels(d.list(1, "ada")))
		d.sites[0].clock.advance(middleware.DefaultIdleTimeout - time.Hour)
		require.Empty(t, d.list(1, "ada"))
	})
}

// The session of the context is marked, and the others can be ended one by one.
func TestListMarksTheCurrentSession(t *testing.T) {
	both(t, func(t *testing.T, grow int) {
		d := newDevices(t, 2)
		page := d.login(0, "ada", "here")
		there := d.login(1, "ada", "there")
		there.grow("a", grow)
		var list []middleware.Listed
		require.NoError(t, json.Unmarshal([]byte(page.get("/devices").body), &list))
		current := map[string]bool{}
		for _, l := range list {
			current[l.Label] = l.Current
			if !l.Current {
				require.NoError(t, page.sessions.Revoke(t.Context(), l.ID))
			}
		}
		require.Equal(t, map[string]bool{"here": true, "there": false}, current)
		require.Equal(t, []string{"here"}, labels(d.list(0, "ada")), "this replica knows at once")
		d.sites[0].clock.advance(middleware.DefaultRevocationMaxAge)
		require.Equal(t, []string{"here"}, labels(d.list(1, "ada")))
		require.Empty(t, there.who())
		require.Equal(t, "ada", page.who())
	})
}

// Ended by any of its subjects, a session is no longer listed, and later ones are.
func TestListWithoutRevokedSubjects(t *testing.T) {
	for _, name := range []string{"ada", "sid-1"} {
		d := newDevices(t, 2)
		d.browser(0).get("/bind?user=ada&also=sid-1&label=one")
		d.browser(1).get("/bind?user=ada&also=sid-2&label=two")
		require.Equal(t, []string{"one", "two"}, labels(d.list(1, "ada")))
		require.NoError(t, d.sites[0].sessions.RevokeSubject(t.Context(), name))
		want := map[string][]string{"ada": nil, "sid-1": {"two"}}[name]
		require.Equal(t, want, labels(d.list(0, "ada")))
		d.sites[0].clock.advance(middleware.DefaultRevocationMaxAge)
		require.Equal(t, want, labels(d.list(1, "ada")))
		d.login(0, "ada", "three")
		require.Equal(t, append(want, "three"), append(slices.DeleteFunc(labels(d.list(0, "ada")), func(l string) bool { return l == "three" }), "three"))
	}
}

// Logins at the same moment are all listed, whichever replica they reach.
func TestListOfLoginsAtOnce(t *testing.T) {
	d := newDevices(t, 3)
	var wg sync.WaitGroup
	var want []string
	for i := range 30 {
		label := fmt.Sprintf("%02d", i)
		want = append(want, label)
		wg.Go(func() { d.login(i%3, "ada", label) })
	}
	wg.Wait()
	require.Equal(t, want, labels(d.list(0, "ada")))
}

// A list holds the hundred sessions that were seen last. The others continue.
func TestListIsBounded(t *testing.T) {
	d := newDevices(t, 1)
	first := d.login(0, "ada", "first")
	for i := range 150 {
		d.sites[0].clock.advance(time.Second)
		d.login(0, "ada", fmt.Sprint(i))
	}
	list := d.list(0, "ada")
	require.Equal(t, state.MaxListed, middleware.MaxListed)
	require.Len(t, list, middleware.MaxListed)
	require.NotContains(t, labels(list), "first")
	require.Equal(t, "ada", first.who())
	d.sites[0].clock.advance(time.Hour)
	first.get("/read")
	require.Contains(t, labels(d.list(0, "ada")), "first", "it is seen again")
}

// A slow request does not list a session again that has ended meanwhile.
func TestListAfterASlowRequest(t *testing.T) {
	both(t, func(t *testing.T, grow int) {
		d := newDevices(t, 2)
		b := d.login(0, "ada", "phone")
		b.grow("a", grow)
		d.sites[0].clock.advance(time.Hour) // a touch is due
		copied := b.header()
		d.store.interrupt(func(call string) {
			if call == "load" { // of the slow request's list or status
				d.store.interrupt(nil)
				b.get("/logout")
			}
		})
		d.sites[1].with("/read", copied)
		require.Empty(t, d.list(0, "ada"))
		require.Empty(t, d.list(1, "ada"))
	})
}

// A slow request with the id from before a renewal lists neither id twice nor the old
// one again.
func TestListAfterASlowRequestAndARenewal(t *testing.T) {
	both(t, func(t *testing.T, grow int) {
		d := newDevices(t, 2)
		b := d.login(0, "ada", "phone")
		b.grow("a", grow)
		d.sites[0].clock.advance(time.Hour) // a touch is due
		copied, renewed := b.header(), false
		d.store.interrupt(func(call string) {
			if call == "load" && !renewed {
				renewed = true
				d.store.interrupt(nil)
				b.get("/login?user=ada")
			}
		})
		d.sites[1].with("/read", copied)
		require.True(t, renewed)
		for i := range d.sites {
			list := d.list(i, "ada")
			require.Len(t, list, 1)
			require.Equal(t, b.get("/id").body, list[0].ID)
		}
	})
}

// A login as another user moves the session to that user's list.
func TestListOfAnotherUser(t *testing.T) {
	d := newDevices(t, 1)
	b := d.login(0, "ada", "phone")
	b.get("/bind?user=grace")
	require.Empty(t, d.list(0, "ada"))
	require.Equal(t, []string{"phone"}, labels(d.list(0, "grace")))
}

// After logins, renewals and logouts at once, the list has the sessions that are left.
func TestListAfterARace(t *testing.T) {
	d := newDevices(t, 3)
	browsers := make([]*site, 12)
	var wg sync.WaitGroup
	for i := range browsers {
		wg.Go(func() {
			browsers[i] = d.login(i%3, "ada", fmt.Sprint(i))
			browsers[i].get("/login?user=ada")
			if i%2 == 0 {
				browsers[i].get("/logout")
			}
		})
	}
	wg.Wait()
	var want, got []string
	for i, b := range browsers {
		if i%2 != 0 {
			want = append(want, b.get("/id").body)
		}
	}
	for _, l := range d.list(0, "ada") {
		got = append(got, l.ID)
	}
	require.ElementsMatch(t, want, got)
}

// If a logout could not be removed from the list, the list does not hide the logout
// from a replica.
func TestListDoesNotHideALogout(t *testing.T) {
	both(t, func(t *testing.T, grow int) {
		d := newDevices(t, 2)
		b := d.login(0, "ada", "phone")
		b.grow("a", grow)
		copied, marked := b.header(), false
		d.store.interrupt(func(call string) {
			if marked && call == "load" { // of the list
				d.store.fail(errors.New("connection refused"))
			}
			marked = marked || call == "save"
		})
		b.get("/logout")
		d.store.fail(nil)
		d.store.interrupt(nil)
		require.Equal(t, []string{"phone"}, labels(d.list(1, "ada")))
		require.Equal(t, 404, d.sites[1].with("/read", copied).StatusCode)
	})
}

// A logout without a session changes no list, and one with a session does, in each
// form of the cookies.
func TestListAndALogoutOfNothing(t *testing.T) {
	for _, fixed := range []bool{false, true} {
		testLogoutsOfNothing(t, newDevices(t, 1, config(func(c *middleware.Config) { c.Cookie.FixedName = fixed })))
	}
}

func testLogoutsOfNothing(t *testing.T, d *devices) {
	b := d.login(0, "ada", "phone")
	value := b.jar.All()[0].Value
	for _, cookies := range []string{"", "__Host-session=x", "__Host-session=" + value[:40], "__Host-session.aaaaaaaaaa=" + value, "__Host-session.0kxxpe54kh=" + value[:40], "__Host-session.0kxxpe54kh=x",
		"__Host-session.0kxxpe54kh.1=" + value} {
		for _, path := range []string{"/logout", "/clear", "/login?user=x"} {
			require.Equal(t, 200, b.bare(path, cookies).StatusCode, "%s with %q", path, cookies)
		}
	}
	require.Equal(t, []string{"phone"}, labels(d.list(0, "ada")))
	b.get("/logout")
	require.Empty(t, d.list(0, "ada"))
}

// A failing store delays the list, and changes nothing for the visitor.
func TestListWhileTheStoreFails(t *testing.T) {
	d := newDevices(t, 1)
	d.store.fail(errors.New("connection refused"))
	b := d.login(0, "ada", "phone")
	require.NotEmpty(t, b.events.of(middleware.EventStore))
	_, err := b.sessions.List(t.Context(), "ada")
	require.ErrorIs(t, err, session.ErrStoreDown)
	d.store.fail(nil)
	require.Equal(t, "ada", b.who())
	require.Empty(t, d.list(0, "ada"))
	b.clock.advance(time.Hour)
	b.get("/read")
	require.Equal(t, []string{"phone"}, labels(d.list(0, "ada")))
}

// A program that can write to the store can neither read a list, nor change it, nor
// move it to another user.
func TestListIsSealed(t *testing.T) {
	d := newDevices(t, 1)
	memory := d.store.Store
	var row string
	for before := maps.Clone(d.store.ids); row == ""; {
		d.login(0, "ada", "ada's phone")
		for id := range d.store.ids {
			if !before[id] && strings.HasPrefix(id, "l") && len(id) == 33 {
				row = id
			}
		}
	}
	got, err := memory.Load(t.Context(), row)
	require.NoError(t, err)
	require.NotContains(t, string(got.Data), "phone")
	other := d.login(0, "grace", "grace's phone")
	var graces string
	for id := range d.store.ids {
		if strings.HasPrefix(id, "l") && len(id) == 33 && id != row {
			graces = id
		}
	}
	overwrite := func(id string, rec fallback.Record) {
		have, err := memory.Load(t.Context(), id)
		require.NoError(t, err)
		require.NoError(t, memory.Save(t.Context(), id, have.Revision, rec))
	}
	refused := func() int { return len(d.sites[0].events.of(middleware.EventRefused)) }

	overwrite(graces, got)
	require.Empty(t, d.list(0, "grace"), "moved to another user")
	require.Equal(t, 1, refused())
	forged := got
	forged.Revision, forged.Data = got.Revision.Next(), slices.Clone(got.Data)
	overwrite(row, forged)
	require.Empty(t, d.list(0, "ada"), "moved to another revision")
	forged = got
	forged.Revision, forged.Data = forged.Revision.Next(), []byte(other.jar.All()[0].Value)
	overwrite(row, forged)
	require.Empty(t, d.list(0, "ada"), "a cookie's value")
	require.Equal(t, 3, refused())
	d.login(0, "ada", "new")
	require.Equal(t, []string{"new"}, labels(d.list(0, "ada")), "the next login begins a new list")
}

// A list survives the rotation of keys.
func TestListAfterARotation(t *testing.T) {
	ring := newRing(t)
	keys := &replica{ring: ring, current: true}
	d := newDevices(t, 1, config(func(c *middleware.Config) { c.Keys = keys }))
	d.login(0, "ada", "before")
	rotated, _, err := ring.Rotate(noon, keyring.Policy{ActivateIn: -1})
	require.NoError(t, err)
	keys.mu.Lock()
	keys.ring = rotated
	keys.mu.Unlock()
	require.Equal(t, []string{"before"}, labels(d.list(0, "ada")))
	d.login(0, "ada", "after")
	require.Equal(t, []string{"after", "before"}, labels(d.list(0, "ada")))
}

// A replica that may lack a newer key does not replace a list that it cannot open.
func TestListOfANewerRing(t *testing.T) {
	old := newRing(t)
	newer, _, err := old.Rotate(noon, keyring.Policy{ActivateIn: -1})
	require.NoError(t, err)
	keys := &replica{ring: newer}
	d := newDevices(t, 1, config(func(c *middleware.Config) { c.Keys = keys }))
	d.login(0, "ada", "phone")

	keys.set(old, nil)
	_, err = d.sites[0].sessions.List(t.Context(), "ada")
	require.ErrorIs(t, err, reason.UnknownKey)
	require.Equal(t, 503, middleware.StatusOf(err))
	laptop := d.login(0, "ada", "laptop")
	require.Equal(t, "ada", laptop.who(), "the login succeeds")
	failed := slices.DeleteFunc(d.sites[0].events.of(middleware.EventStore), func(e middleware.Event) bool { return e.Detail != "list" })
	require.Len(t, failed, 1)
	require.Equal(t, reason.UnknownKey, failed[0].Reason)
	require.NotContains(t, failed[0].Err.Error(), "ada")
	require.NotContains(t, failed[0].Err.Error(), "laptop")

	keys.set(old, newer)
	require.Equal(t, []string{"phone"}, labels(d.list(0, "ada")), "the replica reads the newer ring")
	d.sites[0].clock.advance(time.Hour)
	laptop.get("/read")
	require.Equal(t, []string{"laptop", "phone"}, labels(d.list(0, "ada")), "a touch adds the login that was missed")
}

// If the source says that there is no such key, the list is lost, and a new one begins.
func TestListOfALostKey(t *testing.T) {
	keys := &replica{ring: newRing(t), current: true}
	d := newDevices(t, 1, config(func(c *middleware.Config) { c.Keys = keys }))
	d.login(0, "ada", "phone")
	keys.set(newRing(t), nil)
	require.Empty(t, d.list(0, "ada"))
	require.Len(t, d.sites[0].events.of(middleware.EventRefused), 1)
	d.login(0, "ada", "laptop")
	require.Equal(t, []string{"laptop"}, labels(d.list(0, "ada")))
}

// A label is cut where it is too long, and is always text.
func TestListLabels(t *testing.T) {
	for label, want := range map[string]string{
		"":                             "",
		strings.Repeat("é", 100):       strings.Repeat("é", 64),
		"x" + strings.Repeat("é", 100): "x" + strings.Repeat("é", 63),
		strings.Repeat("y", 2000):      strings.Repeat("y", 128),
		"\x00\x1b[2J\r\n<script>":      "\x00\x1b[2J\r\n<script>",
		"a\xff\xfe<b>":                 "a?<b>",
	} {
		d := newDevices(t, 1)
		b := d.login(0, "ada", label)
		require.Equal(t, "ada", b.who())
		require.Equal(t, []string{want}, labels(d.list(0, "ada")), "%q", label)
	}
}

// The longest subject works, and what is none is refused.
func TestListOfSubjects(t *testing.T) {
	d := newDevices(t, 1)
	long := strings.Repeat("x", 255)
	d.login(0, long, "phone")
	require.Equal(t, []string{"phone"}, labels(d.list(0, long)))
	for _, bad := range []string{"", long + "x"} {
		_, err := d.sites[0].sessions.List(t.Context(), bad)
		require.ErrorContains(t, err, "1 to 255 bytes")
	}
	off, _ := sharing(t, 1)
	_, err := off[0].sessions.List(t.Context(), "ada")
	require.ErrorContains(t, err, "Config.Fallback.List")
}

// What a list costs: a load and a save for each change, and nothing for other
// requests.
func TestCostOfAList(t *testing.T) {
	d := newDevices(t, 1)
	plain, plainStore := sharing(t, 1)
	calls := func(s *site, w *watched, path string) []string {
		w.since()
		s.get(path)
		return w.since()
	}
	b := d.browser(0)
	for _, c := range []struct {
		path  string
		after time.Duration
		extra int
	}{
		{"/bind?user=ada", 0, 2}, {"/read", 0, 0}, {"/set?user=x", 0, 0}, {"/x?label=phone", 0, 2},
		{"/read", time.Hour + time.Second, 2}, {"/login?user=ada", 0, 4}, {"/logout", 0, 2},
	} {
		b.clock.advance(c.after)
		plain[0].clock.advance(c.after)
		without := calls(plain[0], plainStore, strings.Replace(c.path, "/x?label=phone", "/set?user=y", 1))
		require.Len(t, calls(b, d.store, c.path), len(without)+c.extra, c.path)
	}
}
