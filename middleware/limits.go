package middleware

import (
	"slices"

	"github.com/carryon-go/carryon/internal/cookiejar"
)

// Limits is how much of a request and of a response the session may take. A
// field that is 0 takes the number of the [Platform], or the default's.
//
// What does not fit is never sent: the commit ends in a
// [session.TooLargeError] before the header, and the visitor's cookies stay as
// they were.
type Limits struct {
	// CookieBytes is the most for one cookie: name, value and attributes
	// (RFC 6265 section 6.1 asks browsers for 4,096; they count the name and
	// the value only, Safari ends at 4,093 of those).
	CookieBytes int
	// Cookies is the most that one request may carry, the program's own
	// included; those count for at most half of it, so that nobody's analytics
	// can keep a visitor from logging in. Default 20 (RFC 2109's minimum;
	// browsers today keep 150), more where the platform takes long headers.
	Cookies int
	// RequestBytes is the most for the request's Cookie header, the program's
	// own cookies included.
	RequestBytes int
	// ResponseBytes is the most for our Set-Cookie lines in one response.
	ResponseBytes int
	// SetCookieLines is the most Set-Cookie lines of ours in one response.
	SetCookieLines int
}

// Platform names what stands between the browser and the program, for its
// limits. The numbers leave room for the other header fields.
type Platform string

// The platforms. "measured" is said of a real server with its default
// settings, driven over loopback; the rest is the vendor's documentation.
const (
	// Default fits browsers, Go's own server and Cloudflare. Behind nginx, Apache,
	// HAProxy, ALB or API Gateway name the platform: their limits are lower, and a
	// header that exceeds them locks the browser out.
	Default Platform = ""
	// Portable fits every platform listed here but Fasthttp.
	Portable Platform = "portable"
	// APIGateway: AWS API Gateway, REST and HTTP APIs: 10,240 bytes for the
	// request line and all header values, not raisable (AWS quota pages).
	APIGateway Platform = "apigateway"
	// LambdaURL: AWS documents no header limit for function URLs; API
	// Gateway's is taken.
	LambdaURL Platform = "lambdaurl"
	// ALB: AWS Application Load Balancer: 16K for one header field, 64K for
	// all, 32K for the response's (AWS load-balancer-limits). For a Lambda
	// target switch lambda.multi_value_headers.enabled on.
	ALB Platform = "alb"
	// CloudFront: 20,480 bytes for the request's headers and query string
	// (AWS cloudfront-limits).
	CloudFront Platform = "cloudfront"
	// CloudRun: Google's front end (Cloud Run, Functions, load balancer). No
	// number is documented; the lowest that is reported, 15 KB, is taken.
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
	// Nginx: proxy and HTTP/1.1 defaults: a Cookie line of 8,182 bytes passes,
	// and about 4,096 bytes of all the response's headers (measured, 1.22).
	Nginx Platform = "nginx"
	// Apache: 8,183 bytes for one request field (measured, 2.4); the response
	// counts each field on its own.
	Apache Platform = "apache"
	// HAProxy: 15,224 bytes of Cookie, about 15,000 of response header
	// (measured, 2.6).
	HAProxy Platform = "haproxy"
	// Node: a Node.js proxy or server: 16,344 bytes (measured, 20).
	Node Platform = "node"
	// Fasthttp: fasthttp and Fiber read at most 4,096 bytes of request line and
	// headers by default (fasthttp server.go, ReadBufferSize).
	Fasthttp Platform = "fasthttp"
	// GoServer: nothing but Go's net/http in front: 1 MiB of request header
	// (measured); the browser's own limits remain.
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

// Platforms lists the names that have limits, sorted; "" is the default.
func Platforms() []Platform {
	var all []Platform
	for p := range platforms {
		all = append(all, p)
	}
	slices.Sort(all)
	return all
}

// Limits are the numbers of p; false where p is not one of [Platforms].
func (p Platform) Limits() (Limits, bool) {
	l, ok := platforms[p]
	l.CookieBytes, l.SetCookieLines = 4096, 40
	if l.Cookies == 0 {
		l.Cookies = 20
	}
	return l, ok
}

// over returns l with base's numbers where l has none.
func (l Limits) over(base Limits) Limits {
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

// check refuses numbers that browsers or servers do not support.
func (l Limits) check(f *faults) {
	check := func(name string, n, least, most int) {
		f.add(n < least || n > most, "Limits."+name, "%d must be from %d to %d (0 takes the platform's)", n, least, most)
	}
	check("CookieBytes", l.CookieBytes, 512, 4096)
	check("Cookies", l.Cookies, 1, 150)
	check("RequestBytes", l.RequestBytes, 512, cookiejar.MaxBytes)
	check("ResponseBytes", l.ResponseBytes, 512, 250_000)
	check("SetCookieLines", l.SetCookieLines, 1, 64)
}
