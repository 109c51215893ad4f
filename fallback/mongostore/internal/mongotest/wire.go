package mongotest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/wiremessage"
)

const (
	maxMessage  = 48_000_000
	maxDocument = 16 << 20
	headerSize  = 16

	// opQuery is deprecated, but the driver still begins with it.
	opQuery = wiremessage.OpCode(2004)
)

// message is a received command.
type message struct {
	id      int32
	op      wiremessage.OpCode
	command bson.Raw
}

var errMessage = errors.New("the message cannot be read")

func readMessage(conn net.Conn) (m message, err error) {
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return m, err
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n < headerSize || n > maxMessage {
		return m, errMessage
	}
	whole := append(size[:], make([]byte, n-4)...)
	if _, err := io.ReadFull(conn, whole[4:]); err != nil {
		return m, err
	}
	_, id, _, op, body, ok := wiremessage.ReadHeader(whole)
	if !ok {
		return m, errMessage
	}
	m.id, m.op = id, op
	switch op {
	case opQuery: // the driver's first message, before it knows the server
		m.command, err = readQuery(body)
	case wiremessage.OpMsg:
		m.command, err = readMsg(body)
	default:
		err = fmt.Errorf("%w: it is a %s", errMessage, op)
	}
	return m, err
}

// readQuery reads the old form: flags, a NUL-terminated collection name, the
// numbers to skip and to return, and a document.
func readQuery(body []byte) (bson.Raw, error) {
	if len(body) < 4 {
		return nil, errMessage
	}
	name, rest, ok := bytes.Cut(body[4:], []byte{0})
	if !ok || string(name) != "admin.$cmd" || len(rest) < 8 {
		return nil, errMessage
	}
	command := bson.Raw(rest[8:])
	return command, command.Validate()
}

// readMsg joins the sections of a message: a command, and arrays that were
// sent separately.
func readMsg(body []byte) (bson.Raw, error) {
	flags, body, ok := wiremessage.ReadMsgFlags(body)
	if !ok || flags != 0 {
		return nil, fmt.Errorf("%w: it has flags", errMessage)
	}
	var command bson.D
	for len(body) > 0 {
		var kind wiremessage.SectionType
		kind, body, ok = wiremessage.ReadMsgSectionType(body)
		if !ok {
			return nil, errMessage
		}
		var err error
		if body, err = readSection(kind, body, &command); err != nil {
			return nil, err
		}
	}
	return bson.Marshal(command)
}

func readSection(kind wiremessage.SectionType, body []byte, command *bson.D) ([]byte, error) {
	if kind == wiremessage.SingleDocument {
		doc, rest, ok := wiremessage.ReadMsgSectionSingleDocument(body)
		if !ok {
			return nil, errMessage
		}
		elements, err := bson.Raw(doc).Elements()
		for _, e := range elements {
			*command = append(*command, bson.E{Key: e.Key(), Value: e.Value()})
		}
		return rest, err
	}
	name, docs, rest, ok := wiremessage.ReadMsgSectionDocumentSequence(body)
	if !ok {
		return nil, errMessage
	}
	list := bson.A{}
	for _, doc := range docs {
		list = append(list, bson.Raw(doc))
	}
	*command = append(*command, bson.E{Key: name, Value: list})
	return rest, nil
}

// reply returns an answer in the form that the message requires.
func (m message) reply(doc bson.Raw) []byte {
	op := wiremessage.OpMsg
	if m.op == opQuery {
		op = wiremessage.OpReply
	}
	_, out := wiremessage.AppendHeaderStart(nil, 1, m.id, op)
	if op == wiremessage.OpReply {
		out = append(out, make([]byte, 16)...) // flags, cursor, starting position
		out = binary.LittleEndian.AppendUint32(out, 1)
	} else {
		out = wiremessage.AppendMsgFlags(out, 0)
		out = wiremessage.AppendMsgSectionType(out, wiremessage.SingleDocument)
	}
	out = append(out, doc...)
	binary.LittleEndian.PutUint32(out, uint32(len(out)))
	return out
}
