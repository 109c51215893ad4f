package mongotest

import (
	"bytes"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Fault is what happens to a command instead of its answer.
type Fault struct {
	After bool            // it happens when the command has been carried out
	Reply bson.D          // the answer; nil means that the connection is dropped
	Hold  <-chan struct{} // it happens when this is closed; nil means at once
}

// Inject lets the next commands of a name, one for each fault, end in it. The
// zero Fault's place is before the command was carried out.
func (s *Server) Inject(command string, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[command] = append(s.faults[command], faults...)
}

// Pending says how many faults have not happened.
func (s *Server) Pending() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, faults := range s.faults {
		n += len(faults)
	}
	return n
}

// ErrorReply is the answer to a command that failed as a whole.
func ErrorReply(code int32, name, message string, labels ...string) bson.D {
	reply := bson.D{{Key: "ok", Value: 0.0}, {Key: "errmsg", Value: message}, {Key: "code", Value: code}, {Key: "codeName", Value: name}}
	if len(labels) > 0 {
		reply = append(reply, bson.E{Key: "errorLabels", Value: labels})
	}
	return reply
}

// Command is one that arrived.
type Command struct {
	Name string
	Doc  bson.Raw
}

// Commands gives all that arrived since it was last called, in their order,
// without those by which the driver watches the server.
func (s *Server) Commands() []Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	commands := s.commands
	s.commands = nil
	return commands
}

// arrived notes a command and gives the fault that it is to have.
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

// watching are the commands by which the driver watches the server.
var watching = map[string]bool{"hello": true, "isMaster": true, "ismaster": true, "endSessions": true}

// happen gives the answer of a fault, or the error that drops the connection.
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
