package fibersession

import (
	"fmt"

	"github.com/carryon-go/carryon/middleware"
)

// ReadBufferSize is a good fiber.Config.ReadBufferSize: 16 KiB. An app keeps one
// such buffer for each request that it reads.
const ReadBufferSize = 16 << 10

// besides is what is kept of the buffer for the request line and the fields that
// are not cookies: as much as [middleware.Fasthttp] keeps of fasthttp's 4,096.
const besides = 1096

// Limits are the platform's, with cookies that fit into a read buffer of that
// many bytes beside everything else in a request's header: an eighth is kept for
// that, and 1,096 bytes at least. The platform is what stands in front of the app.
func Limits(p middleware.Platform, readBufferSize int) middleware.Limits {
	l, _ := p.Limits()
	room := readBufferSize - max(besides, readBufferSize/8)
	if l.RequestBytes == 0 || room < l.RequestBytes {
		l.RequestBytes = room
	}
	return middleware.Limits{RequestBytes: l.RequestBytes}
}

// check says what to do about an app that would refuse its own sessions.
func check(readBufferSize, cookies int) error {
	if cookies+besides <= readBufferSize {
		return nil
	}
	return fmt.Errorf("carryon: the sessions may fill %d bytes of a request's header, but the app reads %d of all of it and answers 431 to more "+
		"(fiber.Config.ReadBufferSize): set that to %d at least, or middleware.Config.Limits to fibersession.Limits(platform, %d)",
		cookies, readBufferSize, cookies+besides, max(readBufferSize, ReadBufferSize))
}
