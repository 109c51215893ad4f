package middleware

import (
	"slices"

	"github.com/carryon-go/carryon/internal/cookiejar"
)

// Limits bounds the cookies in a request and in a response. A field that is 0 has
// the limit of the [Platform], or of [Default] if there is none.
//
// Cookies that exceed the limits are never sent. The commit fails with a
// [session.TooLargeError] before the header is written, and the visitor's cookies
// stay as they were.
type Limits struct {
	// CookieBytes is the maximum size of one cookie: name, value and attributes.
	// RFC 6265 section 6.1 asks browsers for at least 4,096. Browsers count only
	// the name and the value; Safari accepts at most 4,093 bytes of these.
	CookieBytes int
	// Cookies is the maximum number of cookies in one request, other cookies of the
	// site included. The others count for at most half of the limit, so that analytics
	// cookies cannot prevent a login. The default is 20 (RFC 2109's minimum;
	// browsers today keep 150), and more on platforms that accept long headers.
	Cookies int
	// RequestBytes is the maximum size of the request's Cookie header, other
	// cookies of the site included.
	RequestBytes int
	// ResponseBytes is the maximum size of the session's Set-Cookie lines in one
	// response.
	ResponseBytes int
	// SetCookieLines is the maximum number of the session's Set-Cookie lines in one
	// response.
	SetCookieLines int
}

// Platform names the proxy, platform or server that limits the size of headers.
// The limits leave space for the other header fields.
type Platform string

// The platforms. "measured" means that a real server with its default settings was
// tested over loopback, in the version given. All other numbers are from the
// vendor's documentation.
const (
	// Default fits browsers, Go's own server and Cloudflare. Behind nginx, Apache,
	// HAProxy, ALB or API Gateway, name the platform: their limits are lower. A
	// Cookie header that exceeds them locks the visitor out, because the browser
	// sends it with every request.
	Default Platform = ""
	// Portable fits every platform listed here but Fasthttp.
	Portable Platform = "portable"
	// APIGateway: AWS API Gateway, REST and HTTP APIs: 10,240 bytes for the
	// request line and all header values, not raisable (AWS quota pages).
	APIGateway Platform = "apigateway"
	// LambdaURL: AWS documents no header limit for function URLs, so the limits are
	// those of API Gateway.
	LambdaURL Platform = "lambdaurl"
	// ALB: AWS Application Load Balancer: 16K for one request header field, 64K for
	// all, 32K for the response's header (AWS load-balancer-limits). For a Lambda
	// target, turn on lambda.multi_value_headers.enabled.
	ALB Platform = "alb"
	// CloudFront: 20,480 bytes for the request's headers and query string
	// (AWS cloudfront-limits).
	CloudFront Platform = "cloudfront"
	// CloudRun: Google's front end (Cloud Run, Functions, load balancer). Google
	// documents no limit; the lowest that users report is 15 KB.
	CloudRun Platform = "cloudrun"
	// Cloudflare: 128 KB for the request's and the response's headers each
	// (Cloudflare documentation, since 2025-10-16).
	Cloudflare Platform = "cloudflare"
	// Vercel: 16 KB for one request header field, 32 KB for all (Vercel
	// documentation, REQUEST_HEADER_TOO_LARGE).
	Vercel Platform = "vercel"
	// AzureAppService: 64 KB at the front ends, about 16 KB in the Tomcat
	// images (Azure OSS developer support, 2022).
	AzureAppService Platform = "azure"
	// Nginx: defaults of the proxy and of HTTP/1.1: a Cookie line of 8,182 bytes,
	// and about 4,096 bytes for all header fields of the response (measured, 1.22).
	Nginx Platform = "nginx"
	// Apache: 8,183 bytes for one request field (measured, 2.4). In the response,
	// each field has a limit of its own.
	Apache Platform = "apache"
	// HAProxy: 15,224 bytes for the Cookie field, about 15,000 for the response's
	// header (measured, 2.6).
	HAProxy Platform = "haproxy"
	// Node: a Node.js proxy or server: 16,344 bytes (measured, version 20).
	Node Platform = "node"
	// Fasthttp: fasthttp and Fiber read at most 4,096 bytes of request line and
	// headers by default (fasthttp server.go, ReadBufferSize).
	Fasthttp Platform = "fasthttp"
	// GoServer: browsers connect to Go's net/http directly: 1 MiB for the request's
	// header (measured). The browser's limits still apply.
	GoServer Platform = "go"
)

var platforms = map[Platform]Limits{
	Default:         {RequestBytes: 32_400, ResponseBytes: 32_000},
	Portable:        {RequestBytes: 7_500, ResponseBytes: 3_300},
	APIGateway:      {RequestBytes: 7_500, ResponseBytes: 7_500},
	LambdaURL:       {RequestBytes: 7_500, ResponseBytes: 7_500},
	ALB:             {RequestBytes: 15_500, ResponseBytes: 28_000},
	CloudFront:      {RequestBytes: 15_500, ResponseBytes: 15_000},
	CloudRun:        {RequestBytes: 14_000, ResponseBytes: 14_000},
	Cloudflare:      {RequestBytes: 125_000, ResponseBytes: 110_000, Cookies: 60},
	Vercel:          {RequestBytes: 15_500, ResponseBytes: 15_000},
	AzureAppService: {RequestBytes: 14_500, ResponseBytes: 14_500},
	Nginx:           {RequestBytes: 8_000, ResponseBytes: 3_300},
	Apache:          {RequestBytes: 8_000, ResponseBytes: 60_000},
	HAProxy:         {RequestBytes: 13_500, ResponseBytes: 14_000},
	Node:            {RequestBytes: 14_500, ResponseBytes: 60_000},
	Fasthttp:        {RequestBytes: 3_000, ResponseBytes: 15_000},
	GoServer:        {RequestBytes: 250_000, ResponseBytes: 200_000, Cookies: 140},
}

// Platforms returns the known platforms, sorted; "" is [Default].
func Platforms() []Platform {
	var all []Platform
	for p := range platforms {
		all = append(all, p)
	}
	slices.Sort(all)
	return all
}

// Limits returns the limits of p. ok is false if p is not one of [Platforms].
func (p Platform) Limits() (l Limits, ok bool) {
	l, ok = platforms[p]
	l.CookieBytes, l.SetCookieLines = 4096, 40
	if l.Cookies == 0 {
		l.Cookies = 20
	}
	return l, ok
}

// withDefaults returns l with each field that is 0 replaced by base's.
func (l Limits) withDefaults(base Limits) Limits {
	set := func(n *int, def int) {
		if *n == 0 {
			*n = def
		}
	}
	set(&l.CookieBytes, base.CookieBytes)
	set(&l.Cookies, base.Cookies)
	set(&l.RequestBytes, base.RequestBytes)
	set(&l.ResponseBytes, base.ResponseBytes)
	set(&l.SetCookieLines, base.SetCookieLines)
	return l
}

// check adds a fault for each limit that is outside the permitted range.
func (l Limits) check(f *faults) {
	check := func(name string, n, least, most int) {
		f.add(n < least || n > most, "Limits."+name, "%d must be from %d to %d, or 0 for the platform's limit", n, least, most)
	}
	check("CookieBytes", l.CookieBytes, 512, 4096)
	check("Cookies", l.Cookies, 1, 150)
	check("RequestBytes", l.RequestBytes, 512, cookiejar.MaxBytes)
	check("ResponseBytes", l.ResponseBytes, 512, 250_000)
	check("SetCookieLines", l.SetCookieLines, 1, 64)
}
