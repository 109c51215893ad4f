package bench

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// A Scenario is what a request does with the session.
type Scenario string

// All scenarios but Anonymous send the visitor's session cookies.
const (
	Untouched Scenario = "untouched" // the handler does not use the session
	Read      Scenario = "read"      // the handler reads one key, the user
	Change    Scenario = "change"    // the handler changes one key, the CSRF token
	Anonymous Scenario = "anonymous" // the handler reads one key of a visitor without a session
	Seal      Scenario = "seal"      // the session's JSON is sealed, without a request
	Open      Scenario = "open"      // the sealed text is opened, without a request
)

// Scenarios lists the scenarios in the order of the tables.
var Scenarios = []Scenario{Untouched, Read, Change, Anonymous, Seal, Open}

// A Cell is a position in the table.
type Cell struct {
	Scenario   Scenario
	Size       Size
	Contestant Contestant
}

// String returns the name of the cell as in benchmarks: read/1KB/carryon.
func (c Cell) String() string {
	return string(c.Scenario) + "/" + c.Size.String() + "/" + c.Contestant.Name
}

// A Rig is a cell that is ready to run: a prepared request, a counting writer,
// and the handler. It is not safe for concurrent use.
type Rig struct {
	Cell
	WireBytes int // the session's cookies in the request, with names and "; "

	site     *Site
	do       func() // nil: call the handler
	handler  http.Handler
	prepared http.Request
	request  http.Request
	sink     sink
}

// othersCookies are the other cookies of a typical visitor.
const othersCookies = "_ga=GA1.2.1132045781.1767225600; theme=dark"

// NewRig builds and checks a cell; only correct responses are timed. It returns
// nil if the contestant does not support the scenario, [ErrDoesNotFit] if the
// session is too large, and [ErrAbsent] if a server is missing. Close the rig
// after use.
func NewRig(c Cell) (*Rig, error) {
	data, err := NewData(c.Size)
	if err != nil {
		return nil, err
	}
	site, err := c.Contestant.Build(data)
	if err != nil {
		return nil, err
	}
	rig := &Rig{Cell: c, site: site}
	preparing.Store(true)
	defer preparing.Store(false)
	takesPart, err := rig.prepare(data)
	if !takesPart || err != nil {
		rig.Close()
		return nil, err
	}
	return rig, nil
}

func (r *Rig) prepare(data Data) (takesPart bool, err error) {
	switch r.Scenario {
	case Seal:
		r.do = r.site.Seal
		return r.do != nil, nil
	case Open:
		r.do = r.site.Open
		return r.do != nil, nil
	}
	if r.handler = r.site.handler(r.Scenario); r.handler == nil {
		return false, nil
	}
	cookies := ""
	if r.site.Read != nil {
		if cookies, err = check(r.site, data, r.Contestant); err != nil {
			return false, err
		}
	}
	r.WireBytes = len(cookies)
	if r.Scenario == Anonymous {
		cookies = ""
	}
	r.prepared = *newRequest(r.Scenario, cookies)
	if own, ok := r.handler.(ownRequests); ok {
		r.do = own.ready(&r.prepared)
	}
	return true, nil
}

// Close frees the contestant's resources.
func (r *Rig) Close() {
	if r.site.Close != nil {
		r.site.Close()
	}
}

// ownRequests is a handler whose server does not use net/http. The method
// returns a function that serves a fresh copy of r as that server would.
type ownRequests interface {
	ready(r *http.Request) func()
}

func (s *Site) handler(scenario Scenario) http.Handler {
	switch scenario {
	case Read:
		return s.Read
	case Change:
		return s.Change
	case Anonymous:
		if s.Read == nil {
			return s.Untouched
		}
		return s.Read
	}
	return s.Untouched
}

// Do runs the scenario once. Each request is a fresh copy, as in a server:
// gorilla stores decoded sessions in the request.
func (r *Rig) Do() {
	if r.do != nil {
		r.do()
		return
	}
	r.request = r.prepared
	r.sink.reset()
	r.handler.ServeHTTP(&r.sink, &r.request)
}

// newRequest returns a request as net/http's server would build it.
func newRequest(scenario Scenario, cookies string) *http.Request {
	method := http.MethodGet
	if scenario == Change {
		method = http.MethodPost
	}
	header := http.Header{
		"Accept":     {"text/html,application/xhtml+xml"},
		"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0"},
		"Cookie":     {strings.TrimSuffix(othersCookies+"; "+cookies, "; ")},
	}
	r := &http.Request{
		Method: method, URL: &url.URL{Path: "/news"}, RequestURI: "/news",
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: http.NoBody, Host: "shop.example", RemoteAddr: "192.0.2.7:50123",
	}
	return r.WithContext(connection)
}

// connection is the context of a visitor's connection, which stays open.
var connection = func() context.Context {
	ctx := context.WithValue(context.Background(), http.ServerContextKey, new(http.Server))
	ctx, cancel := context.WithCancel(ctx)
	_ = cancel
	return ctx
}()

// A sink is a minimal http.ResponseWriter that keeps the last response.
type sink struct {
	header http.Header
	status int
	body   []byte
}

func (s *sink) reset() {
	if s.header == nil {
		s.header = make(http.Header, 8)
	}
	clear(s.header)
	s.status, s.body = 0, s.body[:0]
}

func (s *sink) Header() http.Header { return s.header }

func (s *sink) WriteHeader(status int) {
	if s.status == 0 && status >= 200 {
		s.status = status
	}
}

func (s *sink) Write(b []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	s.body = append(s.body, b...)
	return len(b), nil
}

// WriteString avoids a copy, like net/http's own writer.
func (s *sink) WriteString(text string) (int, error) {
	s.WriteHeader(http.StatusOK)
	s.body = append(s.body, text...)
	return len(text), nil
}
