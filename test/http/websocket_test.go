package http_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// greet responds to each message with the user's name. It tries to change the
// session at each message, and returns the resulting error.
func greet(r *http.Request, receive func() (string, error), send func(string) error) error {
	s := session.From(r.Context())
	for {
		message, err := receive()
		if err != nil {
			return s.Err()
		}
		name, _ := user.Get(s)
		room.Set(s, "too late")
		if err := send(message + " " + name); err != nil {
			return err
		}
	}
}

// coderSite sets the room in the session, and then upgrades with
// coder/websocket.
func coderSite(t *testing.T, ended chan<- error) *site {
	return newSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/enter" {
			room.Set(session.From(r.Context()), "lobby")
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			ended <- err
			return
		}
		defer conn.CloseNow()
		ended <- greet(r, func() (string, error) {
			_, p, err := conn.Read(context.Background())
			return string(p), err
		}, func(s string) error { return conn.Write(context.Background(), websocket.MessageText, []byte(s)) })
	}))
}

func TestCoderWebSocket(t *testing.T) {
	for path, want := range map[string]string{"/enter": "ada lobby", "/": "ada "} {
		t.Run(path, func(t *testing.T) {
			ended := make(chan error, 1)
			s := coderSite(t, ended)
			s.get("/login")
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			conn, response, err := websocket.Dial(ctx, s.URL+path, &websocket.DialOptions{HTTPClient: s.client})
			require.NoError(t, err)
			require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
			for range 3 {
				require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte("hello")))
				_, answer, err := conn.Read(ctx)
				require.NoError(t, err)
				require.Equal(t, "hello ada", string(answer))
			}
			require.Equal(t, want, s.read(), "the 101 must set the cookie while the socket is open")
			require.NoError(t, conn.Close(websocket.StatusNormalClosure, ""))
			require.ErrorIs(t, <-ended, session.ErrLate)
			require.Equal(t, 3, s.count(middleware.EventLateChange))
			require.Equal(t, want, s.read())
		})
	}
}

// The library responds to a request that is not an upgrade, and the session is
// kept.
func TestCoderWebSocketThatIsNone(t *testing.T) {
	ended := make(chan error, 1)
	s := coderSite(t, ended)
	response, _ := s.get("/enter")
	require.Equal(t, http.StatusUpgradeRequired, response.StatusCode)
	require.Error(t, <-ended)
	require.Equal(t, " lobby", s.read())
}

// gorillaSite is like coderSite with gorilla/websocket, which writes the 101
// itself.
func gorillaSite(t *testing.T, ended chan<- error) *site {
	return newSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/enter" {
			room.Set(session.From(r.Context()), "lobby")
		}
		upgrader := gorilla.Upgrader{}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			ended <- err
			return
		}
		defer conn.Close()
		ended <- greet(r, func() (string, error) {
			_, p, err := conn.ReadMessage()
			return string(p), err
		}, func(s string) error { return conn.WriteMessage(gorilla.TextMessage, []byte(s)) })
	}))
}

func TestGorillaWebSocket(t *testing.T) {
	ended := make(chan error, 1)
	s := gorillaSite(t, ended)
	s.get("/login")
	dialer := gorilla.Dialer{Jar: s.jar}
	conn, response, err := dialer.Dial("ws"+s.URL[len("http"):]+"/", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	for range 3 {
		require.NoError(t, conn.WriteMessage(gorilla.TextMessage, []byte("hello")))
		_, answer, err := conn.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "hello ada", string(answer))
	}
	require.NoError(t, conn.Close())
	require.ErrorIs(t, <-ended, session.ErrLate)
	require.Zero(t, s.count(middleware.EventHijacked), "the session has not changed")
	require.Equal(t, "ada ", s.read())
}

// The 101 of gorilla/websocket ignores the header map, so an earlier change to
// the session is lost. The change must be reported as an event, and the session
// must stay valid.
func TestGorillaWebSocketAfterAChange(t *testing.T) {
	ended := make(chan error, 1)
	s := gorillaSite(t, ended)
	s.get("/login")
	dialer := gorilla.Dialer{Jar: s.jar}
	conn, response, err := dialer.Dial("ws"+s.URL[len("http"):]+"/enter", nil)
	require.NoError(t, err)
	require.Empty(t, response.Header["Set-Cookie"])
	require.NoError(t, conn.Close())
	require.NoError(t, <-ended)
	require.Equal(t, 1, s.count(middleware.EventHijacked))
	require.Equal(t, "ada ", s.read())
}

func TestGorillaWebSocketThatIsNone(t *testing.T) {
	ended := make(chan error, 1)
	s := gorillaSite(t, ended)
	response, _ := s.get("/enter")
	require.Equal(t, http.StatusBadRequest, response.StatusCode)
	require.Error(t, <-ended)
	require.Equal(t, " lobby", s.read())
}
