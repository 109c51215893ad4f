package mongotest

import (
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// failure is an error in MongoDB's form.
type failure struct {
	code int32
	name string
	text string
}

func (f *failure) Error() string { return f.text }

func wrong(format string, args ...any) error {
	return &failure{2, "BadValue", "mongotest: " + fmt.Sprintf(format, args...)}
}

// command describes a supported command.
type command struct {
	run    func(*Server, request) (bson.D, error)
	fields []string // in addition to common
	writes bool     // accepts a write concern and may be a retryable write
	reads  bool     // accepts a read concern
}

// commands lists all supported commands. It is set in init, because hello
// refers to it.
var commands map[string]command

func init() {
	hello := command{run: (*Server).hello, fields: []string{"helloOk", "client", "compression", "topologyVersion",
		"maxAwaitTimeMS", "backpressure"}}
	commands = map[string]command{
		"hello": hello, "isMaster": hello, "ismaster": hello,
		"ping":            {run: ok},
		"endSessions":     {run: ok},
		"find":            {run: (*Server).find, fields: []string{"filter", "limit", "singleBatch", "projection"}, reads: true},
		"aggregate":       {run: (*Server).aggregate, fields: []string{"pipeline", "cursor"}, reads: true},
		"insert":          {run: (*Server).insert, fields: []string{"documents", "ordered"}, writes: true},
		"update":          {run: (*Server).update, fields: []string{"updates", "ordered"}, writes: true},
		"delete":          {run: (*Server).delete, fields: []string{"deletes", "ordered"}, writes: true},
		"createIndexes":   {run: (*Server).createIndexes, fields: []string{"indexes"}, writes: true},
		"listIndexes":     {run: (*Server).listIndexes, fields: []string{"cursor"}},
		"dropDatabase":    {run: (*Server).dropDatabase, writes: true},
		"buildInfo":       {run: (*Server).buildInfo},
		"listCollections": {run: (*Server).listCollections, fields: []string{"filter", "cursor", "nameOnly"}},
	}
}

// common lists the fields that every command may have.
var common = []string{"$db", "lsid", "$clusterTime", "$readPreference", "maxTimeMS", "writeConcern", "readConcern", "txnNumber"}

// request is a command with its database and collection.
type request struct {
	name, db, namespace string
	doc                 bson.Raw
}

// answer executes a command; it executes a repeated retryable write only once.
// An error closes the connection.
func (s *Server) answer(doc bson.Raw) (bson.Raw, error) {
	elements, err := doc.Elements()
	if err != nil || len(elements) == 0 {
		return nil, errDrop
	}
	name := elements[0].Key()
	fault, faulty := s.arrived(name, doc)
	if faulty && !fault.After {
		return s.happen(fault)
	}
	reply, err := s.once(name, doc)
	if faulty {
		return s.happen(fault)
	}
	return reply, err
}

func (s *Server) once(name string, doc bson.Raw) (bson.Raw, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := retryKey(doc)
	if reply, ok := s.answered[key]; ok && key != "" {
		return reply, nil
	}
	result, err := s.carryOut(name, doc)
	if err != nil {
		f, ok := err.(*failure)
		if !ok {
			f = &failure{9, "FailedToParse", err.Error()}
		}
		return bson.Marshal(ErrorReply(f.code, f.name, f.text))
	}
	reply, err := bson.Marshal(append(result, bson.E{Key: "ok", Value: 1.0}))
	if key != "" && err == nil {
		s.answered[key] = reply
	}
	return reply, err
}

// retryKey returns the key of a retryable write, or "" for any other command.
func retryKey(doc bson.Raw) string {
	number, ok := doc.Lookup("txnNumber").Int64OK()
	if !ok {
		return ""
	}
	return fmt.Sprintf("%x %d", doc.Lookup("lsid").Value, number)
}

func (s *Server) carryOut(name string, doc bson.Raw) (bson.D, error) {
	c, known := commands[name]
	if !known {
		return nil, &failure{59, "CommandNotFound", "no such command: '" + name + "'"}
	}
	if err := s.check(name, c, doc); err != nil {
		return nil, err
	}
	r := request{name: name, doc: doc}
	r.db, _ = doc.Lookup("$db").StringValueOK()
	if target, ok := doc.Lookup(name).StringValueOK(); ok {
		r.namespace = r.db + "." + target
	}
	return c.run(s, r)
}

// check refuses anything that this server does not support or a real one would
// refuse.
func (s *Server) check(name string, c command, doc bson.Raw) error {
	elements, err := doc.Elements()
	if err != nil {
		return err
	}
	for _, e := range elements[1:] {
		if key := e.Key(); !slices.Contains(common, key) && !slices.Contains(c.fields, key) {
			return &failure{40415, "Location40415", fmt.Sprintf("BSON field '%s.%s' is an unknown field.", name, key)}
		}
	}
	if s.opt.Standalone && (has(doc, "txnNumber") || has(doc, "$clusterTime")) {
		return &failure{20, "IllegalOperation", "Transaction numbers are only allowed on a replica set member or mongos"}
	}
	if has(doc, "txnNumber") && (!c.writes || !has(doc, "lsid")) {
		return wrong("%s has a txnNumber", name)
	}
	if mode, ok := doc.Lookup("$readPreference", "mode").StringValueOK(); ok && !strings.HasPrefix(mode, "primary") {
		return wrong("the read preference is %s", mode)
	}
	if err := checkWriteConcern(c, doc); err != nil {
		return err
	}
	return s.checkReadConcern(c, doc)
}

func has(doc bson.Raw, key string) bool { return !doc.Lookup(key).IsZero() }

func checkWriteConcern(c command, doc bson.Raw) error {
	if !has(doc, "writeConcern") {
		return nil
	}
	concern, ok := doc.Lookup("writeConcern").DocumentOK()
	if !ok || !c.writes {
		return wrong("a write concern is not allowed here")
	}
	if err := only(concern, "w", "j"); err != nil {
		return err
	}
	if w, ok := concern.Lookup("w").StringValueOK(); ok && w != "majority" {
		return wrong("the write concern w is %q", w)
	}
	return nil
}

func (s *Server) checkReadConcern(c command, doc bson.Raw) error {
	if !has(doc, "readConcern") {
		return nil
	}
	concern, ok := doc.Lookup("readConcern").DocumentOK()
	if !ok || !c.reads {
		return wrong("a read concern is not allowed here")
	}
	if err := only(concern, "level"); err != nil {
		return err
	}
	switch level, _ := concern.Lookup("level").StringValueOK(); level {
	case "local", "majority":
	case "linearizable":
		if s.opt.Standalone {
			return &failure{123, "NotAReplicaSet", "node needs to be a replica set member to use read concern"}
		}
	default:
		return wrong("the read concern is %q", level)
	}
	return nil
}

// only refuses a document with other fields.
func only(doc bson.Raw, fields ...string) error {
	elements, err := doc.Elements()
	if err != nil {
		return err
	}
	for _, e := range elements {
		if !slices.Contains(fields, e.Key()) {
			return wrong("unknown field %q, allowed are %q", e.Key(), fields)
		}
	}
	return nil
}

func ok(*Server, request) (bson.D, error) { return bson.D{}, nil }

func (s *Server) hello(request) (bson.D, error) {
	reply := bson.D{
		{Key: "helloOk", Value: true}, {Key: "ismaster", Value: true}, {Key: "isWritablePrimary", Value: true},
		{Key: "maxBsonObjectSize", Value: int32(maxDocument)}, {Key: "maxMessageSizeBytes", Value: int32(maxMessage)},
		{Key: "maxWriteBatchSize", Value: int32(100_000)}, {Key: "localTime", Value: bson.NewDateTimeFromTime(s.opt.Clock())},
		{Key: "logicalSessionTimeoutMinutes", Value: int32(30)}, {Key: "minWireVersion", Value: int32(0)},
		{Key: "maxWireVersion", Value: int32(21)}, {Key: "readOnly", Value: false},
	}
	if !s.opt.Standalone {
		address := s.address()
		reply = append(reply, bson.D{{Key: "setName", Value: setName}, {Key: "setVersion", Value: int32(1)},
			{Key: "secondary", Value: false}, {Key: "hosts", Value: bson.A{address}}, {Key: "primary", Value: address},
			{Key: "me", Value: address}}...)
	}
	return reply, nil
}

func (s *Server) buildInfo(request) (bson.D, error) {
	return bson.D{{Key: "version", Value: "7.0.0"}}, nil
}

// listCollections supports one filter, by name.
func (s *Server) listCollections(r request) (bson.D, error) {
	name, ok := r.doc.Lookup("filter", "name").StringValueOK()
	if !ok {
		return nil, wrong("a filter that is not by name")
	}
	list := bson.A{}
	if s.collections[r.db+"."+name] != nil {
		list = append(list, bson.D{{Key: "name", Value: name}, {Key: "type", Value: "collection"}, {Key: "options", Value: bson.D{}}})
	}
	return cursor(r.db+".$cmd.listCollections", list), nil
}

func (s *Server) dropDatabase(r request) (bson.D, error) {
	for name := range s.collections {
		if strings.HasPrefix(name, r.db+".") {
			delete(s.collections, name)
		}
	}
	return bson.D{}, nil
}
