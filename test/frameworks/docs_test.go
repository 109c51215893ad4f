package frameworks_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gofiber/contrib/v3/websocket"
	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/labstack/echo/v5"
	echomiddleware "github.com/labstack/echo/v5/middleware"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/fibersession"
	"github.com/carryon-go/carryon/session"
)

// These functions contain the lines of docs/frameworks.md, so that they
// compile. The other tests run programs of the same form.
var _ = []any{docsChi, docsGin, docsEcho, docsFiber, guard}

func docsChi(r chi.Router, adminSessions *middleware.Sessions) {
	r.Route("/admin", func(r chi.Router) {
		r.Use(adminSessions.Handler)
		r.Get("/", admin)
	})
}

func docsGin(sessions, adminSessions *middleware.Sessions) {
	engine := gin.New()
	engine.ContextWithFallback = true // then session.From(c) does, too
	engine.Use(gin.Recovery())
	_ = http.ListenAndServe(":8080", sessions.Handler(engine)) // in place of engine.Run

	mux := http.NewServeMux()
	mux.Handle("/", sessions.Handler(engine))
	mux.Handle("/admin/", adminSessions.Handler(engine))
}

func guard(c *gin.Context) {
	if _, ok := user.Get(session.From(c)); !ok {
		c.AbortWithStatusJSON(http.StatusUnauthorized, gin.H{"error": "login required"})
	}
}

func docsEcho(sessions, adminSessions *middleware.Sessions) {
	e := echo.New()
	e.Use(echomiddleware.Recover())
	_ = http.ListenAndServe(":8080", sessions.Handler(e)) // in place of e.Start

	e.Group("/admin", withSession(adminSessions))
}

func docsFiber(keys keyring.Provider, chat func(*websocket.Conn, *session.Session)) error {
	app := fiber.New(fiber.Config{ReadBufferSize: fibersession.ReadBufferSize}) // 16 KiB
	sessions, err := middleware.New(middleware.Config{
		Keys:   keys,
		Limits: fibersession.Limits(middleware.Default, fibersession.ReadBufferSize),
	})
	if err != nil {
		return err
	}
	handler, err := fibersession.New(app, sessions)
	if err != nil {
		return err
	}
	app.Use(handler, recover.New())

	app.Get("/ws", func(c fiber.Ctx) error {
		s := session.From(c)
		return websocket.New(func(conn *websocket.Conn) { chat(conn, s) })(c)
	})
	return nil
}

func TestDocumentedLinesAreTheseLines(t *testing.T) {
	page, err := os.ReadFile("../../docs/frameworks.md")
	require.NoError(t, err)
	var code []string // the compiled lines
	for _, file := range []string{"echo_test.go", "docs_test.go", "rpc_test.go"} {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		code = append(code, trimmed(string(source))...)
	}
	blocks := strings.Split(string(page), "```go\n")[1:]
	require.Len(t, blocks, 9)
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		rest := code
		for _, line := range trimmed(block) {
			at := slices.Index(rest, line)
			require.GreaterOrEqual(t, at, 0, "this file lacks the line, or has it in another order: %s", line)
			rest = rest[at+1:]
		}
	}
}

func trimmed(text string) (lines []string) {
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimPrefix(strings.TrimSpace(line), "_ = "); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
