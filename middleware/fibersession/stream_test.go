package fibersession_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"testing"

	gorilla "github.com/fasthttp/websocket"
	"github.com/gofiber/contrib/v3/websocket"
	"github.com/gofiber/fiber/v3"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

// events is a server-sent stream that writes to the session continuously.
func events(arrived <-chan bool, ended chan<- error, save bool) fiber.Handler {
	return func(c fiber.Ctx) error {
		s := session.From(c)
		room.Set(s, "lobby")
		c.Set("Content-Type", "text/event-stream")
		return c.SendStreamWriter(func(w *bufio.Writer) {
			for range 2 {
				_, _ = w.WriteString("data: x\n\n")
				if w.Flush() != nil {
					return
				}
				<-arrived
			}
			name, _ := user.Get(s)
			room.Set(s, "after "+name)
			if err := s.Err(); !save || err != nil {
				ended <- err
				return
			}
			ended <- s.Save(context.Background())
		})
	}
}

func readEvents(t *testing.T, s *site, arrived chan<- bool) {
	response, err := s.client.Get(s.url + "/events")
	require.NoError(t, err)
	defer response.Body.Close()
	require.NotEmpty(t, response.Header["Set-Cookie"], "before the stream has ended")
	lines := bufio.NewReader(response.Body)
	for range 2 {
		for _, want := range []string{"data: x\n", "\n"} {
			line, err := lines.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, want, line)
		}
		arrived <- true
	}
	_, err = io.ReadAll(lines)
	require.NoError(t, err)
}

func TestStream(t *testing.T) {
	arrived, ended := make(chan bool), make(chan error, 1)
	s := newSite(t, setup{}, func(app *fiber.App) { app.Get("/events", events(arrived, ended, false)) })
	s.get("/login")
	readEvents(t, s, arrived)
	require.ErrorIs(t, <-ended, session.ErrLate)
	require.Equal(t, 1, s.count(middleware.EventLateChange))
	require.Equal(t, "ada lobby", s.read())
}

func TestStreamOfAStoredSession(t *testing.T) {
	arrived, ended := make(chan bool), make(chan error, 1)
	config := middleware.Config{Fallback: middleware.Fallback{Store: newFaulty(t), Mode: middleware.AlwaysStored}}
	s := newSite(t, setup{config: config}, func(app *fiber.App) { app.Get("/events", events(arrived, ended, true)) })
	s.get("/login")
	readEvents(t, s, arrived)
	require.NoError(t, <-ended)
	require.Equal(t, "ada after ada", s.read())
}

func TestWebSocket(t *testing.T) {
	ended := make(chan error, 1)
	s := newSite(t, setup{}, func(app *fiber.App) {
		app.Get("/ws", func(c fiber.Ctx) error {
			one := session.From(c)
			room.Set(one, "lobby")
			return websocket.New(func(conn *websocket.Conn) { ended <- greet(conn, one) })(c)
		})
	})
	s.get("/login")
	dialer := gorilla.Dialer{Jar: s.jar}
	conn, response, err := dialer.Dial("ws"+s.url[len("http"):]+"/ws", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	require.NotEmpty(t, response.Header["Set-Cookie"])
	for range 3 {
		require.NoError(t, conn.WriteMessage(gorilla.TextMessage, []byte("hello")))
		_, answer, err := conn.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "hello ada", string(answer))
	}
	require.Equal(t, "ada lobby", s.read(), "the 101 carries the cookie, while the socket is open")
	require.NoError(t, conn.Close())
	require.ErrorIs(t, <-ended, session.ErrLate)
	require.Equal(t, 3, s.count(middleware.EventLateChange))
	require.Equal(t, "ada lobby", s.read())

	response, _ = s.get("/ws")
	require.Equal(t, http.StatusUpgradeRequired, response.StatusCode, "a request without an upgrade is refused")
}

func greet(conn *websocket.Conn, s *session.Session) error {
	for {
		_, message, err := conn.ReadMessage()
		if err != nil {
			return s.Err()
		}
		name, _ := user.Get(s)
		room.Set(s, "too late")
		if err := conn.WriteMessage(websocket.TextMessage, append(message, " "+name...)); err != nil {
			return err
		}
	}
}
