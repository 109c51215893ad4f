package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/examples/awssecretsmanager/managertest"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/sessiontest"
)

func TestMain(m *testing.M) { managertest.Main(m, main) }

const patience = 30 * time.Second

// environment returns the environment of a Cloud Run service on this machine.
func environment(t *testing.T) []string {
	ring, err := keyring.Generate(time.Now())
	require.NoError(t, err)
	text, err := ring.Marshal()
	require.NoError(t, err)
	return []string{"CARRYON_KEYS=" + string(text), "PORT=0", "HOST=127.0.0.1", "K_SERVICE=notes"}
}

// A request that is running when the instance stops is finished, and its
// session exists on the next instance.
func TestRequestUnderWayAtSIGTERM(t *testing.T) {
	env := environment(t)
	p := managertest.Start(t, env)
	u, err := url.Parse(p.URL)
	require.NoError(t, err)
	conn, err := net.Dial("tcp", u.Host)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	require.NoError(t, err)
	answer := bufio.NewReader(conn)
	line, err := answer.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "100 Continue", "the handler is reading")
	_, err = answer.ReadString('\n')
	require.NoError(t, err)

	ended := make(chan int, 1)
	go func() { ended <- p.Stop() }() // sends SIGTERM and waits
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", u.Host)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	}, patience, 10*time.Millisecond, "no new connections are accepted")
	_, err = io.WriteString(conn, "hello")
	require.NoError(t, err)
	response, err := http.ReadResponse(answer, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, response.StatusCode)
	require.Zero(t, <-ended)

	next := managertest.Start(t, env)
	jar := &sessiontest.Jar{URL: next.URL}
	for _, cookie := range response.Header["Set-Cookie"] {
		require.True(t, jar.Set(cookie))
	}
	require.Equal(t, "hello", read(t, &http.Client{Jar: jar, Timeout: patience}, next.URL))
	require.Zero(t, next.Stop())
}

func TestServiceWithoutKeysDoesNotStart(t *testing.T) {
	p := managertest.Start(t, []string{"PORT=0", "HOST=127.0.0.1"})
	require.Empty(t, p.URL)
	require.Equal(t, 1, p.Stop())
	require.Contains(t, p.Log(), "CARRYON_KEYS is not set")
}

func read(t *testing.T, client *http.Client, url string) string {
	response, err := client.Get(url)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode)
	return string(body)
}
