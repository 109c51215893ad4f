package lambdasession_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/middleware/lambdasession"
	"github.com/carryon-go/carryon/session"
)

const visits session.Key[int] = "visits"

func count(w http.ResponseWriter, r *http.Request) {
	s := session.From(r.Context())
	visits.Update(s, func(n int) int { return n + 1 })
	n, _ := visits.Get(s)
	fmt.Fprintf(w, "visit %d\n", n)
}

func Example() {
	keys, err := keyring.Open(context.Background(), keyring.Env("CARRYON_KEYS"))
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := middleware.New(middleware.Config{Keys: keys, Platform: middleware.APIGateway})
	if err != nil {
		log.Fatal(err)
	}
	lambdasession.Start(sessions.Handler(http.HandlerFunc(count)))
}

func ExampleHandler() {
	flush := func() { log.Print("the process ends") }
	lambda.StartWithOptions(lambdasession.Handler(http.HandlerFunc(count)), lambda.WithEnableSIGTERM(flush))
}

func ExampleEventFrom() {
	http.HandleFunc("/who", func(w http.ResponseWriter, r *http.Request) {
		e, ok := lambdasession.EventFrom(r.Context()).(*events.APIGatewayV2HTTPRequest)
		if !ok || e.RequestContext.Authorizer == nil || e.RequestContext.Authorizer.JWT == nil {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		fmt.Fprintln(w, e.RequestContext.Authorizer.JWT.Claims["sub"])
	})
}
