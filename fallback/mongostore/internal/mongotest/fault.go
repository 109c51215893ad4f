package mongotest

import (
	"bytes"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Fault replaces the answer to a command.
type Fault struct {
	After bool            // the command is executed first
	Reply bson.D          // the answer; nil means that the connection is closed
	Hold  <-chan struct{} // wait until this is closed; nil means no wait
}

// Inject makes the next commands with the given name fail, one for each fault.
// With the zero Fault, the connection is closed before the command is
// executed.
func (s *Server) Inject(command string, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[command] = append(s.faults[command], faults...)
}

// Pending returns the number of faults that have not happened.
func (s *Server) Pending() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, faults := range s.faults {
		n += len(faults)
	}
	return n
}

// ErrorReply returns the answer to a command that failed as a whole.
func ErrorReply(code int32, name, message string, labels ...string) bson.D {
	reply := bson.D{{Key: "ok", Value: 0.0}, {Key: "errmsg", Value: message}, {Key: "code", Value: code}, {Key: "codeName", Value: name}}
	if len(labels) > 0 {
		reply = append(reply, bson.E{Key: "errorLabels", Value: labels})
	}
	return reply
}

// Command is a received command.
type Command struct {
	Name string
	Doc  bson.Raw
}

// Commands returns all commands since the last call, in order, without those
// with which the driver monitors the server.
func (s *Server) Commands() []Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	commands := s.commands
	s.commands = nil
	return commands
}

// arrived records a command and returns its fault.
func (s *Server) arrived(name string, doc bson.Raw) (f Fault, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !watching[name] {
		s.commands = append(s.commands, Command{name, bytes.Clone(doc)})
	}
	list := s.faults[name]
	if len(list) == 0 {
		return f, false
	}
	s.faults[name] = list[1:]
	return list[0], true
}

// watching lists the commands with which the driver monitors the server.
var watching = map[string]bool{"hello": true, "isMaster": true, "ismaster": true, "endSessions": true}

// happen returns the answer of a fault, or an error that closes the
// connection.
func (s *Server) happen(f Fault) (bson.Raw, error) {
	if f.Hold != nil {
		select {
		case <-f.Hold:
		case <-s.closed:
		}
	}
	if f.Reply == nil {
		return nil, errDrop
	}
	return bson.Marshal(f.Reply)
}
