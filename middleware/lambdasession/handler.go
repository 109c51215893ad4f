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

// HandlerFunc handles one event, for lambda.Start of aws-lambda-go.
type HandlerFunc = func(ctx context.Context, event json.RawMessage) (any, error)

// OtherFunc handles an event without an HTTP request; see [Others].
type OtherFunc = HandlerFunc

// Start runs handler as this process's Lambda function and never returns. A
// nil handler means http.DefaultServeMux.
func Start(handler http.Handler, list ...Option) {
	lambda.Start(Handler(handler, list...))
}

// Handler returns the function that [Start] passes to Lambda, for programs
// that start it themselves: lambda.StartWithOptions(lambdasession.Handler(h),
// ...). It returns an answer of aws-lambda-go/events. Its only errors are
// [ErrUnknownEvent] and those of [Others].
func Handler(handler http.Handler, list ...Option) HandlerFunc {
	if handler == nil {
		handler = http.DefaultServeMux
	}
	f := &function{handler: handler, options: newOptions(list)}
	return f.invoke
}

// function is the program of one Handler.
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
	ctx, cancel := f.withMargin(ctx)
	r, err := f.request(ctx, p)
	if err != nil {
		cancel()
		f.logError(ctx, p, err)
		return f.answer(ctx, p, plain(http.StatusBadRequest)), nil
	}
	if f.streaming(p) {
		return f.stream(p, r, cancel), nil
	}
	defer cancel()
	return f.answer(ctx, p, f.whole(p, r)), nil
}

// withMargin returns the context of a request, which leaves time to respond.
func (f *function) withMargin(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(f.margin, max(0, time.Until(deadline)/2))))
}

// whole runs the handler and returns its response, or an error response.
func (f *function) whole(p *parts, r *http.Request) *response {
	page := &page{most: mostBytes(p.shape), head: r.Method == http.MethodHead}
	w := newWriter(page)
	if !f.serve(p, w, r) {
		return plain(http.StatusBadGateway)
	}
	if page.full {
		f.logError(r.Context(), p, ErrTooLarge)
		return plain(http.StatusBadGateway)
	}
	return w.response(page)
}

// serve runs the handler and reports whether it returned. Like net/http, it
// does not log http.ErrAbortHandler.
func (f *function) serve(p *parts, w http.ResponseWriter, r *http.Request) (ok bool) {
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			f.log.Error("lambdasession: the handler panicked", "event", string(p.shape), "request_id", requestID(r.Context()),
				"panic", describe(v), "stack", string(debug.Stack()))
		}
		if r.MultipartForm != nil {
			_ = r.MultipartForm.RemoveAll() // /tmp is shared with later requests
		}
	}()
	f.handler.ServeHTTP(w, r)
	return true
}

// describe describes a panic. It quotes only the runtime's own errors, because
// others may contain data of a visitor. The stack shows the line.
func describe(v any) string {
	if err, ok := v.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("a %T, not logged, because it may contain data of a visitor", v)
}

func (f *function) logError(ctx context.Context, p *parts, err error) {
	f.log.Error("lambdasession: "+err.Error(), "event", string(p.shape), "request_id", requestID(ctx))
}

func requestID(ctx context.Context) string {
	if c, ok := lambdacontext.FromContext(ctx); ok {
		return c.AwsRequestID
	}
	return ""
}
