package frameworks_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/carryon-go/carryon/session"
)

func init() { gin.SetMode(gin.ReleaseMode) }

func serveGin(t *testing.T, p *program) string {
	engine := gin.New()
	engine.ContextWithFallback = true // makes session.From(c) work, too
	engine.Use(gin.RecoveryWithWriter(io.Discard), ginErrors)
	engine.POST("/do/:step/:arg", func(c *gin.Context) {
		c.JSON(http.StatusOK, answer{do(session.From(c.Request.Context()), c.Param("step"), c.Param("arg"))})
	})
	engine.GET("/moved", func(c *gin.Context) {
		do(session.From(c), "count", "")
		c.Redirect(http.StatusSeeOther, "/elsewhere")
	})
	engine.GET("/fails", func(c *gin.Context) { _ = c.Error(errConflict) })
	engine.GET("/panics", func(c *gin.Context) {
		do(session.From(c), "count", "")
		panic("the handler has panicked")
	})
	engine.GET("/file", func(c *gin.Context) {
		do(session.From(c), "count", "")
		c.File(p.file)
	})
	engine.GET("/stream", func(c *gin.Context) { ginStream(c, p) })
	engine.GET("/guarded", ginGuard, func(c *gin.Context) { c.String(http.StatusOK, do(session.From(c), "count", "")) })
	engine.GET("/proxy/*path", gin.WrapF(p.proxy))
	engine.GET("/socket", gin.WrapF(p.socket))
	engine.Group("/admin").GET("/", func(c *gin.Context) { do(session.From(c), "login", "root") })

	mux := http.NewServeMux() // gin's groups cannot wrap its writer, so the path selects the group
	mux.Handle("/", p.sessions.Handler(engine))
	mux.Handle("/admin/", p.admin.Handler(engine))
	return serve(t, mux)
}

// ginErrors responds for handlers that recorded an error.
func ginErrors(c *gin.Context) {
	c.Next()
	if len(c.Errors) > 0 {
		c.String(http.StatusConflict, "sorry, "+do(session.From(c), "count", ""))
	}
}

// ginGuard aborts requests of visitors who are not logged in.
func ginGuard(c *gin.Context) {
	if _, ok := user.Get(session.From(c)); !ok {
		c.AbortWithStatusJSON(http.StatusUnauthorized, gin.H{"error": "login required"})
	}
}

// ginStream uses gin's Stream, which needs CloseNotify of the writer.
func ginStream(c *gin.Context, p *program) {
	do(session.From(c), "count", "")
	c.Header("Content-Type", "text/event-stream")
	parts := make(chan string)
	done := make(chan bool)
	go func() {
		p.parts(func(part string) { parts <- part; <-done })
		close(parts)
	}()
	written := false
	c.Stream(func(w io.Writer) bool {
		if written {
			done <- true // gin has flushed the part
		}
		part, more := <-parts
		_, _ = io.WriteString(w, part)
		written = more
		return more
	})
}
