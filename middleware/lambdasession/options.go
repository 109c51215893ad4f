package lambdasession

import (
	"log/slog"
	"slices"
	"strings"
	"time"
)

// DefaultMargin is how long before the function's time ends the context of a
// request does, so that there is time to answer; see [Margin].
const DefaultMargin = 100 * time.Millisecond

// An Option changes how [Start] and [Handler] work.
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

// Stream answers events of these shapes as a stream: a flush sends what was
// written, and an answer may have 200 MB. Only [FunctionURL] and [REST] can,
// and only where the platform is set to it (the function URL's InvokeMode is
// RESPONSE_STREAM; the integration's response transfer mode is STREAM): an event
// does not tell. Other shapes are answered whole, as without this option.
func Stream(shapes ...Shape) Option {
	return func(o *options) {
		for _, s := range shapes {
			if s == FunctionURL || s == REST {
				o.streams = append(o.streams, s)
			}
		}
	}
}

// StripPrefix takes a prefix, such as the base path of a custom domain, off
// the paths that have it. Others stay as they are.
func StripPrefix(prefix string) Option {
	return func(o *options) { o.prefix = "/" + strings.Trim(prefix, "/") }
}

// StripStage takes the name of the API's stage off the paths that begin with
// it. HTTP APIs put it there for every stage but $default; REST APIs do not.
// Do not use it where a path of the program begins with the same word.
func StripStage() Option { return func(o *options) { o.stage = true } }

// Margin sets how long before the function's time ends the context of a
// request does. 0 is the default; negative is none. Of a time that is shorter
// than twice the margin, half is left.
func Margin(d time.Duration) Option { return func(o *options) { o.margin = d } }

// Logger sets where panics and answers that cannot be sent are logged; nil is
// slog.Default(). The lines hold nothing that a visitor sent or a handler wrote.
func Logger(l *slog.Logger) Option { return func(o *options) { o.log = l } }

// Others answers the events that carry no HTTP request, such as those of a
// schedule, in place of [ErrUnknownEvent].
func Others(f OtherFunc) Option { return func(o *options) { o.others = f } }

// EscapesHTML says that the program starts its function with
// lambda.WithSetEscapeHTML(true), so that each <, > and & of an answer takes six
// bytes. Without it, an answer of more than 4.5 MB (behind an Application Load
// Balancer 0.75 MB) that has many of them can be larger than Lambda takes, and
// fail there.
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

// streaming: HTTP APIs with payload format 1.0 have the events of REST APIs, but
// do not stream.
func (o *options) streaming(p *parts) bool {
	return slices.Contains(o.streams, p.shape) && !(p.shape == REST && p.decoded)
}

// strip takes off the path what the program asked to take off.
func (o *options) strip(path, stage string) string {
	if o.stage && stage != "" && stage != "$default" {
		path = cutPath(path, "/"+stage)
	}
	if len(o.prefix) > 1 {
		path = cutPath(path, o.prefix)
	}
	return path
}

// cutPath takes prefix off path where it is whole segments of it.
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
