package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
)

// A target is a URL to ask, and the address to connect to instead of that of
// its host.
type target struct {
	url     *url.URL
	address netip.Addr // invalid: that of the host
}

// String returns the URL without a password, and the address if there is one.
func (t target) String() string {
	if t.address.IsValid() {
		return t.url.Redacted() + " (" + t.address.String() + ")"
	}
	return t.url.Redacted()
}

// lookup is a variable so that tests can replace it.
var lookup = net.DefaultResolver.LookupNetIP

// resolve returns a target for each address of the URL's host.
func resolve(ctx context.Context, at *url.URL) (targets []target, err error) {
	addresses, err := lookup(ctx, "ip", at.Hostname())
	for _, a := range addresses {
		targets = append(targets, target{at, a.Unmap()})
	}
	return targets, err
}

// ask gets a replica's report. It follows no redirect, because another server
// than the replica would answer.
func (t target) ask(ctx context.Context) (fleetReport, error) {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxReport,
	}
	if t.address.IsValid() {
		transport.Proxy, transport.DialContext = nil, t.dial
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url.String(), nil)
	if err != nil {
		return fleetReport{}, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return fleetReport{}, withoutURL(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fleetReport{}, fmt.Errorf("the status is %d", answer.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxReport+1))
	if err != nil {
		return fleetReport{}, withoutURL(err)
	}
	return parseReport(text)
}

// dial connects to the address of the target, at the port of its URL.
func (t target) dial(ctx context.Context, network, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	return d.DialContext(ctx, network, net.JoinHostPort(t.address.String(), port))
}

// withoutURL removes the URL from an error, because it is printed already.
func withoutURL(err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		err = e.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("it takes too long; see --timeout")
	}
	return err
}
