package lambdasession

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/aws/aws-lambda-go/events"
)

// errCut ends an answer in the middle, so that the platform closes the
// connection.
var errCut = errors.New("lambdasession: the handler panicked after its answer had begun")

// stream sends an answer to Lambda while the handler writes it.
type stream struct {
	w      *writer
	ready  chan *response // receives the head once
	begun  bool
	silent bool // a HEAD request: no body
	pipe   *io.PipeWriter
}

// begin sends the head.
func (s *stream) begin(beginning []byte) {
	if s.begun {
		return
	}
	s.begun = true
	s.w.WriteHeader(http.StatusOK)
	head := s.w.head(beginning)
	if !s.silent {
		delete(head.header, "Content-Length") // the handler may fail later, and the platform sends chunks
	}
	s.ready <- head
}

// Write sends the content of the buffer.
func (s *stream) Write(b []byte) (int, error) {
	s.begin(b)
	if s.silent || len(b) == 0 {
		return len(b), nil
	}
	return s.pipe.Write(b)
}

// stream runs the handler in a goroutine, and returns when its response
// begins.
func (f *function) stream(p *parts, r *http.Request, cancel context.CancelFunc) any {
	from, to := io.Pipe()
	s := &stream{ready: make(chan *response, 1), silent: r.Method == http.MethodHead, pipe: to}
	buffer := bufio.NewWriterSize(s, 4<<10)
	s.w = newWriter(buffer)
	s.w.flush = func() error {
		err := buffer.Flush()
		s.begin(nil)
		return err
	}
	go f.produce(p, r, s, buffer, cancel)
	return streamed(p.shape, <-s.ready, &body{from, cancel})
}

// produce runs the handler and ends the stream.
func (f *function) produce(p *parts, r *http.Request, s *stream, buffer *bufio.Writer, cancel context.CancelFunc) {
	defer cancel()
	ended := errCut // also applies if the handler calls runtime.Goexit
	defer func() { _ = s.pipe.CloseWithError(ended) }()
	done := false
	defer func() {
		if !done && !s.begun {
			s.begun, ended = true, nil
			bad := plain(http.StatusBadGateway)
			s.ready <- bad
			if !s.silent {
				_, _ = s.pipe.Write(bad.body)
			}
		}
	}()
	if done = f.serve(p, s.w, r); done {
		_ = buffer.Flush()
		s.begin(nil)
		ended = nil
	}
}

// body is the reader for Lambda. Closing it early ends the handler's context.
type body struct {
	*io.PipeReader
	cancel context.CancelFunc
}

// Close makes the handler's next write fail.
func (b *body) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}

func streamed(s Shape, head *response, from io.Reader) any {
	if s == REST {
		return &events.APIGatewayProxyStreamingResponse{StatusCode: head.status, MultiValueHeaders: multi(head), Body: from}
	}
	return &events.LambdaFunctionURLStreamingResponse{StatusCode: head.status, Headers: joined(head.header), Cookies: head.cookies, Body: from}
}
