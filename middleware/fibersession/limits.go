package fibersession

import (
	"fmt"

	"github.com/carryon-go/carryon/middleware"
)

// ReadBufferSize is a recommended fiber.Config.ReadBufferSize: 16 KiB. An app
// uses one such buffer per request.
const ReadBufferSize = 16 << 10

// otherBytes is reserved for the request line and fields other than cookies:
// as much as [middleware.Fasthttp] reserves of fasthttp's 4,096 bytes.
const otherBytes = 1096

// Limits returns the limits of a platform with cookies that fit into a read
// buffer of the given size. It reserves one eighth of the buffer, at least
// 1,096 bytes, for the rest of the header. The platform is the one in front of
// the app.
func Limits(p middleware.Platform, readBufferSize int) middleware.Limits {
	l, _ := p.Limits()
	room := readBufferSize - max(otherBytes, readBufferSize/8)
	if l.RequestBytes == 0 || room < l.RequestBytes {
		l.RequestBytes = room
	}
	return middleware.Limits{RequestBytes: l.RequestBytes}
}

// check returns an error if the app would refuse requests with its own
// sessions.
func check(readBufferSize, cookies int) error {
	if cookies+otherBytes <= readBufferSize {
		return nil
	}
	return fmt.Errorf("carryon: the sessions may fill %d bytes of a request's header, but the app reads only %d bytes of it and responds 431 to more "+
		"(fiber.Config.ReadBufferSize): set that to at least %d, or middleware.Config.Limits to fibersession.Limits(platform, %d)",
		cookies, readBufferSize, cookies+otherBytes, max(readBufferSize, ReadBufferSize))
}
