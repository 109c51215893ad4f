// Package lambdatest runs a compiled Lambda function, a "bootstrap", without
// AWS: it serves the Runtime API that the function's process asks for events,
// as documented (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html),
// and freezes and thaws the process as Lambda does between events.
//
//	f := lambdatest.Start(t, lambdatest.Build(t, "./cmd/function"), "CARRYON_KEYS="+ring)
//	answer := f.Invoke(event)
//	f.Freeze()
//	f.Thaw()
package lambdatest
