// Package mongotest is a server for tests of a session store. It speaks
// MongoDB's protocol over real sockets with the real driver, and supports only
// the commands of the store. It is not a MongoDB.
//
// The server is strict: an unknown command, operator, option or field is an
// error, so that a test cannot pass because something was ignored. A test can
// make it fail or drop a command before or after execution, and can set its
// clock.
package mongotest

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// setName is the name of the replica set, of which the server is the only
// member.
const setName = "rs0"

// Options configures a [Server]. The zero value is a replica set of one member
// on a free port of 127.0.0.1.
type Options struct {
	Address    string           // "" means a free port of 127.0.0.1
	Standalone bool             // not a member of a replica set
	Clock      func() time.Time // nil means time.Now
}

// Server is a running server. Its methods are safe for concurrent use.
type Server struct {
	opt      Options
	listener net.Listener
	handlers sync.WaitGroup
	closed   chan struct{}

	mu          sync.Mutex // guards the following fields: each command is atomic
	conns       map[net.Conn]bool
	collections map[string]*collection
	answered    map[string]bson.Raw // answers to retryable writes
	faults      map[string][]Fault
	commands    []Command
}

// collection is a collection of documents.
type collection struct {
	docs    map[string]bson.Raw // by _id
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

// URI returns the connection string for the driver.
func (s *Server) URI() string {
	uri := "mongodb://" + s.address() + "/"
	if !s.opt.Standalone {
		uri += "?replicaSet=" + setName
	}
	return uri
}

func (s *Server) address() string { return s.listener.Addr().String() }

// Close stops the server and closes all its connections. It may be called
// again.
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

// DropConns closes all current connections.
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

// open registers a connection, unless the server has been closed.
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

// serve answers the messages of a connection in order.
func (s *Server) serve(conn net.Conn) {
	for {
		msg, err := readMessage(conn)
		if err != nil {
			return
		}
		reply, err := s.answer(msg.command)
		if err != nil {
			return // the fault closes the connection
		}
		if _, err := conn.Write(msg.reply(reply)); err != nil {
			return
		}
	}
}

var errDrop = errors.New("the connection must be closed")

// Docs returns the documents of a collection, "db.name", in no particular
// order.
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
