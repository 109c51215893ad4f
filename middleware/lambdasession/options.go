package lambdasession

import (
	"log/slog"
	"slices"
	"strings"
	"time"
)

// DefaultMargin is the time between the end of a request's context and the end
// of the function's time, for the response; see [Margin].
const DefaultMargin = 100 * time.Millisecond

// An Option configures [Start] and [Handler].
type Option func(*options)

type options struct {
	streams []Shape
	prefix  string
	stage   bool
	margin  time.Duration
	log     *slog.Logger
	others  OtherFunc
	escapes bool
}

// Stream streams the answers to events of the given shapes: a flush sends the
// data so far, and an answer may have 200 MB. Only [FunctionURL] and [REST]
// can stream. The platform must be configured for it: InvokeMode
// RESPONSE_STREAM for a function URL, response transfer mode STREAM for an
// integration. Events do not contain that setting. Other shapes are buffered,
// as without this option.
func Stream(shapes ...Shape) Option {
	return func(o *options) {
		for _, s := range shapes {
			if s == FunctionURL || s == REST {
				o.streams = append(o.streams, s)
			}
		}
	}
}

// StripPrefix removes a prefix from paths that have it, for example the base
// path of a custom domain.
func StripPrefix(prefix string) Option {
	return func(o *options) { o.prefix = "/" + strings.Trim(prefix, "/") }
}

// StripStage removes the name of the API's stage from paths that begin with
// it. HTTP APIs add it for every stage except $default; REST APIs do not. Do
// not use it if a path of the program begins with the same word.
func StripStage() Option { return func(o *options) { o.stage = true } }

// Margin sets the time between the end of a request's context and the end of
// the function's time. 0 means the default; a negative value means none. If
// the remaining time is less than twice the margin, half of it is used.
func Margin(d time.Duration) Option { return func(o *options) { o.margin = d } }

// Logger sets the logger for panics and for answers that cannot be sent; nil
// means slog.Default(). Log lines contain no data of a visitor or a handler.
func Logger(l *slog.Logger) Option { return func(o *options) { o.log = l } }

// Others sets a function for events without an HTTP request, such as those of
// a schedule. It replaces [ErrUnknownEvent].
func Others(f OtherFunc) Option { return func(o *options) { o.others = f } }

// EscapesHTML declares that the program starts its function with
// lambda.WithSetEscapeHTML(true), so each <, > and & in an answer takes six
// bytes. Without this option, a large answer with many of them can exceed
// Lambda's limit and fail. That concerns answers over 4.5 MB, or over 0.75 MB
// behind an Application Load Balancer.
func EscapesHTML() Option { return func(o *options) { o.escapes = true } }

func newOptions(list []Option) *options {
	o := &options{}
	for _, set := range list {
		set(o)
	}
	switch {
	case o.margin == 0:
		o.margin = DefaultMargin
	case o.margin < 0:
		o.margin = 0
	}
	if o.log == nil {
		o.log = slog.Default()
	}
	return o
}

// streaming reports whether the answer streams. HTTP APIs with payload format
// 1.0 have the same events as REST APIs, but do not stream.
func (o *options) streaming(p *parts) bool {
	return slices.Contains(o.streams, p.shape) && !(p.shape == REST && p.decoded)
}

// strip removes the configured stage and prefix from a path.
func (o *options) strip(path, stage string) string {
	if o.stage && stage != "" && stage != "$default" {
		path = cutPath(path, "/"+stage)
	}
	if len(o.prefix) > 1 {
		path = cutPath(path, o.prefix)
	}
	return path
}

// cutPath removes prefix from path if it consists of whole segments.
func cutPath(path, prefix string) string {
	rest, found := strings.CutPrefix(path, prefix)
	switch {
	case !found || rest != "" && rest[0] != '/':
		return path
	case rest == "":
		return "/"
	}
	return rest
}
