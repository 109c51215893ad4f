// Package mongotest is a server for tests: it speaks MongoDB's protocol over
// real sockets, with the real driver at the other end, and does what a store
// of sessions asks of MongoDB. It is no MongoDB.
//
// It is strict: a command, an operator, an option or a field that it does not
// know is an error, so that a test cannot pass because something was ignored.
// It is also what a real one is not: it fails or drops a command that a test
// has chosen, before or after it was carried out, and its clock can be set.
package mongotest

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// setName is the name of the replica set that a server is the only member of.
const setName = "rs0"

// Options says how a [Server] is made. The zero value is a replica set of one
// member on a free port of 127.0.0.1.
type Options struct {
	Address    string           // "" means a free port of 127.0.0.1
	Standalone bool             // no member of a replica set
	Clock      func() time.Time // nil means time.Now
}

// Server is a running server. Its methods may be called by many goroutines.
type Server struct {
	opt      Options
	listener net.Listener
	handlers sync.WaitGroup
	closed   chan struct{}

	mu          sync.Mutex // over all that follows: each command is one step
	conns       map[net.Conn]bool
	collections map[string]*collection
	answered    map[string]bson.Raw // what retryable writes were answered
	faults      map[string][]Fault
	commands    []Command
}

// collection is what is under a name.
type collection struct {
	docs    map[string]bson.Raw // by their _id
	indexes []bson.Raw
}

// Start starts a server.
func Start(o Options) (*Server, error) {
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	listener, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, err
	}
	s := &Server{opt: o, listener: listener, closed: make(chan struct{}), conns: map[net.Conn]bool{},
		collections: map[string]*collection{}, answered: map[string]bson.Raw{}, faults: map[string][]Fault{}}
	s.handlers.Go(s.accept)
	return s, nil
}

// URI is where the driver finds it.
func (s *Server) URI() string {
	uri := "mongodb://" + s.address() + "/"
	if !s.opt.Standalone {
		uri += "?replicaSet=" + setName
	}
	return uri
}

func (s *Server) address() string { return s.listener.Addr().String() }

// Close ends it, with all its connections. It may be called again.
func (s *Server) Close() {
	s.mu.Lock()
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	s.mu.Unlock()
	_ = s.listener.Close()
	s.DropConns()
	s.handlers.Wait()
}

// DropConns breaks every connection there is.
func (s *Server) DropConns() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.Close()
	}
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		if !s.open(conn) {
			_ = conn.Close()
			return
		}
		s.handlers.Go(func() {
			defer s.forget(conn)
			s.serve(conn)
		})
	}
}

// open remembers a connection, unless the server has been closed.
func (s *Server) open(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		return false
	default:
		s.conns[conn] = true
		return true
	}
}

func (s *Server) forget(conn net.Conn) {
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// serve answers the messages of a connection, one after the other.
func (s *Server) serve(conn net.Conn) {
	for {
		msg, err := readMessage(conn)
		if err != nil {
			return
		}
		reply, err := s.answer(msg.command)
		if err != nil {
			return // as the fault says
		}
		if _, err := conn.Write(msg.reply(reply)); err != nil {
			return
		}
	}
}

var errDrop = errors.New("the connection is to be dropped")

// Docs gives the documents of a collection, "db.name", in no order.
func (s *Server) Docs(namespace string) (docs []bson.Raw) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.collections[namespace]; c != nil {
		for _, doc := range c.docs {
			docs = append(docs, bytes.Clone(doc))
		}
	}
	return docs
}
