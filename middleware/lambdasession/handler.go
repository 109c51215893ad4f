package lambdasession

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// HandlerFunc answers one event; it is for lambda.Start of aws-lambda-go.
type HandlerFunc = func(ctx context.Context, event json.RawMessage) (any, error)

// OtherFunc answers an event that carries no HTTP request; see [Others].
type OtherFunc = HandlerFunc

// Start runs handler as this process's Lambda function, and never returns. nil
// is http.DefaultServeMux.
func Start(handler http.Handler, list ...Option) {
	lambda.Start(Handler(handler, list...))
}

// Handler is what [Start] gives to Lambda, for programs that start by
// themselves: lambda.StartWithOptions(lambdasession.Handler(h), ...). It
// returns an answer of aws-lambda-go/events. Its only errors are of events
// that cannot be answered: [ErrUnknownEvent], or what [Others] returned.
func Handler(handler http.Handler, list ...Option) HandlerFunc {
	if handler == nil {
		handler = http.DefaultServeMux
	}
	f := &function{handler: handler, options: newOptions(list)}
	return f.invoke
}

// function is the program behind one Handler.
type function struct {
	*options
	handler http.Handler
}

func (f *function) invoke(ctx context.Context, event json.RawMessage) (any, error) {
	p, err := decode(event)
	if err != nil {
		if f.others != nil && errors.Is(err, ErrUnknownEvent) {
			return f.others(ctx, event)
		}
		return nil, err
	}
	ctx, cancel := f.limited(ctx)
	r, err := f.request(ctx, p)
	if err != nil {
		cancel()
		f.say(ctx, p, err)
		return f.answer(ctx, p, plain(http.StatusBadRequest)), nil
	}
	if f.streaming(p) {
		return f.stream(p, r, cancel), nil
	}
	defer cancel()
	return f.answer(ctx, p, f.whole(p, r)), nil
}

// limited is the context of a request: it leaves time to answer.
func (f *function) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(f.margin, max(0, time.Until(deadline)/2))))
}

// whole runs the handler and gives its answer, or one that says that it failed.
func (f *function) whole(p *parts, r *http.Request) *response {
	page := &page{most: mostBytes(p.shape), head: r.Method == http.MethodHead}
	w := newWriter(page)
	if !f.serve(p, w, r) {
		return plain(http.StatusBadGateway)
	}
	if page.full {
		f.say(r.Context(), p, ErrTooLarge)
		return plain(http.StatusBadGateway)
	}
	return w.response(page)
}

// serve runs the handler; it is false where that did not return. Like
// net/http, it says nothing of an http.ErrAbortHandler.
func (f *function) serve(p *parts, w http.ResponseWriter, r *http.Request) (ok bool) {
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			f.log.Error("lambdasession: the handler panicked", "event", string(p.shape), "request_id", requestID(r.Context()),
				"panic", describe(v), "stack", string(debug.Stack()))
		}
		if r.MultipartForm != nil {
			_ = r.MultipartForm.RemoveAll() // /tmp outlives the request
		}
	}()
	f.handler.ServeHTTP(w, r)
	return true
}

// describe says what a panic was. Only the runtime's own are quoted: others
// may hold what a visitor sent. The stack has the line of each.
func describe(v any) string {
	if err, ok := v.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("a %T, not logged, for it may hold what a visitor sent", v)
}

func (f *function) say(ctx context.Context, p *parts, err error) {
	f.log.Error("lambdasession: "+err.Error(), "event", string(p.shape), "request_id", requestID(ctx))
}

func requestID(ctx context.Context) string {
	if c, ok := lambdacontext.FromContext(ctx); ok {
		return c.AwsRequestID
	}
	return ""
}
