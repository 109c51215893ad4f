package frameworks_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

func TestJSON(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		response, text := s.do("login", "ada")
		require.Equal(t, "ada 0 0", text)
		require.Len(t, response.Header["Set-Cookie"], 1)
		require.Equal(t, []string{"private, no-store"}, response.Header["Cache-Control"])
		require.Equal(t, "ada 0 0", s.read())
	})
}

func TestNoSuchRoute(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.do("login", "ada")
		response, _ := s.send(http.MethodGet, "/nowhere")
		require.Equal(t, http.StatusNotFound, response.StatusCode)
		for _, field := range []string{"Set-Cookie", "Vary", "Cache-Control"} {
			require.Empty(t, response.Header[field], "no handler used the session")
		}
		require.Equal(t, "ada 0 0", s.read())
	})
}

func TestRedirectAfterAChange(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		response, _ := s.send(http.MethodGet, "/moved")
		require.Equal(t, http.StatusSeeOther, response.StatusCode)
		require.Equal(t, "/elsewhere", response.Header.Get("Location"))
		require.Equal(t, " 0 1", s.read())
	})
}

// The framework's error page can read and change the session.
func TestErrorPage(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.do("login", "ada")
		response, body := s.send(http.MethodGet, "/fails")
		require.Equal(t, http.StatusConflict, response.StatusCode)
		require.Equal(t, "sorry, ada 0 1", strings.TrimSpace(body))
		require.Equal(t, "ada 0 1", s.read())
	})
}

// A recovered panic is an ordinary response, and its changes are committed.
func TestRecoveredPanic(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.do("login", "ada")
		response, _ := s.send(http.MethodGet, "/panics")
		require.Equal(t, http.StatusInternalServerError, response.StatusCode)
		require.Equal(t, "ada 0 1", s.read())
	})
}

func TestGuardAborts(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		response, body := s.send(http.MethodGet, "/guarded")
		require.Equal(t, http.StatusUnauthorized, response.StatusCode)
		require.Contains(t, body, "login required")
		require.Empty(t, response.Header["Set-Cookie"])
		s.do("login", "ada")
		response, body = s.send(http.MethodGet, "/guarded")
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.Equal(t, "ada 0 1", body)
	})
}

func TestFile(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		response, body := s.send(http.MethodGet, "/file")
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.Equal(t, "a file", body)
		response, body = s.send(http.MethodGet, "/file", "If-Modified-Since", response.Header.Get("Last-Modified"))
		require.Equal(t, http.StatusNotModified, response.StatusCode)
		require.Empty(t, body)
		require.Equal(t, " 0 2", s.read())
	})
}

// The first byte carries the cookie, and the stream is not buffered.
func TestStream(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		response, err := s.client.Get(s.url + "/stream")
		require.NoError(t, err)
		defer response.Body.Close()
		require.NotEmpty(t, response.Header["Set-Cookie"])
		lines := bufio.NewReader(response.Body)
		for i := range 2 {
			for _, want := range []string{"data: x\n", "\n"} {
				line, err := lines.ReadString('\n')
				require.NoError(t, err)
				require.Equal(t, want, line)
			}
			if i == 0 {
				require.Equal(t, " 0 1", s.read(), "during the stream")
			}
			s.arrived <- true
		}
	})
}

func TestWebSocket(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.do("login", "ada")
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		conn, response, err := websocket.Dial(ctx, s.url+"/socket", &websocket.DialOptions{HTTPClient: s.client})
		require.NoError(t, err)
		require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
		for range 3 {
			require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte("hello")))
			_, text, err := conn.Read(ctx)
			require.NoError(t, err)
			require.Equal(t, "hello ada 0 1", string(text))
		}
		require.Equal(t, "ada 0 1", s.read(), "the 101 must set the cookie")
		require.NoError(t, conn.Close(websocket.StatusNormalClosure, ""))
		require.ErrorIs(t, <-s.ended, session.ErrLate)
		require.Equal(t, 3, s.count(middleware.EventLateChange))
		require.Equal(t, "ada 0 1", s.read())
	})
}

func TestReverseProxy(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.do("login", "ada")
		response, body := s.send(http.MethodGet, "/proxy/x")
		require.Equal(t, http.StatusTeapot, response.StatusCode)
		require.Equal(t, "backend", body)
		require.Equal(t, []string{"private, no-store"}, response.Header["Cache-Control"])
		require.Equal(t, "Accept-Encoding, Cookie", strings.Join(response.Header["Vary"], ", "))
		require.Contains(t, s.jar.Names(), "theme")
		require.Equal(t, 1, s.count(middleware.EventUncached))
		require.Equal(t, "ada 0 1", s.read())
	})
}

// A group has its own sessions. They do not affect other sessions.
func TestGroup(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.do("login", "ada")
		response, _ := s.send(http.MethodGet, "/admin/")
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.Len(t, response.Header["Set-Cookie"], 1)
		require.True(t, strings.HasPrefix(response.Header["Set-Cookie"][0], "__Host-admin."))
		require.Len(t, s.jar.Names(), 2)
		require.Equal(t, "ada 0 0", s.read())
	})
}
