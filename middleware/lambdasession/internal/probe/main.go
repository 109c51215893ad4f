// Command probe is a Lambda function for this module's tests. Its handlers
// wait, fail, and stream. With STREAM=1 it streams where it can.
package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/carryon-go/carryon/middleware/lambdasession"
)

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", hello)
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("secret") })
	mux.HandleFunc("/slow", slow)
	mux.HandleFunc("/gate", gate)
	mux.HandleFunc("/cut", cut)
	mux.HandleFunc("/patient", patient)
	var list []lambdasession.Option
	if os.Getenv("STREAM") != "" {
		list = append(list, lambdasession.Stream(lambdasession.FunctionURL, lambdasession.REST))
	}
	lambdasession.Start(mux, list...)
}

// hello writes the request id and the cookies.
func hello(w http.ResponseWriter, r *http.Request) {
	c, _ := lambdacontext.FromContext(r.Context())
	_, xray := r.Context().Value("x-amzn-trace-id").(string)
	http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
	fmt.Fprintf(w, "%s %t %s\n", c.AwsRequestID, xray, r.Header.Get("Cookie"))
}

// slow responds when its time is over.
func slow(w http.ResponseWriter, r *http.Request) {
	<-r.Context().Done()
	http.Error(w, r.Context().Err().Error(), http.StatusServiceUnavailable)
}

// gate sends one part, waits for a page, and sends the rest.
func gate(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Set-Cookie", "a=1")
	w.Header().Add("Set-Cookie", "b=2")
	_, _ = io.WriteString(w, "first ")
	w.(http.Flusher).Flush()
	page, err := http.Get(r.URL.Query().Get("url"))
	if err != nil {
		panic(err)
	}
	defer page.Body.Close()
	_, _ = io.Copy(w, page.Body)
}

// cut panics after its response has started.
func cut(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "begun")
	w.(http.Flusher).Flush()
	panic(errors.New("secret"))
}

// patient sends half its response before its time is over, and half after.
func patient(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, "half ")
	w.(http.Flusher).Flush()
	<-r.Context().Done()
	_, _ = io.WriteString(w, "whole")
}
