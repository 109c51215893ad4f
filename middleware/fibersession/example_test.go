package fibersession_test

import (
	"fmt"
	"io"
	"log"
	"net/http"

	"github.com/gofiber/fiber/v3"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/fibersession"
	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

func Example() {
	const size = fibersession.ReadBufferSize
	const visits session.Key[int] = "visits"

	app := fiber.New(fiber.Config{ReadBufferSize: size})
	sessions, err := middleware.New(middleware.Config{
		Keys:   exampleKeys, // in a program: keyring.Open(ctx, keyring.File("session-keys.json"))
		Limits: fibersession.Limits(middleware.Default, size),
	})
	if err != nil {
		log.Fatal(err)
	}
	handler, err := fibersession.New(app, sessions)
	if err != nil {
		log.Fatal(err)
	}
	app.Use(handler)
	app.Get("/", func(c fiber.Ctx) error {
		s := session.From(c)
		visits.Update(s, func(n int) int { return n + 1 })
		n, _ := visits.Get(s)
		return c.SendString(fmt.Sprintf("visit %d", n))
	})

	var jar sessiontest.Jar // a browser
	for range 2 {
		request := jar.Request(http.MethodGet, "/", nil)
		response, err := app.Test(request)
		if err != nil {
			log.Fatal(err)
		}
		jar.Receive(request, response.Header)
		body, _ := io.ReadAll(response.Body)
		fmt.Println(string(body))
	}
	// Output:
	// visit 1
	// visit 2
}

var exampleKeys = keyring.Ephemeral()
