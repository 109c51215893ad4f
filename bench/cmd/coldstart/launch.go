package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"time"
)

const event = `{"version":"2.0","routeKey":"$default","rawPath":"/","rawQueryString":"","headers":{"host":"x.example","user-agent":"x"},` +
	`"requestContext":{"domainName":"x.example","http":{"method":"GET","path":"/","protocol":"HTTP/1.1","sourceIp":"203.0.113.7"},` +
	`"requestId":"1","stage":"$default","timeEpoch":1705086238390},"isBase64Encoded":false}`

// launch starts a function, sends it one event, and ends it after its response.
func launch(file, keys string) (start, cpu time.Duration, err error) {
	answered := make(chan string, 1)
	asked := false
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			body, _ := io.ReadAll(r.Body)
			w.WriteHeader(http.StatusAccepted)
			answered <- string(body)
		case asked:
			<-r.Context().Done()
		default:
			asked = true
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "1")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(time.Minute).UnixMilli()))
			_, _ = io.WriteString(w, event)
		}
	}))
	defer api.Close()
	command := exec.Command(file)
	command.Env = environment(strings.TrimPrefix(api.URL, "http://"), keys)
	began := time.Now()
	if err := command.Start(); err != nil {
		return 0, 0, err
	}
	select {
	case body := <-answered:
		start = time.Since(began)
		if !strings.Contains(body, `"statusCode":200`) {
			err = fmt.Errorf("the function returned %s", body)
		}
	case <-time.After(time.Minute):
		err = fmt.Errorf("the function did not respond")
	}
	_ = command.Process.Kill()
	_ = command.Wait()
	api.CloseClientConnections()
	return start, command.ProcessState.UserTime() + command.ProcessState.SystemTime(), err
}
