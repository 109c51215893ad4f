// Package lambdatest runs a compiled Lambda function, a "bootstrap", without
// AWS. It serves the Runtime API from which the process requests events, as
// documented (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html).
// It can freeze and thaw the process as Lambda does between events.
//
//	f := lambdatest.Start(t, lambdatest.Build(t, "./cmd/function"), "CARRYON_KEYS="+ring)
//	answer := f.Invoke(event)
//	f.Freeze()
//	f.Thaw()
package lambdatest
