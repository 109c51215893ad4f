package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// An object is a JSON object, as used in commands.
type object = map[string]any

// A bidi is a WebDriver BiDi connection. Commands may run concurrently:
// responses are matched by id. Events are skipped.
type bidi struct {
	socket *websocket.Conn
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	last    int
	waiting map[int]chan bidiAnswer
}

type bidiAnswer struct {
	ID      int             `json:"id"`
	Type    string          `json:"type"`
	Result  json.RawMessage `json:"result"`
	Error   string          `json:"error"`
	Message string          `json:"message"`
}

func dialBidi(ctx context.Context, address string) (*bidi, error) {
	socket, _, err := websocket.Dial(ctx, address, nil)
	if err != nil {
		return nil, err
	}
	socket.SetReadLimit(64 << 20) // screenshots
	b := &bidi{socket: socket, waiting: map[int]chan bidiAnswer{}}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	go b.read()
	capabilities := object{"alwaysMatch": object{"acceptInsecureCerts": true}}
	if err := b.call("session.new", object{"capabilities": capabilities}, nil); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// read passes each response to the call that waits for it, until the connection
// ends.
func (b *bidi) read() {
	defer b.cancel()
	for {
		var answer bidiAnswer
		if wsjson.Read(b.ctx, b.socket, &answer) != nil {
			return
		}
		b.mu.Lock()
		wanted := b.waiting[answer.ID]
		delete(b.waiting, answer.ID)
		b.mu.Unlock()
		if wanted != nil {
			wanted <- answer
		}
	}
}

// call sends a command and stores the decoded result in into, unless that is
// nil.
func (b *bidi) call(method string, params object, into any) error {
	ctx, cancel := context.WithTimeout(b.ctx, Patience)
	defer cancel()
	id, wanted := b.expect()
	defer b.forget(id)
	if err := wsjson.Write(ctx, b.socket, object{"id": id, "method": method, "params": params}); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case answer := <-wanted:
		if answer.Type == "error" {
			return fmt.Errorf("%s: %s: %s", method, answer.Error, answer.Message)
		}
		if into == nil {
			return nil
		}
		return json.Unmarshal(answer.Result, into)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, errors.Join(errors.New("no answer"), ctx.Err()))
	}
}

func (b *bidi) expect() (int, chan bidiAnswer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	wanted := make(chan bidiAnswer, 1)
	b.waiting[b.last] = wanted
	return b.last, wanted
}

func (b *bidi) forget(id int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.waiting, id)
}

func (b *bidi) close() {
	b.cancel()
	b.socket.CloseNow()
}
