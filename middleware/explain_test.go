package middleware_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

func (s *site) explain(cookies string) middleware.Explanation {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.URL, nil)
	require.NoError(s.t, err)
	if cookies != "" {
		r.Header.Set("Cookie", cookies)
	}
	return s.sessions.Explain(r)
}

func TestExplain(t *testing.T) {
	s := newSite(t, app)
	e := s.explain("")
	require.Equal(t, reason.Absent, e.Reason)
	require.Empty(t, e.Refused)

	s.get("/set?user=ada")
	s.events.forget()
	e = s.explain(s.header())
	require.Equal(t, reason.None, e.Reason)
	require.Len(t, e.SessionID, 22)
	require.Len(t, e.Cookies, 1)
	require.True(t, e.Cookies[0].Counts)
	require.Empty(t, s.events.of(""), "it is no request of a visitor's")

	value := s.cookie().Name + "=" + s.cookie().Value
	changed := value[:len(value)-1] + "A"
	if changed == value {
		changed = value[:len(value)-1] + "Q"
	}
	for cookies, want := range map[string]reason.Reason{
		changed:                      reason.BadSeal,
		value[:len(value)-8]:         reason.Torn,
		s.cookie().Name + "=!!":      reason.WrongLength,
		s.cookie().Name + "=" + "AA": reason.WrongLength,
	} {
		e = s.explain(cookies)
		require.Equal(t, want, e.Reason, cookies)
		require.Equal(t, []middleware.Refusal{{Reason: want, Tag: strings.TrimPrefix(s.cookie().Name, "__Host-session.")}}, e.Refused, cookies)
	}

	other := newSite(t, app)
	e = other.explain(value)
	require.Equal(t, reason.UnknownKey, e.Reason)
	require.Len(t, e.Refused[0].KeyID, 8)

	s.clock.advance(3 * time.Hour)
	e = s.explain(value)
	require.Equal(t, reason.ExpiredIdle, e.Reason)
	require.Equal(t, reason.ExpiredIdle, e.Refused[0].Reason)
}

// A handler that only explains answers, even if the session cannot be loaded.
func TestExplainDoesNotFailTheResponse(t *testing.T) {
	store := &watched{ids: map[string]bool{}, Store: mem(t, func() time.Time { return noon })}
	told := &events{}
	m := newSessions(t, func(c *middleware.Config) {
		c.Fallback.Store, c.Fallback.Mode, c.Observer = store, middleware.AlwaysStored, told.observe
	})
	jar := newJar()
	write(t, m, jar, fill("big", 1000))()
	store.fail(errors.New("connection refused"))
	told.forget()
	ctx, x := m.Begin(t.Context(), middleware.Request{Method: http.MethodGet, Cookies: []string{jar.Header("")}})
	e := m.Explain((&http.Request{}).WithContext(ctx))
	require.Equal(t, reason.StoreDown, e.Reason)
	require.ErrorIs(t, e.Err, session.ErrStoreDown)
	fields, err := x.Commit(ctx, middleware.Response{Status: 200})
	require.NoError(t, err)
	require.Empty(t, fields.SetCookie)
	require.Empty(t, told.of(middleware.EventFailed))
}

func TestExplainAStoreThatIsDown(t *testing.T) {
	s, store := storedSite(t)
	s.grow("a", 60_000)
	store.fail(errors.New("connection refused"))
	e := s.explain(s.header())
	require.Equal(t, reason.StoreDown, e.Reason)
	require.ErrorIs(t, e.Err, session.ErrStoreDown)
	require.Equal(t, reason.StoreDown, e.Refused[0].Reason)
	require.ErrorContains(t, e.Refused[0].Err, "connection refused")
	require.NotZero(t, e.StoreCalls)
}
